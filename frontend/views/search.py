"""Search: one box, and the matches below it."""

import streamlit as st

from clipseek.api.errors import ClipSeekError
from frontend.components.library.add_videos import first_steps
from frontend.components.messages import show_page_error, state_banner
from frontend.components.model_banner import model_banner
from frontend.components.search.examples import examples
from frontend.components.search.results import results
from frontend.components.search.search_form import search_form
from frontend.components.visitor import texts
from frontend.logic.service_health import service_state
from frontend.services import health, services
from frontend.texts import Texts


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
        examples(videos, t)
    else:
        results(ask, videos, t)
    model_banner(state, t)


search_page(texts())
