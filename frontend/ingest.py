"""The films on their way into the library: one after another in a thread of the page's process, whoever looks on."""

import io
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from clipseek import Client
from clipseek.client import OnProgress, Progress
from clipseek.errors import Cancelled, ClipSeekError, ServerFailed

logger = logging.getLogger(__name__)

Work = Callable[[OnProgress], object]

WAITING, RUNNING, FAILED, CANCELLED = "waiting", "running", "failed", "cancelled"


@dataclass(frozen=True)
class Job:
    """A film that is put in, at one moment."""

    number: int
    title: str
    size_bytes: int = 0
    video_id: str = ""  # where it is known beforehand
    state: str = WAITING
    stage: str = ""  # see `Progress.stage`
    fraction: float = 0.0  # of the stage
    left_seconds: float | None = None  # of the stage; None: not to be told yet
    error: ClipSeekError | None = None

    @property
    def is_active(self) -> bool:
        return self.state in (WAITING, RUNNING)


class Ingests:
    """A queue of films and the thread that works it off. It belongs to the process, so it outlives tabs and reloads.

    What is done leaves the list; what failed or was cancelled stays until it is tried again or dismissed.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._jobs: dict[int, Job] = {}
        self._works: dict[int, Work] = {}
        self._stopping: set[int] = set()
        self._finished = 0
        self._number = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    # What there is to do

    def add_upload(self, file: BinaryIO, name: str) -> None:
        """Send an open file to the server and index it. It is read where it is, in chunks, and closed when done."""

        def work(step: OnProgress) -> None:
            self._client.index(file, title=name, progress=step)
            file.close()

        size_bytes = file.seek(0, io.SEEK_END)
        self._add(Job(0, name, size_bytes), work)

    def add_server_films(self, folder: str) -> int:
        """Index the films below a folder of the server. Returns: how many.

        Raises: as `Client.server_films`.
        """
        films = self._client.server_films(folder)
        for film in films:
            self._add(Job(0, film.title, film.size_bytes), self._server_work(film.server_path))
        return len(films)

    def add_samples(self, title: str) -> None:
        """Index the sample library under `title` as one job."""
        self._add(Job(0, title), self._client.add_samples)

    def resume(self, video_id: str, title: str, size_bytes: int) -> None:
        """Go on with a video of the library whose indexing was interrupted."""
        work: Work = lambda step: self._client.resume(video_id, progress=step)  # noqa: E731 (typed here)
        self._add(Job(0, title, size_bytes, video_id), work)

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
                self._jobs[number] = replace(job, state=CANCELLED)
            elif job and job.state == RUNNING:
                self._stopping.add(number)

    def retry(self, number: int) -> None:
        """Queue a failed or cancelled job again: it goes on from what the server has."""
        with self._changed:
            job = self._jobs.get(number)
            if job and not job.is_active:
                self._jobs[number] = Job(number, job.title, job.size_bytes, job.video_id)
                self._wake()

    def dismiss(self, number: int) -> None:
        """Forget a job that is not active, and let go of its file."""
        with self._changed:
            job = self._jobs.get(number)
            if job and not job.is_active:
                del self._jobs[number], self._works[number]

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until no job is active; returns whether that came to be."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(job.is_active for job in self._jobs.values()), timeout_seconds
            )

    # The thread

    def _server_work(self, path: str) -> Work:
        return lambda step: self._client.index(path, title=Path(path).name, on_server=True, progress=step)

    def _add(self, job: Job, work: Work) -> None:
        with self._changed:
            self._number += 1
            self._jobs[self._number] = replace(job, number=self._number)
            self._works[self._number] = work
            self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _next(self) -> tuple[int, Work] | None:
        for number, job in self._jobs.items():
            if job.state == WAITING:
                self._jobs[number] = replace(job, state=RUNNING)
                return number, self._works[number]
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                while (found := self._next()) is None:
                    self._changed.wait()
            number, work = found
            del found
            outcome = self._outcome(number, work)
            del work
            with self._changed:
                self._stopping.discard(number)
                if outcome is None:
                    del self._jobs[number], self._works[number]
                    self._finished += 1
                else:
                    state = CANCELLED if isinstance(outcome, Cancelled) else FAILED
                    error = None if state == CANCELLED else outcome
                    self._jobs[number] = replace(self._jobs[number], state=state, error=error, left_seconds=None)
                self._changed.notify_all()

    def _outcome(self, number: int, work: Work) -> ClipSeekError | None:
        try:
            work(_Meter(self._clock, lambda stage, fraction, left: self._step(number, stage, fraction, left)))
        except ClipSeekError as error:
            return error
        except Exception as error:
            logger.exception("an ingest failed")
            return ServerFailed(f"The page failed while it put the film in ({error!r}). Its log has the details.")
        return None

    def _step(self, number: int, stage: str, fraction: float, left_seconds: float | None) -> None:
        with self._changed:
            if number in self._stopping:
                raise Cancelled("Stopped by the page's user.")
            job = self._jobs[number]
            self._jobs[number] = replace(job, stage=stage, fraction=fraction, left_seconds=left_seconds)


class _Meter:
    """Turns the steps of an ingest into a fraction and the time left, each stage at its own pace."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[str, float, float | None], None]) -> None:
        self._clock, self._tell = clock, tell
        self._stage, self._since, self._first = "", 0.0, 0.0

    def __call__(self, step: Progress) -> None:
        now = self._clock()
        if step.stage != self._stage or step.done < self._first:  # the sample library begins anew with each film
            self._stage, self._since, self._first = step.stage, now, step.done
        gained = step.done - self._first
        left = (step.total - step.done) * (now - self._since) / gained if gained > 0 else None
        self._tell(step.stage, step.done / step.total if step.total else 1.0, left)
