"""Matches: the segments of one video that answer a query."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from executors.faiss_indexer.moments.segments import TUNED, ScoreCurve, Segment, find_segments
from executors.faiss_indexer.moments.shots import Shots, TimeRange
from executors.faiss_indexer.ranking.queries import SearchOptions
from executors.faiss_indexer.store.records import VideoRecord

_ROUNDING_SECONDS = 1e-6


@dataclass(frozen=True)
class VideoMatch:
    """A segment with its video. `segment.score` is in the unit of the curve, `score` in [0, 1]."""

    video: VideoRecord
    segment: Segment
    score: float

    @property
    def order(self) -> tuple[float, str, float]:
        """Sorts the best first; the same library always gives the same order."""
        return -self.segment.score, self.video.video_id, self.segment.start_seconds


def find_in_range(curve: ScoreCurve, shots: Shots, time_range: TimeRange, options: SearchOptions) -> list[Segment]:
    """The segments of a range `[start, end)` of a video, best first, as if the range were the whole video.

    They have the padding, the lengths and the number that the options ask for.

    Args:
        curve: the frames in the range alone, in the video's own time.
        shots: those of the whole video.
    """
    start, end = time_range
    moved = ScoreCurve(curve.pts_seconds - start, curve.scores, end - start)
    inside = [(max(s, start) - start, min(e, end) - start) for s, e in shots if s < end and e > start]
    segments = adjust_lengths(
        find_segments(moved, TUNED[options.strategy] if options.strategy else None, inside),
        end - start,
        padding_seconds=options.padding_seconds,
        minimum_seconds=options.minimum_seconds,
        maximum_seconds=options.maximum_seconds,
    )
    best = sorted(segments, key=lambda segment: (-segment.score, segment.start_seconds))[: options.per_video or None]
    return [
        Segment(max(start, s.start_seconds + start), min(end, s.end_seconds + start), s.score, s.peak_seconds + start)
        for s in best
    ]


def find_beside_known(
    curve: ScoreCurve, shots: Shots, time_range: TimeRange, options: SearchOptions, known: Sequence[TimeRange]
) -> list[Segment]:
    """As `find_in_range`, but without segments that overlap known moments, the query's examples.

    A known moment is by far the best of its video, and all others look weak beside it. So its frames become background,
    and the curve is divided once more.
    """
    segments = find_in_range(curve, shots, time_range, options)
    overlapping = [segment for segment in segments if _overlaps(segment, known)]
    if not overlapping:
        return segments
    is_hidden = np.zeros(len(curve.scores), dtype=bool)
    for segment in overlapping:
        is_hidden |= (curve.pts_seconds >= segment.start_seconds) & (curve.pts_seconds < segment.end_seconds)
    if is_hidden.all():
        return []
    scores = np.where(is_hidden, np.median(curve.scores[~is_hidden]), curve.scores)
    segments = find_in_range(replace(curve, scores=scores), shots, time_range, options)
    return [segment for segment in segments if not _overlaps(segment, known)]


def judge_by_curve(segments: Sequence[Segment], curve: ScoreCurve) -> list[Segment]:
    """Segments in their order, with scores and peaks read off another curve than the one that found them.

    A segment's peak is its best frame by that curve, or the nearest frame if it holds none. The scores of these frames
    go to the segments by rank: the first segment gets the highest. So one curve says where something fits best, the
    other how well anything fits.
    """
    peaks = [_find_peak(segment, curve) for segment in segments]
    scores = sorted((score for _, score in peaks), reverse=True)
    return [
        replace(segment, score=score, peak_seconds=seconds)
        for segment, (seconds, _), score in zip(segments, peaks, scores, strict=True)
    ]


def _find_peak(segment: Segment, curve: ScoreCurve) -> tuple[float, float]:
    first, after = np.searchsorted(curve.pts_seconds, (segment.start_seconds, segment.end_seconds))
    if after > first:
        best = int(first + curve.scores[first:after].argmax())
        return float(curve.pts_seconds[best]), float(curve.scores[best])
    nearest = int(np.abs(curve.pts_seconds - segment.peak_seconds).argmin())
    return segment.peak_seconds, float(curve.scores[nearest])


def _overlaps(segment: Segment, ranges: Sequence[TimeRange]) -> bool:
    return any(segment.start_seconds < end and start < segment.end_seconds for start, end in ranges)


def adjust_lengths(
    segments: Sequence[Segment],
    duration_seconds: float,
    *,
    padding_seconds: float = 0.0,
    minimum_seconds: float = 0.0,
    maximum_seconds: float = 0.0,
) -> list[Segment]:
    """Pad the segments of a video, shorten the long ones around their peak, and drop the short ones; 0 sets no maximum.

    Returns: segments in order of time.
    """
    in_time = sorted(segments, key=lambda segment: segment.start_seconds)
    ranges = [(segment.start_seconds, segment.end_seconds) for segment in in_time]
    if padding_seconds:
        ranges = pad_ranges(ranges, padding_seconds, duration_seconds)
    if maximum_seconds:
        ranges = [_shorten(r, s.peak_seconds, maximum_seconds) for r, s in zip(ranges, in_time, strict=True)]
    return [
        replace(segment, start_seconds=start, end_seconds=end)
        for segment, (start, end) in zip(in_time, ranges, strict=True)
        if end - start >= minimum_seconds - _ROUNDING_SECONDS
    ]


def pad_ranges(ranges: Sequence[TimeRange], seconds: float, duration_seconds: float) -> list[TimeRange]:
    """Widen ranges, in order of time and without overlaps, up to half-way to the neighbour and to the video's ends."""
    middles = [(before[1] + after[0]) / 2 for before, after in pairwise(ranges)]
    walls = zip(ranges, [0.0, *middles], [*middles, duration_seconds], strict=True)
    return [(max(start - seconds, left), min(end + seconds, right)) for (start, end), left, right in walls]


def _shorten(time_range: TimeRange, peak_seconds: float, maximum_seconds: float) -> TimeRange:
    start, end = time_range
    if end - start <= maximum_seconds:
        return time_range
    start = min(max(start, peak_seconds - maximum_seconds / 2), end - maximum_seconds)
    return start, start + maximum_seconds
