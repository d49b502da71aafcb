"""The ways to add videos: files, a server folder, the sample library; and what an empty library shows."""

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from clipseek.api.errors import ClipSeekError, UnreadableVideo
from frontend.components.elements import uploader_texts
from frontend.components.messages import errors_shown, show_error
from frontend.logic.safe_text import escape_markdown
from frontend.services import services
from frontend.texts import Texts
from frontend.uploads.quirks import SPOOL, TICKET_BYTES

_ROUND = "add.round"  # part of the uploader's key: a new number empties the uploader, which frees its files
_QUEUED = "add.queued"  # ids of the files that went to the queue: another run may show them once more
_REJECTED = "add.rejected"  # (name, error) of each of the last files that the queue refused
_FOLDER = "add.folder"


def add_videos(media_roots: tuple[str, ...], t: Texts) -> None:
    """Draw the ways. What is added goes to the queue at once."""
    round_ = st.session_state.setdefault(_ROUND, 0)
    uploader_texts("add-files", t("upload.button"), t("upload.limit"))
    files = st.file_uploader(
        t("add.drop"), accept_multiple_files=True, key=f"add.files.{round_}", help=t("add.drop.help")
    )
    if files:
        try:
            _queue_all(files)
        finally:
            st.session_state[_ROUND] = round_ + 1
        st.rerun()
    _show_rejected(t)
    with st.container(horizontal=True, key="add-others"):
        with st.popover(t("add.folder"), icon=":material/folder_open:", type="tertiary"):
            _server_folder(media_roots, t)
        if st.button(t("samples.title"), icon=":material/movie:", key="add.samples", type="tertiary"):
            with errors_shown(t):
                services().queue.add_samples(t("samples.title"))
                st.rerun()


def _queue_all(files: Sequence[UploadedFile]) -> None:
    queued: set[str] = st.session_state.setdefault(_QUEUED, set())
    rejected: list[tuple[str, ClipSeekError]] = st.session_state.setdefault(_REJECTED, [])
    if not any(file.file_id in queued for file in files):
        rejected.clear()
    for file in files:
        if file.file_id not in queued:
            queued.add(file.file_id)
            try:
                _queue(file)
            except ClipSeekError as error:
                rejected.append((file.name, error))


def _queue(file: UploadedFile) -> None:
    """Queue an upload: the file on disk if it is a large one, else the content that Streamlit holds."""
    spooled = SPOOL.take(file.getvalue()) if file.size <= TICKET_BYTES else None
    if file.size <= TICKET_BYTES and not spooled:  # too short for a video: at best a ticket that has expired
        raise UnreadableVideo(f"'{file.name}' arrived with {file.size} bytes, too few for a video. Upload it again.")
    services().queue.add_upload(spooled or file, file.name)


def _show_rejected(t: Texts) -> None:
    rejected: list[tuple[str, ClipSeekError]] = st.session_state.get(_REJECTED, [])
    for name, error in rejected:
        st.caption(t("add.rejected", name=escape_markdown(name)))
        show_error(error, t)
    if rejected:
        st.button(t("jobs.dismiss"), icon=":material/delete:", key="add.dismiss", on_click=rejected.clear)


def _server_folder(media_roots: tuple[str, ...], t: Texts) -> None:
    if not media_roots:
        st.markdown(t("add.folder.none"))
        return
    st.markdown(t("add.folder.roots", folders=", ".join(escape_markdown(root) for root in media_roots)))
    folder = st.text_input(t("add.folder.path"), key=_FOLDER, placeholder=media_roots[0])
    if st.button(t("add.folder.index"), key="add.folder.index", type="primary") and folder.strip():
        with errors_shown(t):
            count = services().queue.add_server_videos(folder.strip())
            st.toast(t.plural("add.folder.queued", count))
            st.rerun()


def first_steps(t: Texts, *, with_upload: bool) -> None:
    """Draw three steps and two ways to start; `with_upload` adds a button to the library page, to add videos there."""
    with st.container(key="first-steps", horizontal_alignment="center"):
        steps = "".join(
            f"<li><b>{t(f'first_steps.{number}')}</b><span>{t(f'first_steps.{number}.more')}</span></li>"
            for number in (1, 2, 3)
        )
        st.html(f'<div class="cs-empty"><h3>{t("first_steps.title")}</h3><ol class="cs-steps">{steps}</ol></div>')
        with st.container(horizontal=True, horizontal_alignment="center", key="first-buttons"):
            if st.button(t("first_steps.samples"), icon=":material/movie:", type="primary", key="first.samples"):
                with errors_shown(t):
                    services().queue.add_samples(t("samples.title"))
                    st.switch_page("views/library.py")
            if with_upload and st.button(t("first_steps.upload"), icon=":material/upload:", key="first.upload"):
                st.switch_page("views/library.py")
