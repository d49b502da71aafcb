"""Library: what is there, what is on its way, and how more comes in."""

from collections.abc import Sequence

import streamlit as st

from clipseek.errors import ClipSeekError
from clipseek.schema import Video
from frontend.components import language
from frontend.components.add_films import add_films
from frontend.components.first_steps import first_steps
from frontend.components.jobs_panel import jobs_panel
from frontend.components.trouble import model_banner, state_banner, trouble
from frontend.components.video_card import still_of, video_card
from frontend.health import service_state
from frontend.library_view import SORTS, arranged
from frontend.services import health, services
from frontend.texts import Texts

_FIND, _SORT, _SHOWN = "library.find", "library.sort", "library.shown"
_COLUMNS = 3
_PAGE_SIZE = 24


def library_page(t: Texts) -> None:
    st.html(f'<div class="cs-head"><h2>{t("page.library")}</h2></div>')
    try:
        videos = services().client.videos()
        state = service_state(health())
    except ClipSeekError as error:
        trouble(error, t)
        jobs_panel(t)
        return
    state_banner(state, t)
    add_films(state.media_roots, t)
    jobs_panel(t)
    if videos:
        _cards(videos, t)
    elif not services().ingests.jobs():
        first_steps(t, with_upload=False)
    model_banner(state, t)


def _cards(videos: Sequence[Video], t: Texts) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="library-bar"):
        text = st.text_input(
            t("library.find"),
            key=_FIND,
            placeholder=t("library.find"),
            label_visibility="collapsed",
            icon=":material/search:",
        )
        sort = st.selectbox(
            t("library.sort"),
            list(SORTS),
            key=_SORT,
            format_func=lambda name: t(f"sort.{name}"),
            label_visibility="collapsed",
            width=190,
        )
    found = arranged(videos, text, sort)
    shown = found[: st.session_state.setdefault(_SHOWN, _PAGE_SIZE)]
    services().pictures.prefetch(still_of(video) for video in shown)
    st.html(f'<span class="cs-soft">{_count(len(shown), len(found), t)}</span>')
    active = {(job.video_id or job.title) for job in services().ingests.jobs() if job.is_active}
    for first in range(0, len(shown), _COLUMNS):
        for column, video in zip(st.columns(_COLUMNS), shown[first : first + _COLUMNS], strict=False):
            with column:
                video_card(video, t, under_way=bool({video.video_id, video.title} & active))
    if len(shown) < len(found):
        with st.container(horizontal_alignment="center", key="more"):
            st.button(t("results.more"), icon=":material/expand_more:", key="library.more", on_click=_show_more)


def _count(shown: int, found: int, t: Texts) -> str:
    if shown < found:
        return t("library.count.part", shown=shown, count=found)
    return t("library.count.one") if found == 1 else t("library.count", count=found)


def _show_more() -> None:
    st.session_state[_SHOWN] += _PAGE_SIZE


library_page(language.texts())
