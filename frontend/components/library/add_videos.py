"""The ways to put videos in: drop files, name a folder of the server, take the sample library."""

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from clipseek.api.errors import ClipSeekError, UnreadableVideo
from frontend.components.frame.trouble import told, trouble
from frontend.logic.safe_text import plain
from frontend.shared import services
from frontend.texts import Texts
from frontend.uploads.spool import MOST_TICKET_BYTES, SPOOL

_ROUND = "add.round"  # part of the uploader's key: a new one empties it, so that the page lets go of the files
_SEEN = "add.seen"  # ids of the files that were handed to the queue: a redraw in between shows them again
_REFUSED = "add.refused"  # (name, error) of the files given last that it did not take
_FOLDER = "add.folder"


def add_videos(media_roots: tuple[str, ...], t: Texts) -> None:
    """Draw the ways; what is given goes to the queue at once."""
    round_ = st.session_state.setdefault(_ROUND, 0)
    st.html(_uploader_words(t))
    files = st.file_uploader(
        t("add.drop"), accept_multiple_files=True, key=f"add.files.{round_}", help=t("add.drop.help")
    )
    if files:
        try:
            _queue_all(files)
        finally:
            st.session_state[_ROUND] = round_ + 1
        st.rerun()
    _say_refused(t)
    with st.container(horizontal=True, key="add-others"):
        with st.popover(t("add.folder"), icon=":material/folder_open:", type="tertiary"):
            _server_folder(media_roots, t)
        if st.button(t("samples.title"), icon=":material/movie:", key="add.samples", type="tertiary"):
            with told(t):
                services().ingests.add_samples(t("samples.title"))
                st.rerun()


def _queue_all(files: Sequence[UploadedFile]) -> None:
    """Hand each upload to the queue once, and remember those that it does not take."""
    seen: set[str] = st.session_state.setdefault(_SEEN, set())
    refused: list[tuple[str, ClipSeekError]] = st.session_state.setdefault(_REFUSED, [])
    if not any(file.file_id in seen for file in files):
        refused.clear()
    for file in files:
        if file.file_id not in seen:
            seen.add(file.file_id)
            try:
                _queue(file)
            except ClipSeekError as error:
                refused.append((file.name, error))


def _queue(file: UploadedFile) -> None:
    """Hand an upload to the queue: the file on disk where it is a large one, else what Streamlit holds of it."""
    spooled = SPOOL.take(file.getvalue()) if file.size <= MOST_TICKET_BYTES else None
    if file.size <= MOST_TICKET_BYTES and not spooled:  # no video is so short: at best it is the ticket of one
        raise UnreadableVideo(
            f"'{file.name}' arrived with {file.size} bytes, which are no video. If it has more, put it in once more."
        )
    services().ingests.add_upload(spooled or file, file.name)


def _say_refused(t: Texts) -> None:
    refused: list[tuple[str, ClipSeekError]] = st.session_state.get(_REFUSED, [])
    for name, error in refused:
        st.caption(t("add.refused", name=plain(name)))
        trouble(error, t)
    if refused:
        st.button(t("jobs.dismiss"), icon=":material/delete:", key="add.dismiss", on_click=refused.clear)


def _uploader_words(t: Texts) -> str:
    """Our words over those that Streamlit writes into its uploader, in English only."""
    words = {
        "button [data-testid=stMarkdownContainer]": "upload.button",
        "[data-testid=stFileUploaderDropzoneInstructions]": "upload.limit",
    }
    rules = (
        f'[class*="st-key-add-files"] {part} > * {{ display: none; }}'
        f'[class*="st-key-add-files"] {part}::after {{ content: "{t(key)}"; }}'
        for part, key in words.items()
    )
    return f"<style>{''.join(rules)}</style>"


def _server_folder(media_roots: tuple[str, ...], t: Texts) -> None:
    if not media_roots:
        st.markdown(t("add.folder.none"))
        return
    st.markdown(t("add.folder.roots", folders=", ".join(plain(root) for root in media_roots)))
    folder = st.text_input(t("add.folder.path"), key=_FOLDER, placeholder=media_roots[0])
    if st.button(t("add.folder.go"), key="add.folder.go", type="primary") and folder.strip():
        with told(t):
            count = services().ingests.add_server_videos(folder.strip())
            st.toast(t("add.folder.found", count=count))
            st.rerun()
