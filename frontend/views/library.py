"""Library: what is there, what is on its way, and how more comes in."""

import shutil
from collections.abc import Sequence

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from frontend.components.frame import language
from frontend.components.frame.trouble import model_banner, page_disk_banner, page_trouble, state_banner
from frontend.components.library.add_videos import add_videos
from frontend.components.library.first_steps import first_steps
from frontend.components.library.jobs_panel import jobs_panel
from frontend.components.library.video_card import still_of, video_card
from frontend.logic.service_health import service_state
from frontend.logic.video_list import SORTS, arranged
from frontend.shared import health, services
from frontend.texts import Texts

_FIND, _SORT, _PAGE = "library.find", "library.sort", "library.page"
_COLUMNS = 3
_PAGE_SIZE = 24


def library_page(t: Texts) -> None:
    st.html(f'<div class="cs-head"><h2>{t("page.library")}</h2></div>')
    try:
        videos = services().client.videos()
        state = service_state(health())
    except ClipSeekError as error:
        page_trouble(error, t)
        jobs_panel(t)
        return
    state_banner(state, t)
    page_disk_banner(shutil.disk_usage(services().folder).free, t)
    add_videos(state.media_roots, t)
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
            on_change=_turn,
        )
        sort = st.selectbox(
            t("library.sort"),
            list(SORTS),
            key=_SORT,
            format_func=lambda name: t(f"sort.{name}"),
            label_visibility="collapsed",
            width=190,
            on_change=_turn,
        )
    found = arranged(videos, text, sort)
    pages = max(-(-len(found) // _PAGE_SIZE), 1)
    page = min(st.session_state.get(_PAGE, 0), pages - 1)
    first = page * _PAGE_SIZE
    shown = found[first : first + _PAGE_SIZE]
    services().pictures.prefetch(still_of(video) for video in shown)
    count = t("library.count.one") if len(found) == 1 else t("library.count", count=len(found))
    st.html(f'<span class="cs-soft">{count}</span>')
    active = {(job.task.video_id or job.title) for job in services().ingests.jobs() if job.is_active}
    for row in range(0, len(shown), _COLUMNS):
        for column, video in zip(st.columns(_COLUMNS), shown[row : row + _COLUMNS], strict=False):
            with column:
                video_card(video, t, under_way=bool({video.video_id, video.title} & active))
    if pages > 1:
        _pager(page, pages, f"{first + 1} - {first + len(shown)} / {len(found)}", t)


def _pager(page: int, pages: int, where: str, t: Texts) -> None:
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", key="library-pager"):
        ways = (("library.previous", "chevron_left", page - 1), ("library.next", "chevron_right", page + 1))
        for key, icon, to in ways:
            st.button(
                t(key),
                icon=f":material/{icon}:",
                key=key,
                type="tertiary",
                disabled=not 0 <= to < pages,
                on_click=_turn,
                args=(to,),
            )
        st.html(f'<span class="cs-soft">{where}</span>', width="content")


def _turn(page: int = 0) -> None:
    st.session_state[_PAGE] = page


library_page(language.texts())
