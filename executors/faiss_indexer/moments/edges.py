"""From ranges of time to segments: what every strategy does once it knows roughly where the moments are.

The ranges are half-open, inside the video, in order of time, do not overlap, and hold at least one sample of the curve
each. Every step keeps that so.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from executors.faiss_indexer.moments.curves import Indices, Runs, ScoreCurve, Segment, clip
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Floats, Shots, TimeRange, list_cuts, snap_to_cuts

# An edge keeps this share of the distance between two samples away from either. So rounding never moves a sample to the
# wrong side of an edge.
EDGE_MARGIN = 0.01
_LEAST_RISE = 1e-12  # between two samples; far below the precision of float16 vectors


def find_ranges(curve: ScoreCurve, values: Floats, runs: Runs, level: float) -> list[TimeRange]:
    """Runs of samples as ranges: an edge lies where the line between the samples beside it crosses the level."""
    starts = np.where(runs.first == 0, 0.0, find_edges_after(curve, values, runs.first - 1, level))
    ends = find_edges_after(curve, values, runs.last, level)
    ends = np.where(runs.last == len(values) - 1, curve.duration_seconds, ends)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def find_edges_after(curve: ScoreCurve, values: Floats, index: Indices, level: float | Floats) -> Floats:
    """The edges between samples `index` [M] and the next ones, in seconds; half-way where no line crosses the level."""
    here = clip(index, 0, max(0, len(values) - 2))
    following = np.minimum(here + 1, len(values) - 1)
    rise = values[following] - values[here]
    share = np.divide(level - values[here], rise, out=np.full(len(here), 0.5), where=np.abs(rise) > _LEAST_RISE)
    share = np.where((share < 0) | (share > 1), 0.5, clip(share, EDGE_MARGIN, 1 - EDGE_MARGIN))
    pts = curve.pts_seconds
    edges: Floats = pts[here] + share * (pts[following] - pts[here])
    return edges


def merge_gaps(ranges: Sequence[TimeRange], gap_seconds: float) -> list[TimeRange]:
    """Gap merging: ranges that are no further apart than the gap become one; with 0 all stay."""
    merged: list[TimeRange] = []
    for start, end in ranges:
        if merged and gap_seconds > 0 and start - merged[-1][1] <= gap_seconds:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def take_whole_video(curve: ScoreCurve, smooth: Floats, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The one segment of a curve in which nothing stands out."""
    return make_segments(curve, smooth, [(0.0, curve.duration_seconds)], shots, options)


def make_segments(
    curve: ScoreCurve,
    smooth: Floats,
    ranges: Sequence[TimeRange],
    shots: Shots,
    options: SegmentOptions,
    ranks: Sequence[int] | None = None,
) -> list[Segment]:
    """Drop short ranges, snap the others to cuts and score them. Costs n log n.

    Args:
        ranks: the place of each range, 0 for the best, where a strategy does not order them by score. No segment then
            gets a higher score than the one before it.

    Returns: segments, best first.
    """
    ranked = list(zip(ranges, ranks if ranks is not None else range(len(ranges)), strict=True))
    ranked = _drop_short(ranked, options.minimum_seconds)
    inside = [time_range for time_range, _ in ranked]
    peaks = curve.pts_seconds[_find_peaks(curve, smooth, inside)].tolist()
    snapped = snap_to_cuts(
        inside,
        peaks,
        list_cuts(shots),
        options.snap_seconds,
        options.minimum_seconds,
        curve.duration_seconds,
        curve.pts_seconds,
    )
    ranked = list(zip(snapped, (rank for _, rank in ranked), strict=True))
    ranked = _drop_short(ranked, options.minimum_seconds)  # a cut may have made one range long enough
    segments = _score(curve, smooth, [time_range for time_range, _ in ranked], options.score)
    if ranks is None:
        return sorted(segments, key=lambda segment: (-segment.score, segment.start_seconds))[: options.most_per_video]
    places = sorted(range(len(segments)), key=lambda place: ranked[place][1])
    return _lower_rising_scores([segments[place] for place in places[: options.most_per_video]])


def _drop_short(ranked: list[tuple[TimeRange, int]], minimum_seconds: float) -> list[tuple[TimeRange, int]]:
    long = [((start, end), rank) for (start, end), rank in ranked if end - start >= minimum_seconds]
    return long or ranked


def _lower_rising_scores(segments: Sequence[Segment]) -> list[Segment]:
    """The segments with scores that never rise: the smallest step lower still shows the order."""
    lowered: list[Segment] = []
    for segment in segments:
        highest = math.nextafter(lowered[-1].score, -math.inf) if lowered else math.inf
        lowered.append(segment if segment.score <= highest else replace(segment, score=highest))
    return lowered


def _score(curve: ScoreCurve, smooth: Floats, ranges: Sequence[TimeRange], score: str) -> list[Segment]:
    segments = []
    bounds = np.searchsorted(curve.pts_seconds, np.array(ranges).reshape(-1, 2)).tolist()
    totals = np.concatenate(([0.0], np.cumsum(curve.scores)))
    for (start, end), peak, (low, high) in zip(ranges, _find_peaks(curve, smooth, ranges), bounds, strict=True):
        if score == "top":
            value = float(curve.scores[low:high].max())
        else:
            value = float(totals[high] - totals[low]) / (high - low)
        segments.append(Segment(start, end, value, float(curve.pts_seconds[peak])))
    return segments


def _find_peaks(curve: ScoreCurve, smooth: Floats, ranges: Sequence[TimeRange]) -> list[int]:
    bounds = np.searchsorted(curve.pts_seconds, np.array(ranges).reshape(-1, 2)).tolist()
    return [low + int(smooth[low:high].argmax()) for low, high in bounds]
