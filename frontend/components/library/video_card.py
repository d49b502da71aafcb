"""A video of the library as a card: its picture, length, size and status, and what can be done with it."""

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import size, timestamp
from clipseek.api.limits import MAX_TITLE_LENGTH
from frontend.components.frame.trouble import told, trouble
from frontend.components.player.video_timeline import open_timeline
from frontend.components.search.search_form import look_for
from frontend.logic.safe_text import escaped, plain, shortened
from frontend.logic.search_address import Ask
from frontend.logic.video_list import done_fraction
from frontend.media.thumbnails import Still
from frontend.shared import services
from frontend.texts import Texts

_TITLE = "video.title"  # the box of the dialog that renames


def still_of(video: Video) -> Still:
    """The picture that stands for a video: a tenth into it, where titles have gone and something is to be seen."""
    return Still(video.video_id, round(video.duration_seconds / 10, 3))


@st.fragment
def video_card(video: Video, t: Texts, *, under_way: bool) -> None:
    """Draw a video. `under_way`: a job works on it at the moment."""
    name = video.video_id[:12]
    with st.container(border=True, key=f"video-{name}"):
        picture = services().pictures.get(still_of(video))
        with st.container(key=f"still-{name}"):
            if picture:
                st.image(picture, width="stretch")
            else:
                st.html('<div class="cs-nothing"></div>')
        st.html(video_words(video, t, under_way=under_way))
        with st.container(horizontal=True, key=f"tools-video-{name}", gap="small"):
            _tools(video, name, t, under_way=under_way)


def video_words(video: Video, t: Texts, *, under_way: bool) -> str:
    """The words of a card in HTML: title, length and sizes, status."""
    percent = f" · {100 * done_fraction(video):.0f} %" if video.status != "ready" else ""
    status = "indexing" if under_way else video.status if video.status == "ready" else "interrupted"
    shape = f"{video.width} × {video.height}"
    return (
        f'<div class="cs-title" title="{escaped(video.title)}">{escaped(video.title)}</div>'
        f'<div class="cs-meta"><span>{timestamp(video.duration_seconds)} · {size(video.size_bytes)} · {shape}</span>'
        f'<span class="cs-status cs-{status}">{t(f"status.{status}")}{percent}</span></div>'
    )


def _tools(video: Video, name: str, t: Texts, *, under_way: bool) -> None:
    interrupted = video.status != "ready" and not under_way
    if interrupted and st.button(
        t("video.resume"), icon=":material/play_arrow:", key=f"video.resume.{name}", type="tertiary"
    ):
        with told(t):
            services().ingests.resume(video.video_id, video.title, video.size_bytes)
            st.rerun()
    if _tool("search", t("video.search"), f"video.search.{name}"):
        look_for(Ask(videos=(video.video_id,)))
        st.switch_page("views/search.py")
    if _tool("show_chart", t("card.timeline"), f"video.timeline.{name}"):
        open_timeline(video.video_id)
    if _tool("edit", t("video.rename"), f"video.rename.{name}"):
        _rename(video, t)
    if _tool("delete", t("video.delete"), f"video.delete.{name}"):
        _delete(video, t)


def _tool(icon: str, what: str, key: str) -> bool:
    return st.button(what, icon=f":material/{icon}:", key=key, help=what, type="tertiary")


def _rename(video: Video, t: Texts) -> None:
    st.session_state[_TITLE] = video.title
    st.dialog(t("video.rename"))(rename_form)(video, t)


def rename_form(video: Video, t: Texts) -> None:
    """A box with the title, and a button that keeps it."""
    title = st.text_input(t("video.new_title"), key=_TITLE, max_chars=MAX_TITLE_LENGTH)
    if st.button(t("video.rename.do"), key="video.rename.do", type="primary", disabled=not title.strip()):
        try:
            services().client.rename(video.video_id, title)
        except ClipSeekError as error:
            trouble(error, t)
        else:
            st.rerun()


def _delete(video: Video, t: Texts) -> None:
    st.dialog(t("video.delete"))(delete_question)(video, t)


def delete_question(video: Video, t: Texts) -> None:
    """The question whether a video shall go, with the buttons for both answers."""
    st.markdown(t("video.delete.question", title=plain(shortened(video.title, 80))))
    with st.container(horizontal=True):
        if st.button(t("video.delete.do"), key="video.delete.do", type="primary", icon=":material/delete:"):
            try:
                services().client.delete(video.video_id)
            except ClipSeekError as error:
                trouble(error, t)
            else:
                st.rerun()
        if st.button(t("video.delete.no"), key="video.delete.no"):
            st.rerun()
