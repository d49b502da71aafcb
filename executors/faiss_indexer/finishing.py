"""From time spans to segments: what every strategy does once it knows roughly where the moments are.

A span here is `(start_seconds, end_seconds)`, half-open, inside the video, with at least one sample of the curve in it;
lists of them are in order of time and do not overlap. Every step keeps that so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from executors.faiss_indexer import segments
from executors.faiss_indexer.segments import Floats, ScoreCurve, Segment
from executors.faiss_indexer.shots import Shots, Span, cuts_of, snapped
from executors.faiss_indexer.strategy_options import StrategyOptions

# An edge stays this share of the distance between two samples away from either, so that a sample is on the side of the
# edge where its score puts it, whatever the rounding.
_EDGE_MARGIN = 0.01
_LEAST_MAXIMUM_SECONDS = 1e-3


@dataclass(frozen=True)
class Runs:
    """Runs of samples: int64 [M] first and last index of each, inclusive, in order of time, not touching."""

    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, inside: np.ndarray) -> "Runs":
        """The runs of True in bool [N]."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False]))))
        return cls(edges[::2], edges[1::2] - 1)


def evened_out(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> Floats:
    """The scores smoothed and mixed with those of their shots as the options say, float64 [N]."""
    return segments.evened_out(
        curve, cuts_of(shots), options.smoothing_seconds, options.smooth_over_cuts, options.shot_share
    )


def spans_of(curve: ScoreCurve, values: Floats, runs: Runs, level: float) -> list[Span]:
    """Runs of samples as spans: an edge lies where the line between the samples on its two sides crosses the level."""
    starts = np.where(runs.first == 0, 0.0, edges_after(curve, values, runs.first - 1, level))
    ends = np.where(runs.last == len(values) - 1, curve.duration_seconds, edges_after(curve, values, runs.last, level))
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def edges_after(curve: ScoreCurve, values: Floats, index: np.ndarray, level: float | Floats) -> Floats:
    """The edges between samples `index` [M] and the next ones, in seconds; half-way where no line crosses the level."""
    here = np.clip(index, 0, max(0, len(values) - 2))
    following = np.minimum(here + 1, len(values) - 1)
    rise = values[following] - values[here]
    share = np.divide(level - values[here], rise, out=np.full(len(here), 0.5), where=rise != 0)
    share = np.where((share < 0) | (share > 1), 0.5, np.clip(share, _EDGE_MARGIN, 1 - _EDGE_MARGIN))
    pts = curve.pts_seconds
    edges: Floats = pts[here] + share * (pts[following] - pts[here])
    return edges


def finish(
    curve: ScoreCurve, smooth: Floats, spans: Sequence[Span], shots: Shots, options: StrategyOptions
) -> list[Segment]:
    """Merge, drop, snap, pad, shorten and score the spans. Returns: segments, best first. Costs n log n."""
    made = merged(spans, options.merge_gap_seconds)
    made = [span for span in made if span[1] - span[0] >= options.minimum_seconds] or made
    peaks = curve.pts_seconds[_peaks(curve, smooth, made)].tolist()
    made = snapped(made, peaks, cuts_of(shots), options.snap_seconds, options.minimum_seconds, curve.duration_seconds)
    made = _padded(made, options.padding_seconds, curve.duration_seconds)
    scored = _scored(curve, smooth, made, options)
    return sorted(scored, key=lambda s: (-s.score, s.start_seconds))[: options.most_per_video]


def merged(spans: Sequence[Span], gap_seconds: float) -> list[Span]:
    """Spans that are no further apart than the gap become one; with 0 all stay as they are."""
    made: list[Span] = []
    for start, end in spans:
        if made and gap_seconds > 0 and start - made[-1][1] <= gap_seconds:
            made[-1] = (made[-1][0], end)
        else:
            made.append((start, end))
    return made


def _padded(spans: list[Span], seconds: float, duration: float) -> list[Span]:
    if not spans or seconds <= 0:
        return spans
    starts, ends = np.array(spans).T
    middles = (ends[:-1] + starts[1:]) / 2
    padded_starts = np.maximum(starts - seconds, np.concatenate(([0.0], middles)))
    padded_ends = np.minimum(ends + seconds, np.concatenate((middles, [duration])))
    return list(zip(padded_starts.tolist(), padded_ends.tolist(), strict=True))


def _scored(curve: ScoreCurve, smooth: Floats, spans: list[Span], options: StrategyOptions) -> list[Segment]:
    scored = []
    bounds = np.searchsorted(curve.pts_seconds, np.array(spans).reshape(-1, 2))
    totals = np.concatenate(([0.0], np.cumsum(curve.scores)))
    for (start, end), peak, (low, high) in zip(spans, _peaks(curve, smooth, spans), bounds.tolist(), strict=True):
        peak_seconds = float(curve.pts_seconds[peak])
        score = float(smooth[peak])
        if options.score != "peak":
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
