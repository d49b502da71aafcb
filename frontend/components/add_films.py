"""The ways to put films in: drop files, name a folder of the server, take the sample library."""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from clipseek.errors import ClipSeekError
from frontend.components.trouble import trouble
from frontend.names import plain
from frontend.services import services
from frontend.spool import MOST_TICKET_BYTES, SPOOL
from frontend.texts import Texts

_ROUND = "add.round"  # part of the uploader's key: a new one empties it, so that the page lets go of the files
_FOLDER = "add.folder"


def add_films(media_roots: tuple[str, ...], t: Texts) -> None:
    """Draw the ways; what is given goes to the queue at once."""
    round_ = st.session_state.setdefault(_ROUND, 0)
    st.html(_uploader_words(t))
    files = st.file_uploader(
        t("add.drop"), accept_multiple_files=True, key=f"add.files.{round_}", help=t("add.drop.help")
    )
    if files:
        for file in files:
            try:
                _queue(file)
            except ClipSeekError as error:
                trouble(error, t)
                return
        st.session_state[_ROUND] += 1
        st.rerun()
    with st.container(horizontal=True, key="add-others"):
        with st.popover(t("add.folder"), icon=":material/folder_open:", type="tertiary"):
            _server_folder(media_roots, t)
        if st.button(t("samples.title"), icon=":material/movie:", key="add.samples", type="tertiary"):
            services().ingests.add_samples(t("samples.title"))
            st.rerun()


def _queue(file: UploadedFile) -> None:
    """Hand an upload to the queue: the file on disk where it is a large one, else what Streamlit holds of it."""
    spooled = SPOOL.take(file.getvalue()) if file.size <= MOST_TICKET_BYTES else None
    services().ingests.add_upload(spooled or file, file.name)


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
        try:
            count = services().ingests.add_server_films(folder.strip())
        except ClipSeekError as error:
            trouble(error, t)
            return
        st.toast(t("add.folder.found", count=count))
        st.rerun()
