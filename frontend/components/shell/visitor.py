"""Who visits, and the script in their browser: it stores their number and does what Streamlit cannot."""

import json
import re
import uuid
from functools import cache
from importlib import resources

import streamlit as st

_NUMBER = "visitor.number"
_COOKIE = "clipseek_visitor"
_COOKIE_SECONDS = 30 * 24 * 3600


def visitor() -> str:
    """The number of this browser, 32 hex digits, the same in all its tabs: from its cookie, else a new one."""
    if _NUMBER not in st.session_state:
        cookie = st.context.cookies.get(_COOKIE, "")
        st.session_state[_NUMBER] = cookie if re.fullmatch("[0-9a-f]{32}", cookie) else uuid.uuid4().hex
    number: str = st.session_state[_NUMBER]
    return number


def visitor_script(language: str) -> None:
    """Put `page.js` into a page in this language."""
    values = {"visitor": visitor(), "cookie": _COOKIE, "cookieSeconds": _COOKIE_SECONDS, "language": language}
    with st.container(key="visitor"):
        st.html(f"<script>window.clipseek = {json.dumps(values)};{_script()}</script>", unsafe_allow_javascript=True)


@cache
def _script() -> str:
    return resources.files("frontend").joinpath("page.js").read_text(encoding="utf-8")
