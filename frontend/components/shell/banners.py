"""Lines about the service: which model answers, what is down, which disk is nearly full."""

import streamlit as st

from frontend.logic.safe_text import escape_markdown
from frontend.logic.service_health import LOW_DISK_BYTES, ServiceState
from frontend.texts import Texts


def model_banner(state: ServiceState, t: Texts) -> None:
    """Name the model that answers; for the starter model also say its limits and how to get a better one."""
    if not state.is_starter:
        st.caption(t("model.name", model=escape_markdown(state.model), device=escape_markdown(state.device)))
        for warning in state.warnings:
            st.caption(escape_markdown(warning))
        return
    with (
        st.container(key="starter", horizontal=True, vertical_alignment="center"),
        st.popover(t("model.starter"), icon=":material/info:", type="tertiary"),
    ):
        st.markdown(t("model.starter.limits"))
        st.markdown(t("model.starter.upgrade"))


def state_banner(state: ServiceState, t: Texts) -> None:
    """Warn while an executor is down or the server's disk is nearly full."""
    if state.down:
        st.warning(t("service.degraded", names=", ".join(state.down)), icon=":material/restart_alt:")
    _disk_warning("disk.server_low", state.free_bytes, t)


def page_disk_banner(free_bytes: int, t: Texts) -> None:
    """Warn while the page's own disk, which holds uploads for a while, is nearly full."""
    _disk_warning("disk.page_low", free_bytes, t)


def _disk_warning(key: str, free_bytes: int, t: Texts) -> None:
    if free_bytes < LOW_DISK_BYTES:
        st.warning(t(key, free=f"{free_bytes / 1e9:.1f} GB"), icon=":material/hard_drive:")
