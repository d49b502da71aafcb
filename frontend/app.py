"""The app that `streamlit run` draws: the head with the navigation and the language switch, then the chosen page."""

from pathlib import Path

import streamlit as st

from frontend.components.visitor import language_switch, texts, visitor_basket, visitor_script

_FOLDER = Path(__file__).parent


def app() -> None:
    t = texts()
    st.set_page_config(page_title="ClipSeek", page_icon=str(_FOLDER / "logo.svg"), layout="wide")
    st.logo(str(_FOLDER / "wordmark.svg"), size="large")
    st.html(_FOLDER / "style.css")
    visitor_script(t.language)
    clips = len(visitor_basket())
    icons = {"search": "search", "library": "video_library", "timeline": "show_chart", "basket": "shopping_cart"}
    pages = [
        st.Page(
            f"views/{name}.py",
            title=t(f"page.{name}") + (f" ({clips})" if name == "basket" and clips else ""),
            icon=f":material/{icon}:",
            url_path=name,
            default=name == "search",
        )
        for name, icon in icons.items()
    ]
    page = st.navigation(pages, position="top")
    language_switch(t)
    page.run()


app()
