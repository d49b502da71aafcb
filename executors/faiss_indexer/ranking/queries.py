"""What a query asks, apart from how frames are compared with it: parts that are mixed, options, pages of the answer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import InvalidRequest, InvalidTimeRange, InvalidTopK
from clipseek.api.limits import MAX_TOP_K
from clipseek.api.score_scale import ScoreScale
from executors.faiss_indexer.moments.curves import Floats
from executors.faiss_indexer.moments.segments import STRATEGIES, TUNED, ScoreCurve, Segment, find_segments
from executors.faiss_indexer.moments.shots import Shots
from executors.faiss_indexer.store.store import VideoRecord

Vector = npt.NDArray[np.float32]
Span = tuple[float, float]

MAX_OFFSET = 10_000  # matches before a page: nobody reads so far, and each is looked for
_LIKE_SECONDS = 2.0  # how far from a moment its picture reaches: frames further away often show something else
_ROUNDING_SECONDS = 1e-6
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
        curve_vector: float32 [D], unit length, to find moments in a video with; None: `vector` does that, too.
    """

    vector: Vector
    weight: float = 1.0
    model_id: str = ""
    moment: tuple[str, Span] | None = None
    scale: ScoreScale | None = None
    mean_phrase: Vector | None = None
    curve_vector: Vector | None = None


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Where to look and what to answer; the fields are those of `clipseek.schema.Query`.

    Raises:
        InvalidTopK, InvalidTimeRange, InvalidRequest: a value cannot be; the message names it.
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
            raise InvalidTopK(f"top_k is {self.top_k}, but must be from 1 to {MAX_TOP_K}")
        if not 0 <= self.offset <= MAX_OFFSET:
            raise InvalidRequest(f"offset is {self.offset}, but must be from 0 to {MAX_OFFSET}")
        if not 0 <= self.start_seconds < math.inf or not 0 <= self.end_seconds < math.inf:
            raise InvalidTimeRange(f"{self._range} is no range of time: it must begin at 0 s or later.")
        if self.end_seconds and self.end_seconds <= self.start_seconds:
            raise InvalidTimeRange(f"{self._range} is no range of time: it must end after it begins.")
        if not 0 <= self.least_score <= 1:
            raise InvalidRequest(f"least_score is {self.least_score:g}, but scores are from 0 to 1")
        for name in ("minimum_seconds", "maximum_seconds", "padding_seconds", "per_video"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidRequest(f"{name} is {getattr(self, name):g}, but must be 0 (the default) or more")
        if 0 < self.maximum_seconds < _LEAST_MAXIMUM_SECONDS:
            raise InvalidRequest(f"maximum_seconds is {self.maximum_seconds:g}: less than a video's frame")
        if 0 < self.maximum_seconds < self.minimum_seconds:
            lengths = f"maximum_seconds is {self.maximum_seconds:g}, minimum_seconds {self.minimum_seconds:g}"
            raise InvalidRequest(f"{lengths}: no match can be that short and that long")
        if self.strategy and self.strategy not in STRATEGIES:
            raise InvalidRequest(f"There is no strategy '{self.strategy}'. There are: {', '.join(STRATEGIES)}")

    @property
    def _range(self) -> str:
        return f"[{self.start_seconds:g}, {self.end_seconds:g})"

    @property
    def is_limited_in_time(self) -> bool:
        return self.start_seconds > 0 or self.end_seconds > 0

    def span(self, duration_seconds: float) -> Span | None:
        """The `[start, end)` to look at of a video of this length; None where there is nothing of it."""
        end = min(self.end_seconds or math.inf, duration_seconds)
        return (self.start_seconds, end) if self.start_seconds < end else None

    def cut_off(self, of_model: float) -> float:
        """The score below which matches are withheld."""
        return self.least_score or (0.0 if self.all_matches else of_model)


@dataclass(frozen=True)
class Found:
    """A segment with the video it lies in. `value` is its score in the unit of the curve, `score` in [0, 1]."""

    video: VideoRecord
    segment: Segment
    score: float

    @property
    def order(self) -> tuple[float, str, float]:
        """Best first; the same for the same library, whatever page is asked for."""
        return -self.segment.score, self.video.video_id, self.segment.start_seconds


def moment_around(pts_seconds: Floats, shot: Span, at_seconds: float) -> tuple[slice, Span]:
    """The frames that show what is seen at a time: those of its shot within two seconds, else the nearest one.

    Args:
        pts_seconds: float64 [N] ascending, at least one.
        shot: the `[start, end)` of the shot that the time lies in.

    Returns: the frames, and the `[start, end)` that they stand for, which holds the time.
    """
    start, end = max(shot[0], at_seconds - _LIKE_SECONDS), min(shot[1], at_seconds + _LIKE_SECONDS)
    first, last = (int(place) for place in np.searchsorted(pts_seconds, (start, end)))
    if first == last:
        first = int(np.abs(pts_seconds - at_seconds).argmin())
        last = first + 1
    return slice(first, last), (start, end)


def find_in_span(curve: ScoreCurve, shots: Shots, span: Span, options: SearchOptions) -> list[Segment]:
    """The segments of the part `[start, end)` of a video, best first, as if that were all of it.

    Args:
        curve: the frames in the span alone, in the video's own time.
        shots: those of the whole video.
    """
    start, end = span
    moved = ScoreCurve(curve.pts_seconds - start, curve.scores, end - start)
    inside = [(max(s, start) - start, min(e, end) - start) for s, e in shots if s < end and e > start]
    found = find_segments(moved, TUNED[options.strategy] if options.strategy else None, inside)
    return [
        Segment(max(start, s.start_seconds + start), min(end, s.end_seconds + start), s.score, s.peak_seconds + start)
        for s in adjusted(found, end - start, options)
    ]


def adjusted(found: Sequence[Segment], duration_seconds: float, options: SearchOptions) -> list[Segment]:
    """The segments with the padding, the lengths and the number that a query asks for, best first.

    Padding reaches half-way to the neighbour at most, too long ones are cut down around their peak, too short ones
    left out.
    """
    made = sorted(found, key=lambda segment: segment.start_seconds)
    if options.padding_seconds:
        made = _padded(made, duration_seconds, options.padding_seconds)
    if options.maximum_seconds:
        made = [_shortened(segment, options.maximum_seconds) for segment in made]
    least = options.minimum_seconds - _ROUNDING_SECONDS
    made = [segment for segment in made if segment.end_seconds - segment.start_seconds >= least]
    best = sorted(made, key=lambda segment: (-segment.score, segment.start_seconds))
    return best[: options.per_video or None]


def _padded(in_time: Sequence[Segment], duration_seconds: float, seconds: float) -> list[Segment]:
    middles = [(before.end_seconds + after.start_seconds) / 2 for before, after in pairwise(in_time)]
    walls = zip(in_time, [0.0, *middles], [*middles, duration_seconds], strict=True)
    return [
        replace(s, start_seconds=max(s.start_seconds - seconds, left), end_seconds=min(s.end_seconds + seconds, right))
        for s, left, right in walls
    ]


def _shortened(segment: Segment, seconds: float) -> Segment:
    if segment.end_seconds - segment.start_seconds <= seconds:
        return segment
    start = min(max(segment.start_seconds, segment.peak_seconds - seconds / 2), segment.end_seconds - seconds)
    return replace(segment, start_seconds=start, end_seconds=start + seconds)


def known_moments(video_id: str, parts: Iterable[Part]) -> list[Span]:
    """The moments of a video that a query looks for the like of."""
    return [part.moment[1] for part in parts if part.moment and part.moment[0] == video_id and part.weight > 0]


def find_others(
    curve: ScoreCurve, shots: Shots, span: Span, options: SearchOptions, known: Sequence[Span]
) -> list[Segment]:
    """As `find_in_span`, but for what overlaps moments that are known already.

    Such a moment is the best of its video by far, and all others look weak beside it. So the frames of what overlaps it
    are taken for background, and the rest is divided once more.
    """
    found = find_in_span(curve, shots, span, options)
    overlapping = [segment for segment in found if _overlaps(segment, known)]
    if not overlapping:
        return found
    hidden = np.zeros(len(curve.scores), dtype=bool)
    for segment in overlapping:
        hidden |= (curve.pts_seconds >= segment.start_seconds) & (curve.pts_seconds < segment.end_seconds)
    if hidden.all():
        return []
    scores = np.where(hidden, np.median(curve.scores[~hidden]), curve.scores)
    again = find_in_span(replace(curve, scores=scores), shots, span, options)
    return [segment for segment in again if not _overlaps(segment, known)]


def judged(found: Sequence[Segment], curve: ScoreCurve) -> list[Segment]:
    """Segments in the order in which they were found, with the scores that another curve has for them.

    A segment's best frame by that curve, or the nearest one if it holds none, is its peak. The scores of these frames
    go to the segments by rank: the first one found gets the highest. So one curve says where something fits best, the
    other how well anything fits.
    """
    peaks = [_peak(segment, curve) for segment in found]
    scores = sorted((score for _, score in peaks), reverse=True)
    return [
        replace(segment, score=score, peak_seconds=seconds)
        for segment, (seconds, _), score in zip(found, peaks, scores, strict=True)
    ]


def _peak(segment: Segment, curve: ScoreCurve) -> tuple[float, float]:
    """When a curve is highest in a segment, and how high."""
    first, after = np.searchsorted(curve.pts_seconds, (segment.start_seconds, segment.end_seconds))
    if after > first:
        best = int(first + curve.scores[first:after].argmax())
        return float(curve.pts_seconds[best]), float(curve.scores[best])
    nearest = int(np.abs(curve.pts_seconds - segment.peak_seconds).argmin())
    return segment.peak_seconds, float(curve.scores[nearest])


def _overlaps(segment: Segment, spans: Iterable[Span]) -> bool:
    return any(segment.start_seconds < end and start < segment.end_seconds for start, end in spans)
