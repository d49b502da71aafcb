"""What a query asks for: its parts, and its options."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt
from clipseek.api.limits import REASONS
from clipseek.api.score_scale import ScoreScale
from clipseek.api.search_options import check_numbers
from executors.faiss_indexer.moments.segments import STRATEGIES
from executors.faiss_indexer.moments.shots import TimeRange

Vector = npt.NDArray[np.float32]


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
        noise: of a text whose scale lies above its background, how far above it unrelated frames of the library come by
            chance, as a cosine; None where it was not measured.
    """

    vector: Vector
    weight: float = 1.0
    model_id: str = ""
    moment: tuple[str, TimeRange] | None = None
    scale: ScoreScale | None = None
    mean_phrase: Vector | None = None
    noise: float | None = None

    @property
    def has_noise(self) -> bool:
        """Whether its noise matters and is not known yet."""
        return self.noise is None and self.scale is not None and self.scale.above_background


def list_moments_of(video_id: str, parts: Sequence[Part]) -> list[TimeRange]:
    """The moments of a video that a query uses as examples."""
    return [part.moment[1] for part in parts if part.moment and part.moment[0] == video_id and part.weight > 0]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Where to look and what to answer; the fields are those of `clipseek.api.documents.Query`.

    Raises: InvalidTopK, InvalidTimeRange, InvalidRequest: a value is outside its range; the message names it.
    """

    top_k: int = 5
    offset: int = 0
    video_ids: tuple[str, ...] = ()
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    least_score: float = 0.0
    all_matches: bool = False
    weaker: int = 0
    group_by_video: bool = False
    minimum_seconds: float = 0.0
    maximum_seconds: float = 0.0
    padding_seconds: float = 0.0
    per_video: int = 0
    strategy: str = ""
    look_in: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self)
        if unknown := [name for name in self.look_in if name not in REASONS]:
            raise InvalidRequest(f"There is no '{excerpt(unknown[0])}' to look in. Choose from: {', '.join(REASONS)}.")
        if self.strategy and self.strategy not in STRATEGIES:
            raise InvalidRequest(f"There is no strategy '{self.strategy}'. Choose one of: {', '.join(STRATEGIES)}.")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Where to look: in what is seen, heard or written."""
        return self.look_in or REASONS

    @property
    def is_limited_in_time(self) -> bool:
        return self.start_seconds > 0 or self.end_seconds > 0

    def range_in(self, duration_seconds: float) -> TimeRange | None:
        """The `[start, end)` to search in a video of this length; None where the video ends before it."""
        end = min(self.end_seconds or math.inf, duration_seconds)
        return (self.start_seconds, end) if self.start_seconds < end else None

    def cut_off(self, default: float) -> float:
        """The score below which matches are not shown: `least_score`, else `default`."""
        return self.least_score or (0.0 if self.all_matches else default)
