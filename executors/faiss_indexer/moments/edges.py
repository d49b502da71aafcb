"""From time spans to segments: what every strategy does once it knows roughly where the moments are.

A span here is `(start_seconds, end_seconds)`, half-open, inside the video, with at least one sample of the curve in it;
lists of them are in order of time and do not overlap. Every step keeps that so.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from executors.faiss_indexer.moments.curves import Floats, Runs, ScoreCurve, Segment, clipped
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots, Span, cuts_of, snapped

# An edge stays this share of the distance between two samples away from either, so that a sample is on the side of the
# edge where its score puts it, whatever the rounding.
_EDGE_MARGIN = 0.01
_LEAST_MAXIMUM_SECONDS = 1e-3
_LEAST_RISE = 1e-12  # between two samples; far below the precision of float16 vectors


def spans_of(curve: ScoreCurve, values: Floats, runs: Runs, level: float) -> list[Span]:
    """Runs of samples as spans: an edge lies where the line between the samples on its two sides crosses the level."""
    starts = np.where(runs.first == 0, 0.0, edges_after(curve, values, runs.first - 1, level))
    ends = np.where(runs.last == len(values) - 1, curve.duration_seconds, edges_after(curve, values, runs.last, level))
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def edges_after(curve: ScoreCurve, values: Floats, index: np.ndarray, level: float | Floats) -> Floats:
    """The edges between samples `index` [M] and the next ones, in seconds; half-way where no line crosses the level."""
    here = clipped(index, 0, max(0, len(values) - 2))
    following = np.minimum(here + 1, len(values) - 1)
    rise = values[following] - values[here]
    share = np.divide(level - values[here], rise, out=np.full(len(here), 0.5), where=np.abs(rise) > _LEAST_RISE)
    share = np.where((share < 0) | (share > 1), 0.5, clipped(share, _EDGE_MARGIN, 1 - _EDGE_MARGIN))
    pts = curve.pts_seconds
    edges: Floats = pts[here] + share * (pts[following] - pts[here])
    return edges


def edge_after(curve: ScoreCurve, values: Floats, index: int, level: float) -> float:
    """One edge as `edges_after` has it, of a level between two neighbours: quicker than an array of one."""
    here, following = float(values[index]), float(values[index + 1])
    share = min(max((level - here) / (following - here), _EDGE_MARGIN), 1 - _EDGE_MARGIN)
    start, end = float(curve.pts_seconds[index]), float(curve.pts_seconds[index + 1])
    return start + share * (end - start)


def finish(
    curve: ScoreCurve,
    smooth: Floats,
    spans: Sequence[Span],
    shots: Shots,
    options: SegmentOptions,
    worths: Sequence[float] | None = None,
) -> list[Segment]:
    """Merge, drop, snap, pad, shorten and score the spans. Costs n log n.

    Args:
        worths: how good each span is, where that is another thing than its score. Then they are ranked by it, and none
            gets a score above that of one before it. Merged spans are as good as the best of them.

    Returns: segments, best first.
    """
    made, ranks = merged(spans, options.merge_gap_seconds, worths)
    made, ranks = _long_enough(made, ranks, options.minimum_seconds)
    peaks = curve.pts_seconds[_peaks(curve, smooth, made)].tolist()
    made = snapped(made, peaks, cuts_of(shots), options.snap_seconds, options.minimum_seconds, curve.duration_seconds)
    made, ranks = _long_enough(made, ranks, options.minimum_seconds)  # a cut may have made the only long one
    made = _padded(made, options.padding_seconds, curve.duration_seconds)
    scored = _scored(curve, smooth, made, options)
    if worths is None:
        return sorted(scored, key=lambda s: (-s.score, s.start_seconds))[: options.most_per_video]
    by_worth = sorted(range(len(scored)), key=lambda place: (-ranks[place], scored[place].start_seconds))
    return _falling([scored[place] for place in by_worth[: options.most_per_video]])


def _long_enough(spans: list[Span], ranks: list[float], least_seconds: float) -> tuple[list[Span], list[float]]:
    """The spans that are no shorter than this, with their ranks; all where none is long enough."""
    places = [place for place, (start, end) in enumerate(spans) if end - start >= least_seconds]
    return ([spans[place] for place in places], [ranks[place] for place in places]) if places else (spans, ranks)


def _falling(segments: Sequence[Segment]) -> list[Segment]:
    """The segments with scores lowered where they would rise, by so little that they still tell the order."""
    made: list[Segment] = []
    for segment in segments:
        highest = math.nextafter(made[-1].score, -math.inf) if made else math.inf
        made.append(replace(segment, score=min(segment.score, highest)))
    return made


def merged(
    spans: Sequence[Span], gap_seconds: float, worths: Sequence[float] | None = None
) -> tuple[list[Span], list[float]]:
    """Spans that are no further apart than the gap become one, as good as the best of them; with 0 all stay."""
    made: list[Span] = []
    ranks: list[float] = []
    for (start, end), worth in zip(spans, [0.0] * len(spans) if worths is None else worths, strict=True):
        if made and gap_seconds > 0 and start - made[-1][1] <= gap_seconds:
            made[-1], ranks[-1] = (made[-1][0], end), max(ranks[-1], worth)
        else:
            made.append((start, end))
            ranks.append(worth)
    return made, ranks


def _padded(spans: list[Span], seconds: float, duration: float) -> list[Span]:
    if not spans or seconds <= 0:
        return spans
    starts, ends = np.array(spans).T
    middles = (ends[:-1] + starts[1:]) / 2
    padded_starts = np.maximum(starts - seconds, np.concatenate(([0.0], middles)))
    padded_ends = np.minimum(ends + seconds, np.concatenate((middles, [duration])))
    return list(zip(padded_starts.tolist(), padded_ends.tolist(), strict=True))


def _scored(curve: ScoreCurve, smooth: Floats, spans: list[Span], options: SegmentOptions) -> list[Segment]:
    scored = []
    bounds = np.searchsorted(curve.pts_seconds, np.array(spans).reshape(-1, 2))
    totals = np.concatenate(([0.0], np.cumsum(curve.scores)))
    for (start, end), peak, (low, high) in zip(spans, _peaks(curve, smooth, spans), bounds.tolist(), strict=True):
        peak_seconds = float(curve.pts_seconds[peak])
        score = float(smooth[peak])
        if options.score == "top":
            score = float(curve.scores[low:high].max())
        elif options.score != "peak":
            score = float(totals[high] - totals[low]) / (high - low)
        rest = len(smooth) - (high - low)
        if options.score == "contrast" and rest:
            score -= float(totals[-1] - totals[high] + totals[low]) / rest
        scored.append(Segment(*_shortened(start, end, peak_seconds, options.maximum_seconds), score, peak_seconds))
    return scored


def _shortened(start: float, end: float, peak: float, maximum: float) -> Span:
    maximum = max(maximum, _LEAST_MAXIMUM_SECONDS)
    if end - start <= maximum:
        return start, end
    start = min(max(start, peak - maximum / 2), end - maximum)
    return start, min(end, start + maximum)


def _peaks(curve: ScoreCurve, smooth: Floats, spans: list[Span]) -> list[int]:
    """Index of the best sample in each span."""
    bounds = np.searchsorted(curve.pts_seconds, np.array(spans).reshape(-1, 2)).tolist()
    return [low + int(smooth[low:high].argmax()) for low, high in bounds]
