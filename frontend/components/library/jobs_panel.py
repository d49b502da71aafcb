"""The videos in the queue: stage, percent and time left, drawn again each second while one of them is active."""

from collections.abc import Callable

import streamlit as st

from clipseek.api.formats import duration
from clipseek.api.limits import WORDS
from frontend.components.elements import title_html
from frontend.components.messages import show_error
from frontend.services import services
from frontend.texts import Texts
from frontend.uploads.job import CANCELLED, FAILED, RUNNING, WAITING, Job

_MOST_SHOWN = 30  # they are drawn again each second
_FINISHED = "jobs.finished"  # how many jobs had finished when the page was drawn


def jobs_panel(t: Texts) -> None:
    """Draw the jobs. When one finishes, the whole page is drawn again to show its video."""
    st.session_state[_FINISHED] = services().queue.finished
    jobs = services().queue.jobs()
    if jobs:
        seconds = 1.0 if any(job.is_active for job in jobs) else None
        st.fragment(_jobs, run_every=seconds)(t, is_timed=seconds is not None)


def _jobs(t: Texts, *, is_timed: bool) -> None:
    queue = services().queue
    jobs = queue.jobs()
    if queue.finished != st.session_state.get(_FINISHED):
        st.toast(t("jobs.done"), icon=":material/check_circle:")
        st.rerun()
    with st.container(key="jobs"):
        st.html(f'<div class="cs-section">{t("jobs.title")}</div>')
        for job in jobs[:_MOST_SHOWN]:
            _job(job, t)
        if len(jobs) > _MOST_SHOWN:
            st.caption(t.plural("jobs.more", len(jobs) - _MOST_SHOWN))
        if any(job.is_active for job in jobs):
            st.caption(t("jobs.tab_hint"))
            if not is_timed:  # a click has just started a job, and only a run of the whole page can set the timer
                st.rerun()


def _job(job: Job, t: Texts) -> None:
    queue = services().queue
    with st.container(border=True, key=f"job-{job.key}"):
        with st.container(horizontal=True, vertical_alignment="center", key=f"job-row-{job.key}"):
            st.html(job_html(job, t), width="stretch")
            if job.is_active:
                _button(job, "cancel", "close", t("jobs.cancel"), queue.cancel)
            else:
                _button(job, "retry", "refresh", t(f"jobs.{job.state}.retry"), queue.retry)
                _button(job, "dismiss", "delete", t("jobs.dismiss"), queue.dismiss)
        if job.state == FAILED and job.error:
            show_error(job.error, t)


def _button(job: Job, name: str, icon: str, label: str, change: Callable[[int | str], None]) -> None:
    key = f"job.{name}.{job.key}"
    st.button(label, icon=f":material/{icon}:", key=key, on_click=change, args=(job.key,))


def job_html(job: Job, t: Texts) -> str:
    """The words of a job: its title, its state, and a bar."""
    if job.state == RUNNING:
        stage = t(f"stage.{job.stage}") if job.stage else t("stage.begin")
        left = f" · {t('jobs.left', time=duration(job.left_seconds))}" if job.left_seconds is not None else ""
        state = f"{stage} · {100 * job.fraction:.0f} %{left}"
    else:
        state = t("jobs.waiting_for_server" if job.state == WAITING and job.error else f"jobs.{job.state}")
        state = f"{t('stage.words')} · {state}" if job.stage == WORDS else state
    bar = f'<div class="cs-bar cs-long"><i style="width:{100 * job.fraction:.1f}%"></i></div>'
    return (
        f'{title_html(job.title)}<div class="cs-soft">{state}</div>{bar if job.state in (RUNNING, CANCELLED) else ""}'
    )
