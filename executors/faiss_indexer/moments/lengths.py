"""Padding and shortening: the lengths that a query wants its segments to have."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from executors.faiss_indexer.moments.curves import Segment
from executors.faiss_indexer.moments.shots import TimeRange

_ROUNDING_SECONDS = 1e-6


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
