"""One video in the queue: its state at a moment, and the meter that turns a client's steps into progress."""

from collections.abc import Callable
from dataclasses import dataclass

from clipseek.api.errors import ClipSeekError
from clipseek.client import Progress
from frontend.uploads.queue_folder import Task

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
    error: ClipSeekError | None = None  # of a failed job; of a waiting one: why the server could not be reached

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
