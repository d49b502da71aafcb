"""The jobs of the service as the page shows them: its own, and those of other programs for the same library."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from clipseek import Client
from clipseek.api import documents, errors
from clipseek.api.limits import DONE, INDEX, RUNNING, WAITING, WORDS
from clipseek.client import Progress, error_of
from frontend.uploads.job import FAILED, Job, ProgressMeter

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 0.5  # all open tabs share an answer of this age


class ServiceJobs:
    """The unfinished, failed and cancelled jobs of the service. Any thread may use it.

    Args:
        retry_seconds: pause after the server could not be reached.
    """

    def __init__(self, client: Client, clock: Callable[[], float], retry_seconds: float) -> None:
        self._client, self._clock, self._retry_seconds = client, clock, retry_seconds
        self._jobs: dict[str, Job] = {}
        self._meters: dict[str, ProgressMeter] = {}
        self._ask_at = 0.0
        self._asking = threading.Lock()
        self.finished = 0  # how many have succeeded; jobs that had ended before this page knew them do not count

    def jobs(self) -> list[Job]:
        """The jobs as they are now; as they were last, while the server cannot be reached."""
        if self._clock() >= self._ask_at and self._asking.acquire(blocking=False):
            try:
                self._take(self._client.jobs(), is_all=True)
                self._ask_at = self._clock() + _FRESH_SECONDS
            except errors.ClipSeekError as error:
                logger.info("the jobs cannot be listed: %s", error)
                self._ask_at = self._clock() + self._retry_seconds
            finally:
                self._asking.release()
        return list(self._jobs.values())

    def add(self, filed: Iterable[documents.Job]) -> None:
        """Show jobs that have just been filed."""
        with self._asking:
            self._take(filed, is_all=False)

    def cancel(self, job_id: str, *, forget: bool = False) -> None:
        """Cancel a job; `forget` removes it from the list, too. While the server is away, nothing happens."""
        try:
            job = self._client.cancel_job(job_id, forget=forget)
        except errors.NotFound:
            forget = True
        except errors.ClipSeekError as error:
            logger.warning("The job %s cannot be cancelled: %s", job_id, error)
            return
        with self._asking:
            if forget:
                self._jobs.pop(job_id, None)
            else:
                self._take([job], is_all=False)

    def _take(self, listed: Iterable[documents.Job], *, is_all: bool) -> None:
        """Show these jobs: as all there are, or in place of those of the same videos.

        Words of many videos may wait for a long time: of those only the next one is shown.
        """
        listed, known = _list_shown(listed), self._jobs
        replaced = {(job.video_id, job.kind) for job in listed}
        jobs = {} if is_all else {key: job for key, job in known.items() if (job.video_id, job.stage) not in replaced}
        for job in listed:
            was_active = job.job_id not in known or known[job.job_id].is_active
            if job.state != DONE:
                jobs[job.job_id] = self._shown(job)
            elif job.job_id in known or not is_all:
                self.finished += was_active
        self._jobs = jobs
        self._meters = {job_id: meter for job_id, meter in self._meters.items() if job_id in jobs}

    def _shown(self, job: documents.Job) -> Job:
        fraction = job.done_seconds / job.total_seconds if job.total_seconds else 0.0
        shown = Job(job.job_id, job.title, job.video_id, job.state, job.kind, fraction)
        if job.state == FAILED:
            return replace(shown, error=error_of(job))
        if job.state != RUNNING:
            return shown
        meter = self._meters.setdefault(job.job_id, ProgressMeter(self._clock))
        stage, fraction, left_seconds = meter.measure(Progress(job.kind, job.done_seconds, job.total_seconds))
        return replace(shown, stage=stage, fraction=fraction, left_seconds=left_seconds)


def _list_shown(jobs: Iterable[documents.Job]) -> list[documents.Job]:
    shown = [job for job in jobs if job.kind in (INDEX, WORDS)]
    waiting = [job.job_id for job in shown if job.kind == WORDS and job.state == WAITING]
    return [job for job in shown if job.job_id not in waiting[1:]]
