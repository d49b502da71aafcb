"""Which model answers, what to know about it, and the change to another one."""

from collections.abc import Sequence

import streamlit as st

from clipseek.api.documents import Model
from clipseek.api.errors import ClipSeekError
from clipseek.api.limits import ANSWERS, CHANGING
from clipseek.config.profiles import short_name
from frontend.components.messages import errors_shown
from frontend.logic.safe_text import escape_markdown
from frontend.logic.service_health import ServiceState
from frontend.services import health, library_models, services
from frontend.texts import Texts

_CHOICE = "model.choice"
_POLL_SECONDS = 2.0  # of the progress of a change


def model_banner(state: ServiceState, t: Texts) -> None:
    """Name the model that answers; for the starter model also say its limits. Offer the others."""
    models = _list_models()
    answering = next((model.name for model in models if model.state == ANSWERS), state.model)
    is_starter = answering.startswith("starter")
    if not is_starter:
        st.caption(t("model.name", model=escape_markdown(answering), device=escape_markdown(state.device)))
        for warning in state.warnings:
            st.caption(escape_markdown(warning))
    with (
        st.container(key="starter", horizontal=True, vertical_alignment="center"),
        st.popover(t("model.starter" if is_starter else "model.other"), icon=":material/info:", type="tertiary"),
    ):
        if is_starter:
            st.markdown(t("model.starter.limits"))
            st.markdown(t("model.starter.upgrade"))
        _choice(models, t)
    if any(model.state == CHANGING for model in models):
        st.fragment(_progress, run_every=_POLL_SECONDS)(t)


def _list_models() -> list[Model]:
    """The library's models; none where the server does not answer, or is of an earlier version."""
    try:
        return library_models()
    except ClipSeekError:
        return []


def _choice(models: Sequence[Model], t: Texts) -> None:
    others = {model.name: model for model in models if model.state not in (ANSWERS, CHANGING)}
    if not others:
        return
    chosen = st.selectbox(t("model.choose"), others, key=_CHOICE, format_func=lambda name: _label(others[name], t))
    st.caption(t("model.choose.help"))
    if st.button(t("model.use"), key="model.use", icon=":material/swap_horiz:"):
        with errors_shown(t):
            services().client.use_model(chosen, wait=False)
            library_models.clear()
            st.rerun()
    if others[chosen].error:
        st.text(others[chosen].error)


def _label(model: Model, t: Texts) -> str:
    name = short_name(model.name)
    return t("model.kept", model=name, percent=_percent(model)) if model.model_id else name


def _percent(model: Model) -> int:
    return int(100 * model.covered_seconds / model.total_seconds) if model.total_seconds else 100


def _progress(t: Texts) -> None:
    """How far the change is; when it ends, the page is drawn again."""
    changing = [model for model in _list_models() if model.state == CHANGING]
    if not changing:
        health.clear()
        st.rerun()
    [model] = changing
    name = escape_markdown(short_name(model.name))
    st.progress(_percent(model) / 100, text=t("model.changing", model=name, percent=_percent(model)))
    if st.button(t("model.stop"), key="model.stop", icon=":material/close:"):
        with errors_shown(t):
            services().client.cancel_job(model.job_id)
            library_models.clear()
            st.rerun()
