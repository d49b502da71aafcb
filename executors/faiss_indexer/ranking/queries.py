"""What a query asks for: its parts, and its options."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import InvalidRequest, InvalidTimeRange, InvalidTopK
from clipseek.api.limits import MAX_TOP_K
from clipseek.api.score_scale import ScoreScale
from executors.faiss_indexer.moments.segments import STRATEGIES
from executors.faiss_indexer.moments.shots import TimeRange

Vector = npt.NDArray[np.float32]

MAX_OFFSET = 10_000  # matches before a page: nobody reads further, and each of them costs time
_LEAST_MAXIMUM_SECONDS = 0.01


@dataclass(frozen=True)
class Part:
    """One thing to look for, or with a negative weight to avoid.

    Attributes:
        vector: float32 [D], unit length.
        weight: finite, not 0.
        model_id: the model that made the vector; empty where the vector comes from the store.
        moment: the video id and the `[start, end)` that the vector was taken from, if it was.
        scale: how to read the cosines of a text; None for a picture.
        mean_phrase: float32 [D], the mean of what neutral phrases mean to the model; None where it is not known.
        curve_vector: float32 [D], unit length, to find moments in a video with; None: use `vector` for that, too.
    """

    vector: Vector
    weight: float = 1.0
    model_id: str = ""
    moment: tuple[str, TimeRange] | None = None
    scale: ScoreScale | None = None
    mean_phrase: Vector | None = None
    curve_vector: Vector | None = None


def list_moments_of(video_id: str, parts: Sequence[Part]) -> list[TimeRange]:
    """The moments of a video that a query uses as examples."""
    return [part.moment[1] for part in parts if part.moment and part.moment[0] == video_id and part.weight > 0]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Where to look and what to answer; the fields are those of `clipseek.schema.Query`.

    Raises: InvalidTopK, InvalidTimeRange, InvalidRequest: a value is outside its range; the message names it.
    """

    top_k: int = 5
    offset: int = 0
    video_ids: tuple[str, ...] = ()
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    least_score: float = 0.0
    all_matches: bool = False
    group_by_video: bool = False
    minimum_seconds: float = 0.0
    maximum_seconds: float = 0.0
    padding_seconds: float = 0.0
    per_video: int = 0
    strategy: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.top_k <= MAX_TOP_K:
            raise InvalidTopK(f"top_k is {self.top_k}, but must be from 1 to {MAX_TOP_K}.")
        if not 0 <= self.offset <= MAX_OFFSET:
            raise InvalidRequest(f"offset is {self.offset}, but must be from 0 to {MAX_OFFSET}.")
        self._check_times()
        if not 0 <= self.least_score <= 1:
            raise InvalidRequest(f"least_score is {self.least_score:g}, but must be from 0 to 1.")
        self._check_lengths()
        if self.strategy and self.strategy not in STRATEGIES:
            raise InvalidRequest(f"There is no strategy '{self.strategy}'. Choose one of: {', '.join(STRATEGIES)}.")

    def _check_times(self) -> None:
        time_range = f"[{self.start_seconds:g}, {self.end_seconds:g})"
        if not 0 <= self.start_seconds < math.inf or not 0 <= self.end_seconds < math.inf:
            raise InvalidTimeRange(
                f"The range to search is {time_range}, but its times must be finite and not negative."
            )
        if self.end_seconds and self.end_seconds <= self.start_seconds:
            raise InvalidTimeRange(f"The range to search is {time_range}, but must end after it starts.")

    def _check_lengths(self) -> None:
        for name in ("minimum_seconds", "maximum_seconds", "padding_seconds", "per_video"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidRequest(f"{name} is {getattr(self, name):g}, but must be 0 (the default) or more.")
        if 0 < self.maximum_seconds < _LEAST_MAXIMUM_SECONDS:
            raise InvalidRequest(
                f"maximum_seconds is {self.maximum_seconds:g}, but must be 0 (no limit) or at least "
                f"{_LEAST_MAXIMUM_SECONDS:g}."
            )
        if 0 < self.maximum_seconds < self.minimum_seconds:
            raise InvalidRequest(
                f"maximum_seconds is {self.maximum_seconds:g}, but must not be below minimum_seconds, which is "
                f"{self.minimum_seconds:g}."
            )

    @property
    def is_limited_in_time(self) -> bool:
        return self.start_seconds > 0 or self.end_seconds > 0

    def range_in(self, duration_seconds: float) -> TimeRange | None:
        """The `[start, end)` to search in a video of this length; None where the video ends before it."""
        end = min(self.end_seconds or math.inf, duration_seconds)
        return (self.start_seconds, end) if self.start_seconds < end else None

    def cut_off(self, default: float) -> float:
        """The score below which matches are withheld; `default` is the model's."""
        return self.least_score or (0.0 if self.all_matches else default)
