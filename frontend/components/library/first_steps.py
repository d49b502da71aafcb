"""What an empty library shows: how ClipSeek works in three steps, and two ways to start."""

import streamlit as st

from frontend.components.shell.errors import errors_shown
from frontend.services import services
from frontend.texts import Texts


def first_steps(t: Texts, *, with_upload: bool) -> None:
    """Draw the steps. `with_upload` adds a button that goes to the library page, where videos are added."""
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
