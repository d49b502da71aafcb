"""Library: the videos, the jobs in the queue, and the ways to add more."""

import shutil
from collections.abc import Sequence

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.limits import WORDS
from frontend.components.elements import card_grid, heading, muted
from frontend.components.library.add_videos import add_videos, first_steps
from frontend.components.library.jobs_panel import jobs_panel
from frontend.components.library.video_card import video_card, video_thumbnail
from frontend.components.messages import page_disk_banner, show_page_error, state_banner
from frontend.components.model_banner import model_banner
from frontend.components.visitor import texts
from frontend.logic.service_health import service_state
from frontend.logic.video_list import SORTS, list_videos
from frontend.services import health, services
from frontend.texts import Texts

_FIND, _SORT, _PAGE = "library.find", "library.sort", "library.page"
_PAGE_SIZE = 24


def library_page(t: Texts) -> None:
    heading(t("page.library"))
    try:
        videos = services().client.videos()
        state = service_state(health())
    except ClipSeekError as error:
        show_page_error(error, t)
        jobs_panel(t)
        return
    state_banner(state, t)
    page_disk_banner(shutil.disk_usage(services().folder).free, t)
    add_videos(state.media_roots, t)
    jobs_panel(t)
    if videos:
        text, sort = _list_options(t)
        _cards(list_videos(videos, text, sort), t)
    elif not services().queue.jobs():
        first_steps(t, with_upload=False)
    model_banner(state, t)


def _list_options(t: Texts) -> tuple[str, str]:
    """The boxes above the videos. Returns: words of the title, and one of `SORTS`."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="library-bar"):
        text = st.text_input(
            t("library.find"),
            key=_FIND,
            placeholder=t("library.find"),
            label_visibility="collapsed",
            icon=":material/search:",
            on_change=_go_to_page,
        )
        sort = st.selectbox(
            t("library.sort"),
            list(SORTS),
            key=_SORT,
            format_func=lambda name: t(f"sort.{name}"),
            label_visibility="collapsed",
            width=190,
            on_change=_go_to_page,
        )
    return text, sort


def _cards(videos: Sequence[Video], t: Texts) -> None:
    pages = max(-(-len(videos) // _PAGE_SIZE), 1)
    page = min(st.session_state.get(_PAGE, 0), pages - 1)
    first = page * _PAGE_SIZE
    shown = videos[first : first + _PAGE_SIZE]
    services().thumbnails.prefetch(video_thumbnail(video) for video in shown)
    muted(t.plural("library.count", len(videos)))
    queued = {(job.video_id or job.title) for job in services().queue.jobs() if job.is_active and job.stage != WORDS}
    card_grid(shown, lambda video: video_card(video, t, in_queue=bool({video.video_id, video.title} & queued)))
    if pages > 1:
        _page_buttons(page, pages, f"{first + 1} - {first + len(shown)} / {len(videos)}", t)


def _page_buttons(page: int, pages: int, position: str, t: Texts) -> None:
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", key="library-pager"):
        for key, icon, target in (
            ("library.previous", "chevron_left", page - 1),
            ("library.next", "chevron_right", page + 1),
        ):
            st.button(
                t(key),
                icon=f":material/{icon}:",
                key=key,
                type="tertiary",
                disabled=not 0 <= target < pages,
                on_click=_go_to_page,
                args=(target,),
            )
        muted(position, stretch=False)


def _go_to_page(page: int = 0) -> None:
    st.session_state[_PAGE] = page


library_page(texts())
