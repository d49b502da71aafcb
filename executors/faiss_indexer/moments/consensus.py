"""The default strategy: of many proposed windows the one that the plausible ones agree with most.

1. Windows are runs of the curve above many thresholds, at three degrees of smoothing, also with short gaps closed: the
   "actionness grouping" of Y. Xiong et al., "Temporal Action Detection with Structured Segment Networks", 2017.
2. How plausible a window is: the exponential of a weighted sum of seven `FEATURES`, among them the inner-outer contrast
   of Z. Shou et al., "AutoLoc", 2018, and the share of variance of N. Otsu, 1979.
3. The answer is the window with the highest expected overlap, if each window is the moment with a probability that is
   proportional to its plausibility. That is the decision of least expected loss as in S. Kumar and W. Byrne, "Minimum
   Bayes-Risk Decoding for Statistical Machine Translation", 2004; a lone window with a good value loses to many that
   differ by a sample. What overlaps the answer is struck out, and the next one is sought among the rest.

Features read calibrated scores: 0 is the background of the query in the library, 1 what a right frame gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from executors.faiss_indexer.moments.curves import Floats, Indices, ScoreCurve, Segment, clipped, evened_out
from executors.faiss_indexer.moments.edges import edges_after, finish
from executors.faiss_indexer.moments.flatness import is_flat, whole_video
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots, cuts_of, nearest_cuts

FEATURES: Mapping[str, float] = MappingProxyType(
    {
        "least_rise": 4.42,
        "share_of_video": -0.904,
        "variance_between": 5.35,
        "edge_step": 14.0,
        "whole_video": 16.4,
        "lowest": 3.23,
        "evidence": 0.869,
    }
)
"""The features of a window and their weights, fitted by `python -m benchmarks.quality --fit` on the tuning halves.

`least_rise`: the mean inside less that of the surroundings on the side where they are higher. `share_of_video`: of its
length. `variance_between`: what share of the curve's variance lies between inside and outside. `edge_step`: by how much
the last second before an edge is lower than the first one after it, on average. `whole_video`: 1 for the window that
is the whole video, else 0. `lowest`: the lowest smoothed score inside, clipped to -1 ... 1. `evidence`: the sum over
time of scores above and below _MIDDLE, by the square root of the length.
"""
# Windows as they were when the weights were fitted: other numbers here want another fit.
_SMOOTHINGS = (
    SegmentOptions(smoothing_seconds=0.5, smooth_over_cuts=False),
    SegmentOptions(smoothing_seconds=2.0),
    SegmentOptions(shot_share=1.0),
)
_LEVELS = (np.arange(12) + 0.5) / 12  # of the way from the lowest to the highest score
_CLOSED_GAP_SECONDS = 4.0
_SURROUNDINGS_SECONDS = (2.0, 12.0)  # as long as the window, but no less and no more
_EDGE_SECONDS = 1.0
_STEP_AT_VIDEO_END = 0.3  # where there is no edge to see
_MIDDLE, _SCALE, _MOST = 0.4, 0.3, 1.5  # of the evidence: a score counts as (score - middle) / scale, 1.5 at most
_CANDIDATES = 60  # that vote: the plausibility of later ones is next to nothing


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows `[first, after)` of indices of a curve's samples, int64 [M] each."""

    curve: ScoreCurve
    first: Indices
    after: Indices

    def __len__(self) -> int:
        return len(self.first)

    def at(self, places: Indices) -> "Windows":
        """The windows at these places."""
        return Windows(self.curve, self.first[places], self.after[places])

    @cached_property
    def seconds(self) -> Floats:
        """How long each is."""
        edges = self.curve.cell_edges
        lengths: Floats = edges[self.after] - edges[self.first]
        return lengths

    @cached_property
    def means(self) -> "_Means":
        """Of the curve's scores."""
        return _Means.of(self.curve, self.curve.scores)

    @cached_property
    def inside_and_beside(self) -> tuple[Floats, Floats, Floats]:
        """The mean of each window, and of its surroundings before and behind it."""
        before, behind = self.means.beside(self, clipped(self.seconds, *_SURROUNDINGS_SECONDS))
        return self.means.mean(self.first, self.after), before, behind


def find_by_consensus(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The windows that the plausible ones agree with most, none overlapping; see the head of the module."""
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    windows = _of_wanted_length(proposed_windows(curve, shots), options)
    values = window_features(windows, smooth) @ np.array(list(FEATURES.values()))
    edges = window_edges(windows, smooth)
    chosen = _most_agreed(windows, values, snapped_edges(edges, shots, options.snap_seconds), options.most_per_video)
    in_time = np.argsort(windows.first[chosen])
    starts, ends = edges[chosen[in_time]].T
    starts[1:] = np.maximum(starts[1:], ends[:-1])  # neighbours that touch may put their common edge differently
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    return finish(curve, smooth, spans, shots, options, worths=(-in_time).tolist())


def proposed_windows(curve: ScoreCurve, shots: Shots) -> Windows:
    """Every window that is judged, each once, the whole video among them."""
    count, edges = len(curve.scores), curve.cell_edges
    firsts, afters = [np.array([0])], [np.array([count])]
    for smoothing in _SMOOTHINGS:
        values = evened_out(curve, shots, smoothing)
        level, first, after = _runs_above(values, values.min() + _LEVELS * np.ptp(values))
        apart = (edges[first[1:]] - edges[after[:-1]] > _CLOSED_GAP_SECONDS) | (level[1:] != level[:-1])
        firsts += [first, first[np.append(True, apart)]]
        afters += [after, after[np.append(apart, True)]]
    both = np.unique(np.concatenate(firsts) * (count + 1) + np.concatenate(afters))
    return Windows(curve, both // (count + 1), both % (count + 1))


def _runs_above(values: Floats, levels: Floats) -> tuple[Indices, Indices, Indices]:
    """The runs of values [N] that are no lower than a level, for each level: the level's place, `[first, after)`."""
    width = len(values) + 2
    above = np.zeros((len(levels), width), np.bool_)
    above[:, 1:-1] = values >= levels[:, None]
    flat = above.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return changes[::2] // width, changes[::2] % width, changes[1::2] % width


def window_features(windows: Windows, smooth: Floats) -> Floats:
    """float64 [M, number of FEATURES], in their order."""
    curve, first, after = windows.curve, windows.first, windows.after
    means, whole = windows.means, (first == 0) & (after == len(curve.scores))
    lengths, duration = windows.seconds, curve.duration_seconds
    inside, before, behind = windows.inside_and_beside
    rise = np.where(whole, 0.0, np.minimum(inside - before, inside - behind))
    outside = np.where(whole, inside, (means.totals[-1] - inside * lengths) / np.maximum(duration - lengths, 1e-9))
    squares = _Means.of(curve, (curve.scores - means.totals[-1] / duration) ** 2)
    between = lengths * (duration - lengths) / duration * (inside - outside) ** 2 / max(squares.totals[-1], 1e-9)
    evidence = _Means.of(curve, clipped((curve.scores - _MIDDLE) / _SCALE, -_MOST, _MOST))
    return np.stack(
        [
            rise,
            lengths / duration,
            between,
            np.where(whole, 0.0, _edge_steps(means, windows)),
            whole.astype(np.float64),
            clipped(_lowest(smooth, first, after), -1.0, 1.0),
            evidence.mean(first, after) * np.sqrt(lengths),
        ],
        axis=1,
    )


@dataclass(frozen=True)
class _Means:
    """Means over time of runs of samples, from the integral up to each cell's edge, float64 [N + 1]."""

    edges: Floats
    totals: Floats

    @classmethod
    def of(cls, curve: ScoreCurve, values: Floats) -> "_Means":
        edges = curve.cell_edges
        return cls(edges, np.concatenate(([0.0], np.cumsum(np.diff(edges) * values))))

    def mean(self, first: Indices, after: Indices) -> Floats:
        seconds = np.maximum(self.edges[after] - self.edges[first], 1e-9)
        means: Floats = (self.totals[after] - self.totals[first]) / seconds
        return means

    def beside(self, windows: Windows, seconds: Floats | float) -> tuple[Floats, Floats]:
        """The means of so many seconds before and behind each window, a sample at least; -inf where there is none."""
        first, after, last = windows.first, windows.after, len(self.edges) - 1
        low = np.minimum(self.edges.searchsorted(self.edges[first] - seconds), np.maximum(first - 1, 0))
        high = clipped(self.edges.searchsorted(self.edges[after] + seconds), np.minimum(after + 1, last), last)
        before = np.where(first > 0, self.mean(low, first), -np.inf)
        return before, np.where(after < last, self.mean(after, high), -np.inf)


def _edge_steps(means: _Means, windows: Windows) -> Floats:
    first, after, edges = windows.first, windows.after, means.edges
    until = clipped(edges.searchsorted(edges[first] + _EDGE_SECONDS), first + 1, after)
    since = clipped(edges.searchsorted(edges[after] - _EDGE_SECONDS, side="right") - 1, first, after - 1)
    before, behind = means.beside(windows, _EDGE_SECONDS)
    up = np.where(np.isfinite(before), means.mean(first, until) - before, _STEP_AT_VIDEO_END)
    down = np.where(np.isfinite(behind), means.mean(since, after) - behind, _STEP_AT_VIDEO_END)
    steps: Floats = (up + down) / 2
    return steps


def _lowest(values: Floats, first: Indices, after: Indices) -> Floats:
    """The lowest value of each window: of two overlapping stretches whose length is a power of two."""
    lowest = np.empty(len(first))
    power = np.log2(after - first).astype(np.int64)
    stretch = values
    for exponent in range(int(power.max()) + 1):
        if exponent:
            half = 1 << (exponent - 1)
            stretch = np.minimum(stretch[:-half], stretch[half:])
        here = power == exponent
        lowest[here] = np.minimum(stretch[first[here]], stretch[after[here] - (1 << exponent)])
    return lowest


def _of_wanted_length(windows: Windows, options: SegmentOptions) -> Windows:
    lengths = windows.seconds
    wanted = np.flatnonzero((lengths >= options.minimum_seconds) & (lengths <= options.maximum_seconds))
    return windows.at(wanted) if 0 < len(wanted) < len(windows) else windows


def _most_agreed(windows: Windows, values: Floats, spans: Floats, most: int) -> Indices:
    """Places of windows that do not overlap, in the order in which they are chosen.

    Args:
        values: float64 [M], higher is more plausible.
        spans: where each would begin and end as a segment, float64 [M, 2].
    """
    chosen: list[int] = []
    left = np.argsort(-values, kind="stable")
    while len(left) and len(chosen) < most:
        candidates = left[:_CANDIDATES]
        plausibility = np.exp(values[candidates] - values[candidates[0]])
        best = int(candidates[(_agreement(*spans[candidates].T) @ plausibility).argmax()])
        chosen.append(best)
        left = left[(windows.after[left] <= windows.first[best]) | (windows.first[left] >= windows.after[best])]
    return np.array(chosen)


def _agreement(starts: Floats, ends: Floats) -> Floats:
    """How right each span is if another one is true, in [0, 1], float64 [M, M].

    Half is whether their IoU is .5 or more, half how many of the IoUs .5 to .95 are reached: what R1@.5 and mAP reward.
    """
    shared = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    lengths = ends - starts
    shared = np.maximum(shared, 0.0)
    iou = shared / np.maximum(lengths[:, None] + lengths - shared, 1e-9)
    agreement: Floats = 0.5 * (iou >= 0.5) + 0.5 * clipped(2 * iou - 0.9, 0.0, 1.0)
    return agreement


def window_edges(windows: Windows, smooth: Floats) -> Floats:
    """Starts and ends in seconds, float64 [M, 2]: where the curve crosses half-way from a window's mean to that of its
    surroundings."""
    inside, before, behind = windows.inside_and_beside
    curve, first, after = windows.curve, windows.first, windows.after
    starts = np.where(first == 0, 0.0, edges_after(curve, smooth, first - 1, (inside + before) / 2))
    ends = edges_after(curve, smooth, after - 1, (inside + behind) / 2)
    return np.stack([starts, np.where(after == len(smooth), curve.duration_seconds, ends)], axis=1)


def snapped_edges(edges: Floats, shots: Shots, snap_seconds: float) -> Floats:
    """Edges moved to the nearest cut, where that is no further away than `snap_seconds`."""
    near = nearest_cuts(cuts_of(shots), edges)
    snapped: Floats = np.where(np.abs(near - edges) <= snap_seconds, near, edges)
    return snapped
