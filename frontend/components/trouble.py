"""Messages: what failed and the way out, what the model cannot do, a disk that fills up."""

import streamlit as st

from clipseek.errors import ClipSeekError
from frontend.health import ServiceState
from frontend.names import plain
from frontend.problems import key_of
from frontend.texts import Texts


def trouble(error: ClipSeekError, t: Texts) -> None:
    """An error in words, the way out below, and what the server itself says."""
    key = key_of(error)
    st.error(f"**{t(f'problem.{key}')}**  \n{t(f'problem.{key}.way')}", icon=":material/error:")
    with st.expander(t("problem.details")):
        st.text(str(error))


def model_banner(state: ServiceState, t: Texts) -> None:
    """Which model answers; for the starter also what is lost and how to get more."""
    if not state.is_starter:
        st.caption(t("model.name", model=plain(state.model), device=plain(state.device)))
        for warning in state.warnings:
            st.caption(plain(warning))
        return
    with (
        st.container(key="starter", horizontal=True, vertical_alignment="center"),
        st.popover(t("model.starter"), icon=":material/info:", type="tertiary"),
    ):
        st.markdown(t("model.starter.lost"))
        st.markdown(t("model.starter.more"))


def state_banner(state: ServiceState, t: Texts) -> None:
    """A warning while a part of the service is down, or while there is little room on its disk."""
    if state.down:
        st.warning(t("service.degraded", names=", ".join(state.down)), icon=":material/restart_alt:")
    if state.is_disk_low:
        st.warning(t("disk.low", free=_in_gb(state.free_bytes)), icon=":material/hard_drive:")


def _in_gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
