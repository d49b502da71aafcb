"""A moment, played: exactly its `[start, end)`, cut out by the server, so that no video is loaded for it."""

import streamlit as st

from clipseek.api.errors import ClipSeekError
from frontend.components.frame.trouble import trouble
from frontend.media.clips import Cut
from frontend.shared import services
from frontend.texts import Texts


def clip_player(cut: Cut, t: Texts, *, loop: bool = False, autoplay: bool = True) -> None:
    """The clip in place, playing; a message where it cannot be cut."""
    try:
        with st.spinner(t("clip.cutting")):
            path = services().clips.path(cut)
    except ClipSeekError as error:
        trouble(error, t)
        return
    st.video(str(path), autoplay=autoplay, loop=loop)
