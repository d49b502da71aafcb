"""What the page says about errors and the service: what failed, what is down, which disk is nearly full."""

import contextlib
from collections.abc import Iterator

import streamlit as st

from clipseek.api.errors import ClipSeekError, ServerError
from frontend.logic.problems import problem_key
from frontend.logic.service_health import LOW_DISK_BYTES, ServiceState
from frontend.services import services
from frontend.texts import Texts

_RETRY_SECONDS = 5.0


def show_error(error: ClipSeekError, t: Texts) -> None:
    """Show what failed and what to do, with the error's own message folded below."""
    key = problem_key(error)
    st.error(f"**{t(f'problem.{key}')}**  \n{t(f'problem.{key}.fix')}", icon=":material/error:")
    with st.expander(t("problem.details")):
        st.text(str(error))


@contextlib.contextmanager
def errors_shown(t: Texts) -> Iterator[None]:
    """Show an error that ends the block, in place of raising it."""
    try:
        yield
    except ClipSeekError as error:
        show_error(error, t)


def show_page_error(error: ClipSeekError, t: Texts) -> None:
    """Show an error in place of a page. If the server caused it, the page returns by itself once the server is well."""
    show_error(error, t)
    st.button(t("problem.retry"), icon=":material/refresh:", key="error.retry")
    if isinstance(error, ServerError):
        st.fragment(_retry, run_every=_RETRY_SECONDS)()


def _retry() -> None:
    with contextlib.suppress(ClipSeekError):
        services().client.videos()
        st.rerun()


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
