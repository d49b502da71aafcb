"""The page over a client that answers from memory."""

from pathlib import Path

import pytest
import streamlit as st

from frontend import services as services_module
from tests.frontend.fake import FakeClient

FRONTEND = Path(services_module.__file__).parent


@pytest.fixture
def client(monkeypatch, tmp_path):
    fake = FakeClient()
    monkeypatch.setattr(services_module, "Client", lambda: fake)
    monkeypatch.setattr(services_module, "page_folder", lambda: tmp_path)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield fake
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def open_page(client):
    """Draw a page (a file in frontend/) for a session with these parameters in its address."""
    from streamlit.testing.v1 import AppTest

    def draw(file="app.py", visitor="a" * 32, **params):
        page = AppTest.from_file(str(FRONTEND / file), default_timeout=30)
        page.session_state["visitor.number"] = visitor  # Streamlit's test has no cookies
        for name, value in params.items():
            page.query_params[name] = value
        page.run()
        assert not page.exception, page.exception
        return page

    return draw


@pytest.fixture
def draw(client):
    """Draw one component: a function without parameters that imports what it needs."""
    from streamlit.testing.v1 import AppTest

    def run(script):
        page = AppTest.from_function(script, default_timeout=30)
        page.session_state["visitor.number"] = "a" * 32
        page.run()
        assert not page.exception, page.exception
        return page

    return run


def html_of(page):
    """All HTML that a page shows, as one text."""
    return "\n".join(element.proto.body for element in page.get("html"))
