"""The videos on their way into the library: one after another in a thread of the page's process, whoever looks on."""

import io
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from clipseek import Client
from clipseek.api.errors import (
    Cancelled,
    ClipSeekError,
    RequestLost,
    ServerFailed,
    ServerNotReady,
    ServerUnreachable,
    StoreFull,
)
from clipseek.client import OnProgress, Progress
from frontend.uploads.queue_folder import QueueFolder, Task

logger = logging.getLogger(__name__)

WAITING, RUNNING, FAILED, CANCELLED = "waiting", "running", "failed", "cancelled"
_PAUSE_SECONDS = 5.0  # until a server that was away is asked again


@dataclass(frozen=True)
class Job:
    """A video that is put in, at one moment."""

    number: int
    task: Task
    state: str = WAITING
    stage: str = ""  # see `Progress.stage`
    fraction: float = 0.0  # of the stage
    left_seconds: float | None = None  # of the stage; None: not to be told yet
    error: ClipSeekError | None = None  # of a waiting job: why the server was away when it was tried

    @property
    def title(self) -> str:
        return self.task.title

    @property
    def is_active(self) -> bool:
        return self.state in (WAITING, RUNNING)


class Ingests:
    """A queue of videos and the thread that works it off. It belongs to the process, so it outlives tabs and reloads.

    What is done leaves the list; what failed or was cancelled stays until it is tried again or dismissed. What a former
    process left in `folder` is taken up again, what was cancelled waits. While the server is away, all of them wait.
    """

    def __init__(
        self,
        client: Client,
        folder: QueueFolder,
        clock: Callable[[], float] = time.monotonic,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self._client = client
        self._folder = folder
        self._clock = clock
        self._pause_seconds = pause_seconds
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

    # What there is to do

    def add_upload(self, file: BinaryIO | Path, name: str) -> None:
        """Keep an upload, send it to the server and index it. An open file is copied; a path is the queue's own then.

        Raises: as `QueueFolder.take`.
        """
        size_bytes = file.stat().st_size if isinstance(file, Path) else file.seek(0, io.SEEK_END)
        if not isinstance(file, Path):
            file.seek(0)
        self._add(Task(name, size_bytes, is_upload=True), file)

    def add_server_videos(self, folder: str) -> int:
        """Index the videos below a folder of the server. Returns: how many.

        Raises: as `Client.server_videos`; StoreFull.
        """
        videos = self._client.server_videos(folder)
        for video in videos:
            self._add(Task(video.title, video.size_bytes, server_path=video.server_path))
        return len(videos)

    def add_samples(self, title: str) -> None:
        """Index the sample library under `title` as one job. Raises: StoreFull."""
        self._add(Task(title))

    def resume(self, video_id: str, title: str, size_bytes: int) -> None:
        """Go on with a video of the library whose indexing was interrupted. Raises: StoreFull."""
        self._add(Task(title, size_bytes, video_id=video_id))

    # What people see and do

    def jobs(self) -> list[Job]:
        """All jobs at this moment, in the order they were added."""
        with self._changed:
            return list(self._jobs.values())

    @property
    def finished(self) -> int:
        """How many jobs have been done, ever: when it grows, the library has changed."""
        return self._finished

    def cancel(self, number: int) -> None:
        """Stop a job where it is. What the server has of it is kept."""
        with self._changed:
            job = self._jobs.get(number)
            if job and job.state == WAITING:
                self._cancelled(job)
                self._changed.notify_all()
            elif job and job.state == RUNNING:
                self._stopping.add(number)

    def retry(self, number: int) -> None:
        """Queue a failed or cancelled job again: it goes on from what the server has."""
        with self._changed:
            job = self._jobs.get(number)
            if job and not job.is_active:
                task = replace(job.task, is_cancelled=False)
                self._note(number, task)
                self._jobs[number] = Job(number, task)
                self._wake()

    def dismiss(self, number: int) -> None:
        """Forget a job that is not active, and let go of its file."""
        with self._changed:
            job = self._jobs.get(number)
            if job and not job.is_active:
                del self._jobs[number]
                self._folder.forget(number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until no job is active; returns whether that came to be."""
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
            self._folder.take(number, upload)
        try:
            self._folder.keep(number, task)
        except StoreFull:
            self._folder.forget(number)
            raise
        with self._changed:
            self._jobs[number] = Job(number, task)
            self._wake()

    def _cancelled(self, job: Job) -> None:
        task = replace(job.task, is_cancelled=True)
        self._note(job.number, task)
        self._jobs[job.number] = replace(job, task=task, state=CANCELLED, left_seconds=None, error=None)

    def _note(self, number: int, task: Task) -> None:
        """Keep a change of a task on disk. A full disk keeps nobody from cancelling: only a restart forgets it then."""
        try:
            self._folder.keep(number, task)
        except StoreFull as error:
            logger.warning("%s After a restart '%s' is what it was before.", error, task.title)

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
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
            error = self._outcome(job)
            with self._changed:
                try:
                    self._finish(job.number, error)
                except OSError as why:  # the next video goes on
                    logger.warning("What is kept of '%s' cannot be removed (%s).", job.title, why.strerror)
                self._changed.notify_all()
                if _is_away(error):
                    self._changed.wait(self._pause_seconds)

    def _finish(self, number: int, error: ClipSeekError | None) -> None:
        """Note what became of a job."""
        is_stopped = number in self._stopping
        self._stopping.discard(number)
        job = self._jobs[number]
        if error is None:
            del self._jobs[number]
            self._finished += 1
            self._folder.forget(number)
        elif isinstance(error, Cancelled) or (is_stopped and _is_away(error)):
            self._cancelled(job)
        else:
            state = WAITING if _is_away(error) else FAILED
            self._jobs[number] = replace(job, state=state, error=error, left_seconds=None)

    def _outcome(self, job: Job) -> ClipSeekError | None:
        meter = _Meter(self._clock, lambda stage, fraction, left: self._step(job.number, stage, fraction, left))
        try:
            self._work(job, meter)
        except ClipSeekError as error:
            return error
        except Exception as error:
            logger.exception("an ingest failed")
            return ServerFailed(f"The page failed while it put the video in ({error!r}). Its log has the details.")
        return None

    def _work(self, job: Job, step: OnProgress) -> None:
        task = job.task
        if job.error:  # the server was away: ask for it before a large video is read through once more
            self._client.videos()
        if task.is_upload:
            self._client.index(self._folder.video(job.number), title=task.title, progress=step)
        elif task.server_path:
            self._client.index(task.server_path, title=task.title, on_server=True, progress=step)
        elif task.video_id:
            self._client.resume(task.video_id, progress=step)
        else:
            self._client.add_samples(step)

    def _step(self, number: int, stage: str, fraction: float, left_seconds: float | None) -> None:
        with self._changed:
            if number in self._stopping:
                raise Cancelled("Stopped by the page's user.")
            job = self._jobs[number]
            self._jobs[number] = replace(job, stage=stage, fraction=fraction, left_seconds=left_seconds)


def _is_away(error: ClipSeekError | None) -> bool:
    """Whether the server is at fault for now, and not the video: one that ends the server each time is."""
    return isinstance(error, ServerUnreachable | ServerNotReady) and not isinstance(error, RequestLost)


class _Meter:
    """Turns the steps of an ingest into a fraction and the time left, each stage at its own pace."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[str, float, float | None], None]) -> None:
        self._clock, self._tell = clock, tell
        self._stage, self._since, self._first = "", 0.0, 0.0

    def __call__(self, step: Progress) -> None:
        now = self._clock()
        if step.stage != self._stage or step.done < self._first:  # the sample library begins anew with each video
            self._stage, self._since, self._first = step.stage, now, step.done
        gained = step.done - self._first
        left = (step.total - step.done) * (now - self._since) / gained if gained > 0 else None
        self._tell(step.stage, step.done / step.total if step.total else 1.0, left)
