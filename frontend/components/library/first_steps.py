"""What an empty library teaches: what this is for, and the two ways to begin."""

import streamlit as st

from frontend.components.frame.trouble import told
from frontend.shared import services
from frontend.texts import Texts


def first_steps(t: Texts, *, with_upload: bool) -> None:
    """Draw the empty state. `with_upload` adds the way to the library page, where videos are put in."""
    with st.container(key="first-steps", horizontal_alignment="center"):
        steps = "".join(
            f"<li><b>{t(f'empty.step{number}')}</b><span>{t(f'empty.step{number}.more')}</span></li>"
            for number in (1, 2, 3)
        )
        st.html(f'<div class="cs-empty"><h3>{t("empty.title")}</h3><ol class="cs-steps">{steps}</ol></div>')
        with st.container(horizontal=True, horizontal_alignment="center", key="first-buttons"):
            if st.button(t("empty.samples"), icon=":material/movie:", type="primary", key="first.samples"):
                with told(t):
                    services().ingests.add_samples(t("samples.title"))
                    st.switch_page("views/library.py")
            if with_upload and st.button(t("empty.upload"), icon=":material/upload:", key="first.upload"):
                st.switch_page("views/library.py")
