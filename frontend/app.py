"""The page's frame: its head with the ways to the pages, the basket's count and the language. `streamlit run` it."""

from pathlib import Path

import streamlit as st

from frontend.components.basket.state import basket
from frontend.components.frame import language
from frontend.components.frame.visitor import visitor_script

_FOLDER = Path(__file__).parent


def frame() -> None:
    t = language.texts()
    st.set_page_config(page_title="ClipSeek", page_icon=str(_FOLDER / "logo.svg"), layout="wide")
    st.logo(str(_FOLDER / "wordmark.svg"), size="large")
    st.html(_FOLDER / "style.css")
    visitor_script(t.language)
    count = f" ({len(basket())})" if len(basket()) else ""
    page = st.navigation(
        [
            st.Page("views/search.py", title=t("page.search"), icon=":material/search:", default=True),
            st.Page("views/library.py", title=t("page.library"), icon=":material/video_library:", url_path="library"),
            st.Page("views/timeline.py", title=t("page.timeline"), icon=":material/show_chart:", url_path="timeline"),
            st.Page(
                "views/basket.py",
                title=t("page.basket") + count,
                icon=":material/shopping_cart:",
                url_path="basket",
            ),
        ],
        position="top",
    )
    language.language_switch(t)
    page.run()


frame()
