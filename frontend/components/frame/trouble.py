"""Messages: what failed and the way out, what the model cannot do, a disk that fills up."""

import contextlib
from collections.abc import Iterator

import streamlit as st

from clipseek.api.errors import ClipSeekError, ServerError
from frontend.logic.problems import key_of
from frontend.logic.safe_text import plain
from frontend.logic.service_health import LOW_DISK_BYTES, ServiceState
from frontend.shared import services
from frontend.texts import Texts

_LOOK_AGAIN_SECONDS = 5.0


def trouble(error: ClipSeekError, t: Texts) -> None:
    """An error in words, the way out below, and what the server itself says."""
    key = key_of(error)
    st.error(f"**{t(f'problem.{key}')}**  \n{t(f'problem.{key}.way')}", icon=":material/error:")
    with st.expander(t("problem.details")):
        st.text(str(error))


@contextlib.contextmanager
def told(t: Texts) -> Iterator[None]:
    """Tell an error that ends what is done inside."""
    try:
        yield
    except ClipSeekError as error:
        trouble(error, t)


def page_trouble(error: ClipSeekError, t: Texts) -> None:
    """An error instead of a page. Where the server is the cause, the page comes by itself when that is well again."""
    trouble(error, t)
    st.button(t("problem.again"), icon=":material/refresh:", key="trouble.again")
    if isinstance(error, ServerError):
        st.fragment(_look_again, run_every=_LOOK_AGAIN_SECONDS)()


def _look_again() -> None:
    with contextlib.suppress(ClipSeekError):
        services().client.videos()
        st.rerun()


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


def page_disk_banner(free_bytes: int, t: Texts) -> None:
    """The same of the page's own disk, which holds uploads on their way."""
    if free_bytes < LOW_DISK_BYTES:
        st.warning(t("disk.page_low", free=_in_gb(free_bytes)), icon=":material/hard_drive:")


def _in_gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
