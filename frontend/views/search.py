"""Search: one box, the moments that fit."""

import streamlit as st

from clipseek.api.errors import ClipSeekError
from frontend.components.frame import language
from frontend.components.frame.trouble import model_banner, page_trouble, state_banner
from frontend.components.library.first_steps import first_steps
from frontend.components.search.results import results
from frontend.components.search.search_form import look_for, search_form
from frontend.logic.search_address import Ask
from frontend.logic.service_health import service_state
from frontend.shared import health, services
from frontend.texts import Texts, load

EXAMPLES = ("example.1", "example.2", "example.3")


def search_page(t: Texts) -> None:
    try:
        videos = services().client.videos()
        state = service_state(health())
    except ClipSeekError as error:
        page_trouble(error, t)
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
        with st.container(horizontal=True, horizontal_alignment="center", key="examples"):
            words = load("en") if state.is_starter else t  # it reads English only
            for key in EXAMPLES:
                st.button(words(key), key=key, on_click=look_for, args=(Ask(text=words(key)),))
    else:
        results(ask, videos, t)
    model_banner(state, t)


search_page(language.texts())
