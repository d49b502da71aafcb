"""Search: one box, and the matches below it."""

import streamlit as st

from clipseek.api.errors import ClipSeekError
from frontend.components.library.add_videos import first_steps
from frontend.components.messages import model_banner, show_page_error, state_banner
from frontend.components.search.results import results
from frontend.components.search.search_form import search_form, start_search
from frontend.components.visitor import texts
from frontend.logic.search_address import Ask
from frontend.logic.service_health import service_state
from frontend.services import health, services
from frontend.texts import Texts

EXAMPLES = ("example.1", "example.2", "example.3")


def search_page(t: Texts) -> None:
    try:
        videos = services().client.videos()
        state = service_state(health())
    except ClipSeekError as error:
        show_page_error(error, t)
        return
    if not videos:
        st.html(f'<div class="cs-hero"><h1>{t("search.title")}</h1></div>')
        first_steps(t, with_upload=True)
        model_banner(state, t)
        return
    hero = st.empty()
    ask = search_form(videos, t)
    state_banner(state, t)
    if ask.is_empty:
        hero.html(f'<div class="cs-hero"><h1>{t("search.title")}</h1><p>{t("search.subtitle")}</p></div>')
        _examples(t)
    else:
        results(ask, videos, t)
    model_banner(state, t)


def _examples(t: Texts) -> None:
    """Buttons with a description each."""
    with st.container(horizontal=True, horizontal_alignment="center", key="examples"):
        for key in EXAMPLES:
            text = t(key)
            st.button(text, key=key, on_click=start_search, args=(Ask(text=text),))


search_page(texts())
