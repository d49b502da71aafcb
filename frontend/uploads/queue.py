"""The queue of videos to send to the service, one after another, in a thread of the page's process.

The service indexes them by itself: once it has a video and its job, the page only shows how far it is.
"""

import io
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from clipseek import Client
from clipseek.api import documents, errors
from clipseek.api.limits import WORDS
from clipseek.client import OnProgress
from frontend.uploads.job import CANCELLED, FAILED, RUNNING, WAITING, Job, ProgressMeter
from frontend.uploads.queue_folder import QueueFolder, Task
from frontend.uploads.service_jobs import ServiceJobs

logger = logging.getLogger(__name__)

_AWAY_ERRORS = (errors.ServerUnreachable, errors.ServerNotReady)
_RETRY_SECONDS = 5.0  # pause before the server is asked again


class IndexQueue:
    """Tasks and the thread that does them. They belong to the process, so they survive closed tabs and reloads.

    A task ends when the service has the video and its job. Tasks that failed or were cancelled stay until they are
    retried or dismissed. Those that an earlier process left in `folder` continue, except cancelled ones. While the
    server cannot be reached, all wait.
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
        self._service = ServiceJobs(client, clock, retry_seconds)
        self._tasks = dict(folder.tasks())
        self._jobs = {
            number: _begun(number, task, CANCELLED if task.is_cancelled else WAITING)
            for number, task in self._tasks.items()
        }
        self._stopping: set[int] = set()
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

    def read_words(self, video_id: str) -> None:
        """Have the words of a video read that are missing. Raises: as `Client.read_words`."""
        self._service.add([self._client.read_words(video_id, wait=False)])

    # Watching and changing them

    def jobs(self) -> list[Job]:
        """All jobs as they are now: those of the service, then the videos that are not sent yet."""
        of_service = self._service.jobs()
        with self._changed:
            own = list(self._jobs.values())
        resumed = {job.video_id for job in own if job.video_id}
        return [*(job for job in of_service if job.video_id not in resumed), *own]

    @property
    def finished(self) -> int:
        """How many jobs have succeeded so far. When it grows, the library has changed."""
        return self._service.finished

    def cancel(self, key: int | str) -> None:
        """Stop a job. The server keeps what it has received and indexed."""
        if isinstance(key, str):
            self._service.cancel(key)
            return
        with self._changed:
            job = self._jobs.get(key)
            if job and job.state == WAITING:
                self._mark_cancelled(key)
                self._changed.notify_all()
            elif job and job.state == RUNNING:
                self._stopping.add(key)

    def retry(self, key: int | str) -> None:
        """Queue a failed or cancelled job again. It continues from what the server has."""
        if isinstance(key, str):
            for job in self._service.jobs():
                if job.key == key and not job.is_active:
                    self._begin_again(job)
            return
        with self._changed:
            known = self._jobs.get(key)
            if known and not known.is_active:
                self._save_change(key, replace(self._tasks[key], is_cancelled=False))
                self._jobs[key] = _begun(key, self._tasks[key])
                self._wake()

    def _begin_again(self, job: Job) -> None:
        if job.stage != WORDS:
            self.resume(job.video_id, job.title, 0)
            return
        try:
            self.read_words(job.video_id)
        except errors.ClipSeekError as error:
            logger.warning("The words of '%s' cannot be read: %s", job.title, error)

    def dismiss(self, key: int | str) -> None:
        """Remove a job that is not active, and its upload."""
        if isinstance(key, str):
            self._service.cancel(key, forget=True)
            return
        with self._changed:
            job = self._jobs.get(key)
            if job and not job.is_active:
                self._forget(key)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until all videos are sent. Returns: False if some are not when the time is up."""
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
            self._tasks[number], self._jobs[number] = task, _begun(number, task)
            self._wake()

    def _mark_cancelled(self, number: int) -> None:
        self._save_change(number, replace(self._tasks[number], is_cancelled=True))
        self._jobs[number] = replace(self._jobs[number], state=CANCELLED, left_seconds=None, error=None)

    def _forget(self, number: int) -> None:
        del self._jobs[number], self._tasks[number]
        self._folder.delete(number)

    def _save_change(self, number: int, task: Task) -> None:
        """Save a changed task. On a full disk it can be cancelled or retried all the same; a restart forgets that."""
        self._tasks[number] = task
        try:
            self._folder.save_task(number, task)
        except errors.StoreFull as error:
            logger.warning("%s A restart undoes the last change to '%s'.", error, task.title)

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="index-queue", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _next(self) -> int | None:
        for number, job in self._jobs.items():
            if job.state == WAITING:
                return number
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                while (number := self._next()) is None:
                    self._changed.wait()
                was_away = self._jobs[number].error is not None
                self._jobs[number] = replace(self._jobs[number], state=RUNNING, error=None)
                task = self._tasks[number]
            error = self._do(number, task, was_away=was_away)
            with self._changed:
                try:
                    self._finish(number, error)
                except OSError as disk_error:  # go on with the next video
                    logger.warning("The queue cannot delete its files of '%s' (%s).", task.title, disk_error.strerror)
                self._changed.notify_all()
                if _is_server_away(error):
                    self._changed.wait(self._retry_seconds)

    def _finish(self, number: int, error: errors.ClipSeekError | None) -> None:
        is_stopped = number in self._stopping
        self._stopping.discard(number)
        if error is None:
            self._forget(number)
        elif isinstance(error, errors.Cancelled) or (is_stopped and _is_server_away(error)):
            self._mark_cancelled(number)
        else:
            state = WAITING if _is_server_away(error) else FAILED
            self._jobs[number] = replace(self._jobs[number], state=state, error=error, left_seconds=None)

    def _do(self, number: int, task: Task, *, was_away: bool) -> errors.ClipSeekError | None:
        """Send a video. Returns: the error that ended it, or None."""
        meter = ProgressMeter(self._clock)
        try:
            if was_away:  # check the server before reading a large video again
                self._client.videos()
            self._service.add(self._file(number, task, lambda step: self._report(number, *meter.measure(step))))
        except errors.ClipSeekError as error:
            return error
        except Exception as error:
            logger.exception("adding '%s' failed", task.title)
            return errors.ServerFailed(f"The page failed while adding '{task.title}' ({error!r}). See the page's log.")
        return None

    def _file(self, number: int, task: Task, progress: OnProgress) -> list[documents.Job]:
        """Send a task's video, and have the service index it. Returns: the jobs."""
        if task.is_upload or task.server_path:
            video = task.server_path or self._folder.upload(number)
            on_server = bool(task.server_path)
            index = self._client.index
            return [index(video, title=task.title, on_server=on_server, progress=progress, wait=False)]
        if task.video_id:
            return [self._client.resume(task.video_id, progress=progress, wait=False)]
        return self._client.add_samples(progress, wait=False)

    def _report(self, number: int, stage: str, fraction: float, left_seconds: float | None) -> None:
        with self._changed:
            if number in self._stopping:
                raise errors.Cancelled("Cancelled on the page.")
            job = self._jobs[number]
            self._jobs[number] = replace(job, stage=stage, fraction=fraction, left_seconds=left_seconds)


def _begun(number: int, task: Task, state: str = WAITING) -> Job:
    return Job(number, task.title, task.video_id, state)


def _is_server_away(error: errors.ClipSeekError | None) -> bool:
    """Whether the server cannot be reached for now. A lost request is different: the video may crash the server."""
    return isinstance(error, _AWAY_ERRORS) and not isinstance(error, errors.RequestLost)
