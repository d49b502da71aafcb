"""A video on its way into the library, as the page shows it: first it is sent to the service, then indexed there."""

from collections.abc import Callable
from dataclasses import dataclass

from clipseek.api import errors
from clipseek.api.limits import CANCELLED, FAILED, RUNNING, UNFINISHED, WAITING
from clipseek.client import Progress

__all__ = ["CANCELLED", "FAILED", "RUNNING", "WAITING", "Job", "ProgressMeter"]


@dataclass(frozen=True)
class Job:
    """How far a video is.

    Attributes:
        key: the number of a task of the page's own queue, or the id of a job of the service.
        error: of a failed job; of a waiting one: why the server could not be reached.
    """

    key: int | str
    title: str
    video_id: str = ""  # "" while it is not known
    state: str = WAITING
    stage: str = ""  # see `Progress.stage`
    fraction: float = 0.0  # of the stage, from 0 to 1
    left_seconds: float | None = None  # of the stage; None: not known yet
    error: errors.ClipSeekError | None = None

    @property
    def is_active(self) -> bool:
        return self.state in UNFINISHED


class ProgressMeter:
    """Turns steps into a stage, its fraction and the seconds left, measured at the pace of that stage."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stage, self._start_time, self._start_done = "", 0.0, 0.0

    def measure(self, step: Progress) -> tuple[str, float, float | None]:
        """The stage, its fraction, and the seconds left."""
        now = self._clock()
        if step.stage != self._stage or step.done < self._start_done:  # each sample video starts the stage again
            self._stage, self._start_time, self._start_done = step.stage, now, step.done
        gained = step.done - self._start_done
        left = (step.total - step.done) * (now - self._start_time) / gained if gained > 0 else None
        return step.stage, step.done / step.total if step.total else 1.0, left
