"""The queue of videos to index: one after another, in a thread of the page's process."""

import io
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from clipseek import Client
from clipseek.api import errors
from clipseek.client import OnProgress, Progress
from frontend.uploads.queue_folder import QueueFolder, Task

logger = logging.getLogger(__name__)

_AWAY_ERRORS = (errors.ServerUnreachable, errors.ServerNotReady)
_RETRY_SECONDS = 5.0  # pause before the server is asked again
WAITING, RUNNING, FAILED, CANCELLED = "waiting", "running", "failed", "cancelled"


@dataclass(frozen=True)
class Job:
    """A task of the queue and how far it is."""

    number: int
    task: Task
    state: str = WAITING
    stage: str = ""  # see `Progress.stage`
    fraction: float = 0.0  # of the stage, from 0 to 1
    left_seconds: float | None = None  # of the stage; None: not known yet
    error: errors.ClipSeekError | None = None  # of a failed job; of a waiting one: why the server could not be reached

    @property
    def title(self) -> str:
        return self.task.title

    @property
    def is_active(self) -> bool:
        return self.state in (WAITING, RUNNING)


class ProgressMeter:
    """Turns steps into a stage, its fraction and the seconds left, measured at the pace of that stage."""

    def __init__(self, clock: Callable[[], float], report: Callable[[str, float, float | None], None]) -> None:
        self._clock, self._report = clock, report
        self._stage, self._start_time, self._start_done = "", 0.0, 0.0

    def __call__(self, step: Progress) -> None:
        now = self._clock()
        if step.stage != self._stage or step.done < self._start_done:  # each sample video starts the stage again
            self._stage, self._start_time, self._start_done = step.stage, now, step.done
        gained = step.done - self._start_done
        left = (step.total - step.done) * (now - self._start_time) / gained if gained > 0 else None
        self._report(step.stage, step.done / step.total if step.total else 1.0, left)


class IndexQueue:
    """Jobs and the thread that does them. They belong to the process, so they survive closed tabs and reloads.

    Finished jobs leave the list. Failed and cancelled ones stay until they are retried or dismissed. Jobs that an
    earlier process left in `folder` continue, except cancelled ones. While the server cannot be reached, all wait.
    """

    def __init__(
        self,
        client: Client,
        folder: QueueFolder,
        clock: Callable[[], float] = time.monotonic,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._client = client
        self._folder = folder
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._jobs = {
            number: Job(number, task, CANCELLED if task.is_cancelled else WAITING) for number, task in folder.tasks()
        }
        self._stopping: set[int] = set()
        self._finished = 0
        self._number = max(self._jobs, default=0)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        with self._changed:
            self._wake()

    # Adding jobs

    def add_upload(self, file: BinaryIO | Path, name: str) -> None:
        """Index an upload. An open file is copied; a path is moved into the queue's folder.

        Raises: StoreFull, LimitExceeded: see `check_room`.
        """
        size_bytes = file.stat().st_size if isinstance(file, Path) else file.seek(0, io.SEEK_END)
        self._add(Task(name, size_bytes, is_upload=True), file)

    def add_server_videos(self, folder: str) -> int:
        """Index the videos in a server folder. Returns: how many. Raises: as `Client.server_videos`; StoreFull."""
        videos = self._client.server_videos(folder)
        for video in videos:
            self._add(Task(video.title, video.size_bytes, server_path=video.server_path))
        return len(videos)

    def add_samples(self, title: str) -> None:
        """Index the sample library as one job with this title. Raises: StoreFull."""
        self._add(Task(title))

    def resume(self, video_id: str, title: str, size_bytes: int) -> None:
        """Continue a video of the library whose indexing was interrupted. Raises: StoreFull."""
        self._add(Task(title, size_bytes, video_id=video_id))

    # Watching and changing them

    def jobs(self) -> list[Job]:
        """All jobs as they are now, in the order they were added."""
        with self._changed:
            return list(self._jobs.values())

    @property
    def finished(self) -> int:
        """How many jobs have succeeded so far. When it grows, the library has changed."""
        return self._finished

    def cancel(self, number: int) -> None:
        """Stop a job. The server keeps what it has received and indexed."""
        with self._changed:
            job = self._jobs.get(number)
            if job and job.state == WAITING:
                self._mark_cancelled(job)
                self._changed.notify_all()
            elif job and job.state == RUNNING:
                self._stopping.add(number)

    def retry(self, number: int) -> None:
        """Queue a failed or cancelled job again. It continues from what the server has."""
        with self._changed:
            job = self._jobs.get(number)
            if job and not job.is_active:
                task = replace(job.task, is_cancelled=False)
                self._save_change(number, task)
                self._jobs[number] = Job(number, task)
                self._wake()

    def dismiss(self, number: int) -> None:
        """Remove a job that is not active, and its upload."""
        with self._changed:
            job = self._jobs.get(number)
            if job and not job.is_active:
                del self._jobs[number]
                self._folder.delete(number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until no job is active. Returns: False if some still are when the time is up."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(job.is_active for job in self._jobs.values()), timeout_seconds
            )

    # The thread

    def _add(self, task: Task, upload: BinaryIO | Path | None = None) -> None:
        with self._changed:
            self._number += 1
            number = self._number
        if upload is not None:
            self._folder.store_upload(number, upload)
        try:
            self._folder.save_task(number, task)
        except errors.StoreFull:
            self._folder.delete(number)
            raise
        with self._changed:
            self._jobs[number] = Job(number, task)
            self._wake()

    def _mark_cancelled(self, job: Job) -> None:
        task = replace(job.task, is_cancelled=True)
        self._save_change(job.number, task)
        self._jobs[job.number] = replace(job, task=task, state=CANCELLED, left_seconds=None, error=None)

    def _save_change(self, number: int, task: Task) -> None:
        """Save a changed task. On a full disk it can be cancelled or retried all the same; a restart forgets that."""
        try:
            self._folder.save_task(number, task)
        except errors.StoreFull as error:
            logger.warning("%s A restart undoes the last change to '%s'.", error, task.title)

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="index-queue", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _next(self) -> Job | None:
        for number, job in self._jobs.items():
            if job.state == WAITING:
                self._jobs[number] = replace(job, state=RUNNING, error=None)
                return job
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                while (job := self._next()) is None:
                    self._changed.wait()
            error = self._do(job)
            with self._changed:
                try:
                    self._finish(job.number, error)
                except OSError as disk_error:  # go on with the next video
                    logger.warning("The queue cannot delete its files of '%s' (%s).", job.title, disk_error.strerror)
                self._changed.notify_all()
                if _is_server_away(error):
                    self._changed.wait(self._retry_seconds)

    def _finish(self, number: int, error: errors.ClipSeekError | None) -> None:
        is_stopped = number in self._stopping
        self._stopping.discard(number)
        job = self._jobs[number]
        if error is None:
            del self._jobs[number]
            self._finished += 1
            self._folder.delete(number)
        elif isinstance(error, errors.Cancelled) or (is_stopped and _is_server_away(error)):
            self._mark_cancelled(job)
        else:
            state = WAITING if _is_server_away(error) else FAILED
            self._jobs[number] = replace(job, state=state, error=error, left_seconds=None)

    def _do(self, job: Job) -> errors.ClipSeekError | None:
        """Do a job. Returns: the error that ended it, or None."""
        try:
            self._index(job, ProgressMeter(self._clock, partial(self._report, job.number)))
        except errors.ClipSeekError as error:
            return error
        except Exception as error:
            logger.exception("indexing '%s' failed", job.title)
            return errors.ServerFailed(f"The page failed while adding '{job.title}' ({error!r}). See the page's log.")
        return None

    def _index(self, job: Job, meter: OnProgress) -> None:
        task = job.task
        if job.error:  # the server was away: check it before reading a large video again
            self._client.videos()
        if task.is_upload:
            self._client.index(self._folder.upload(job.number), title=task.title, progress=meter)
        elif task.server_path:
            self._client.index(task.server_path, title=task.title, on_server=True, progress=meter)
        elif task.video_id:
            self._client.resume(task.video_id, progress=meter)
        else:
            self._client.add_samples(meter)

    def _report(self, number: int, stage: str, fraction: float, left_seconds: float | None) -> None:
        with self._changed:
            if number in self._stopping:
                raise errors.Cancelled("Cancelled on the page.")
            job = self._jobs[number]
            self._jobs[number] = replace(job, stage=stage, fraction=fraction, left_seconds=left_seconds)


def _is_server_away(error: errors.ClipSeekError | None) -> bool:
    """Whether the server cannot be reached for now. A lost request is different: the video may crash the server."""
    return isinstance(error, _AWAY_ERRORS) and not isinstance(error, errors.RequestLost)
