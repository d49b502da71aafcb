"""The videos on their way in: stage, percent and time left, redrawn each second while there is something to see."""

from collections.abc import Callable

import streamlit as st

from clipseek.api.formats import duration
from frontend.components.frame.trouble import trouble
from frontend.logic.safe_text import escaped
from frontend.shared import services
from frontend.texts import Texts
from frontend.uploads.queue import CANCELLED, FAILED, RUNNING, WAITING, Job

_SEEN = "jobs.seen"  # how many jobs had finished when the page was drawn


def jobs_panel(t: Texts) -> None:
    """Draw the jobs; when one finishes the whole page is drawn anew, with the video it brought."""
    st.session_state[_SEEN] = services().ingests.finished
    jobs = services().ingests.jobs()
    if jobs:
        every = 1.0 if any(job.is_active for job in jobs) else None
        st.fragment(_jobs, run_every=every)(t, is_timed=every is not None)


def _jobs(t: Texts, *, is_timed: bool) -> None:
    ingests = services().ingests
    jobs = ingests.jobs()
    if ingests.finished != st.session_state.get(_SEEN):
        st.toast(t("jobs.done"), icon=":material/check_circle:")
        st.rerun()
    with st.container(key="jobs"):
        st.html(f'<div class="cs-section">{t("jobs.title")}</div>')
        for job in jobs:
            _job(job, t)
        if any(job.is_active for job in jobs):
            st.caption(t("jobs.leave"))
            if not is_timed:  # a click has just set a job going, and only the whole page can begin to redraw the panel
                st.rerun()


def _job(job: Job, t: Texts) -> None:
    ingests = services().ingests
    with st.container(border=True, key=f"job-{job.number}"):
        with st.container(horizontal=True, vertical_alignment="center", key=f"job-row-{job.number}"):
            st.html(job_words(job, t), width="stretch")
            if job.is_active:
                _button(job, "cancel", "close", t("jobs.cancel"), ingests.cancel)
            else:
                _button(job, "retry", "refresh", t(f"jobs.{job.state}.retry"), ingests.retry)
                _button(job, "dismiss", "delete", t("jobs.dismiss"), ingests.dismiss)
        if job.state == FAILED and job.error:
            trouble(job.error, t)


def _button(job: Job, name: str, icon: str, label: str, act: Callable[[int], None]) -> None:
    st.button(label, icon=f":material/{icon}:", key=f"job.{name}.{job.number}", on_click=act, args=(job.number,))


def job_words(job: Job, t: Texts) -> str:
    """A job in HTML: its title, where it is, and a bar."""
    if job.state == RUNNING:
        stage = t(f"stage.{job.stage}") if job.stage else t("stage.begin")
        left = f" · {t('jobs.left', time=duration(job.left_seconds))}" if job.left_seconds is not None else ""
        state = f"{stage} · {100 * job.fraction:.0f} %{left}"
    else:
        state = t("jobs.away") if job.state == WAITING and job.error else t(f"jobs.{job.state}")
    bar = f'<div class="cs-bar cs-long"><i style="width:{100 * job.fraction:.1f}%"></i></div>'
    return (
        f'<div class="cs-title" title="{escaped(job.title)}">{escaped(job.title)}</div>'
        f'<div class="cs-soft">{state}</div>{bar if job.state in (RUNNING, CANCELLED) else ""}'
    )
