"""Plays a clip. The server cuts exactly `[start, end)`, so the browser never loads the whole video."""

import streamlit as st

from clipseek.api.errors import ClipSeekError
from frontend.components.shell.errors import show_error
from frontend.media.clips import ClipKey
from frontend.services import services
from frontend.texts import Texts


def clip_player(key: ClipKey, t: Texts, *, loop: bool = False) -> None:
    """Play the clip, or show why it cannot be cut."""
    try:
        with st.spinner(t("clip.cutting")):
            path = services().clips.path(key)
    except ClipSeekError as error:
        show_error(error, t)
        return
    st.video(str(path), autoplay=True, loop=loop)
