"""A video of the library as a card: its thumbnail, length, size and status, and what to do with it."""

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.formats import size, timestamp
from clipseek.api.limits import MAX_TITLE_LENGTH
from frontend.components.elements import thumbnail, title_html, tool_button
from frontend.components.messages import errors_shown
from frontend.components.search.search_form import start_search
from frontend.components.video_timeline import open_timeline
from frontend.logic.safe_text import escape_html, escape_markdown, shorten
from frontend.logic.search_address import Ask
from frontend.logic.video_list import indexed_fraction
from frontend.media.caches import ThumbnailKey
from frontend.services import services
from frontend.texts import Texts

_TITLE = "video.title"  # the box of the dialog that renames


def video_thumbnail(video: Video) -> ThumbnailKey:
    """The frame that stands for a video: a tenth into it, after the opening titles."""
    return ThumbnailKey(video.video_id, round(video.duration_seconds / 10, 3))


@st.fragment
def video_card(video: Video, t: Texts, *, in_queue: bool) -> None:
    """Draw a video. `in_queue`: a job is working on it or waits to."""
    name = video.video_id[:12]
    with st.container(border=True, key=f"video-{name}"):
        with st.container(key=f"still-{name}"):
            thumbnail(video_thumbnail(video))
        st.html(video_html(video, t, in_queue=in_queue))
        if video.status != "ready" and not in_queue:
            _resume_button(video, name, t)
        with st.container(horizontal=True, key=f"tools-video-{name}", gap="small"):
            _tools(video, name, t)


def video_html(video: Video, t: Texts, *, in_queue: bool) -> str:
    """The words of a card: title, length, sizes and status."""
    is_ready = video.status == "ready"
    status = "indexing" if in_queue else "ready" if is_ready else "interrupted"
    percent = "" if is_ready else f" · {100 * indexed_fraction(video):.0f} %"
    shape = f"{video.width} × {video.height}"
    return (
        f'{title_html(video.title)}<div class="cs-meta">'
        f"<span>{timestamp(video.duration_seconds)} · {size(video.size_bytes)} · {shape}</span>"
        f'<span class="cs-status cs-{status}">{t(f"status.{status}")}{percent}</span></div>{_words_html(video, t)}'
    )


def _words_html(video: Video, t: Texts) -> str:
    """Whether the words of a video are read, and in which languages they are."""
    if not video.words:
        return ""
    languages = ", ".join(video.word_languages)
    found = t.plural("words.lines", video.cues) + (f" ({escape_html(languages)})" if languages else "")
    if video.words == "reading":
        found = t("words.reading") + (f" · {found}" if video.cues else "")
    return f'<div class="cs-soft">{found if video.cues or video.words == "reading" else t("words.none")}</div>'


def _resume_button(video: Video, name: str, t: Texts) -> None:
    if st.button(t("video.resume"), icon=":material/play_arrow:", key=f"video.resume.{name}", width="stretch"):
        with errors_shown(t):
            services().queue.resume(video.video_id, video.title, video.size_bytes)
            st.rerun()


def _tools(video: Video, name: str, t: Texts) -> None:
    if tool_button("search", t("video.search"), f"video.search.{name}"):
        start_search(Ask(videos=(video.video_id,)))
        st.switch_page("views/search.py")
    if tool_button("show_chart", t("card.timeline"), f"video.timeline.{name}"):
        open_timeline(video.video_id)
    if video.words != "read" and tool_button("subtitles", t("video.words"), f"video.words.{name}"):
        with errors_shown(t):
            services().queue.read_words(video.video_id)
            st.toast(t("video.words.filed"))
    if tool_button("edit", t("video.rename"), f"video.rename.{name}"):
        st.session_state[_TITLE] = video.title
        st.dialog(t("video.rename"))(rename_form)(video, t)
    if tool_button("delete", t("video.delete"), f"video.delete.{name}"):
        st.dialog(t("video.delete"))(delete_question)(video, t)


def rename_form(video: Video, t: Texts) -> None:
    """A box with the title, and a button that saves it."""
    title = st.text_input(t("video.new_title"), key=_TITLE, max_chars=MAX_TITLE_LENGTH)
    if st.button(t("video.rename.save"), key="video.rename.save", type="primary", disabled=not title.strip()):
        with errors_shown(t):
            services().client.rename(video.video_id, title)
            st.rerun()


def delete_question(video: Video, t: Texts) -> None:
    """Ask before deleting a video, and say what is lost."""
    st.markdown(
        t.plural(
            "video.delete.question",
            video.frames,
            title=escape_markdown(shorten(video.title, 80)),
            size=size(video.size_bytes),
            length=timestamp(video.duration_seconds),
        )
    )
    with st.container(horizontal=True):
        if st.button(t("video.delete.confirm"), key="video.delete.confirm", type="primary", icon=":material/delete:"):
            with errors_shown(t):
                services().client.delete(video.video_id)
                st.rerun()
        if st.button(t("video.delete.cancel"), key="video.delete.cancel"):
            st.rerun()
