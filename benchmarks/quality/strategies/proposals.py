"""Strategies that propose windows, judge each by its contrast to its surroundings, and keep the best without overlap.

The judge is the inner-outer contrast of Z. Shou et al., "AutoLoc: Weakly-supervised Temporal Action Localization in
Untrimmed Videos", 2018, times a power of the window's length: with the power 1/2 and the whole video as surroundings it
is close to the statistic by which A. Olshen et al., "Circular binary segmentation for the analysis of array-based DNA
copy number data", 2004, find the one interval that differs most. Overlaps are removed by non-maximum suppression.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.strategies.options import StrategyOptions
from executors.faiss_indexer.moments.curves import Indices, Runs, ScoreCurve, Segment, is_flat, smooth_scores
from executors.faiss_indexer.moments.edges import find_edges_after, make_segments, take_whole_video
from executors.faiss_indexer.moments.shots import Floats, Shots, TimeRange, list_cuts

# Window lengths grow by this factor and windows of one length start this share of it apart: any moment has a window
# that overlaps it with IoU .8 before its edges are refined, and there are about 10 windows for each sample.
_LENGTH_FACTOR = 1.25
_STRIDE_SHARE = 0.25
_REFINING_ROUNDS = 2  # a third changed no edge on the curves of the benchmark
_FLOOD_LEVELS = np.linspace(0.95, 0.05, 19)
# Watershed: how much of a merged basin must be under the water line (Xiong et al. 2017 use such a sequence).
_LEAST_FLOODED = (1.0, 0.8, 0.6)


@dataclass(frozen=True)
class _Judge:
    """The contrast of windows of samples: prefix sums of scores float64 [N + 1] and the options."""

    totals: Floats
    surroundings: float
    length_power: float

    @classmethod
    def of(cls, scores: Floats, options: StrategyOptions) -> "_Judge":
        totals = np.concatenate(([0.0], np.cumsum(scores - scores.mean())))
        return cls(totals, options.surroundings, options.length_power)

    def values(self, first: Indices, after: Indices) -> Floats:
        """Windows `[first, after)` of sample indices [M] -> float64 [M]; 0 for one without surroundings."""
        inner, outer, inside, outside = self._measure(first, after)
        beside = np.sqrt(outside / (inside + outside)) if np.isinf(self.surroundings) else 1.0
        values: Floats = np.where(outside > 0, (inner - outer) * inside**self.length_power * beside, 0.0)
        return values

    def middle_levels(self, first: Indices, after: Indices) -> Floats:
        """Half-way between the mean inside and the mean of the surroundings, less the mean of all scores."""
        inner, outer, _, _ = self._measure(first, after)
        levels: Floats = (inner + outer) / 2
        return levels

    def _measure(self, first: Indices, after: Indices) -> tuple[Floats, Floats, Floats, Floats]:
        count = len(self.totals) - 1
        inside = (after - first).astype(np.float64)
        reach = np.ceil(np.minimum(self.surroundings * inside, count)).astype(np.int64)
        low, high = np.maximum(first - reach, 0), np.minimum(after + reach, count)
        outside = (high - low) - inside
        sums = self.totals[after] - self.totals[first]
        outer_sums = self.totals[high] - self.totals[low] - sums
        return sums / inside, outer_sums / np.maximum(outside, 1.0), inside, outside


def find_by_contrast(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """The windows with the highest normalised contrast to their surroundings, none overlapping."""
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    judge = _Judge.of(smooth, options)
    first, after = _list_windows(len(smooth))
    chosen = _suppress_overlaps(first, after, judge.values(first, after), options)
    if not chosen:
        return take_whole_video(curve, smooth, shots, options)
    refined = _refine(judge, chosen, len(smooth))
    return make_segments(curve, smooth, _find_window_ranges(curve, smooth, judge, refined), shots, options)


def find_by_watershed(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """Basins of shots that flood together as the water line falls, judged by contrast, none overlapping.

    Proposals from shots and matching by the mean score are what A. Diwan, P. Peng and R. Mooney, "Zero-shot Video
    Moment Retrieval With Off-the-Shelf Models", 2022, arXiv 2211.02178, build moments from; the flooding is the
    watershed of Y. Xiong et al., "Temporal Action Detection with Structured Segment Networks", 2017. A segment ends
    where a shot does. Where no cuts are known, each sample is a shot of its own.
    """
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    edges, edge_seconds = _find_shot_edges(curve, shots)
    means = np.add.reduceat(smooth, edges[:-1]) / np.diff(edges)
    first, after = (edges[side] for side in _flood(means))
    judge = _Judge.of(smooth, options)
    chosen = _suppress_overlaps(first, after, judge.values(first, after), options)
    if not chosen:
        return take_whole_video(curve, smooth, shots, options)
    if len(shots) < 2:
        return make_segments(curve, smooth, _find_window_ranges(curve, smooth, judge, sorted(chosen)), shots, options)
    places = np.searchsorted(edges, np.array(sorted(chosen)))
    ranges = [(start, end) for start, end in edge_seconds[places].tolist()]
    return make_segments(curve, smooth, ranges, shots, options)


def _list_windows(count: int) -> tuple[Indices, Indices]:
    """Windows `[first, after)` over all samples, with lengths in a geometric series."""
    firsts, afters = [], []
    length = 1
    while length <= count:
        first = np.arange(0, count - length + 1, max(1, int(length * _STRIDE_SHARE)))
        firsts.append(np.append(first, count - length))  # the last one ends with the video
        afters.append(firsts[-1] + length)
        length = max(length + 1, int(length * _LENGTH_FACTOR))
    return np.concatenate(firsts), np.concatenate(afters)


def _suppress_overlaps(
    first: Indices, after: Indices, values: Floats, options: StrategyOptions
) -> list[tuple[int, int]]:
    """Non-maximum suppression: the windows by falling value, down to `least_share` of the best, without overlaps."""
    chosen: list[tuple[int, int]] = []
    least = max(options.least_share * float(values.max(initial=0.0)), 1e-12)
    keep = values >= least
    first, after, values = first[keep], after[keep], values[keep]
    while len(values) and len(chosen) < options.most_per_video:
        best = int(values.argmax())
        start, end = int(first[best]), int(after[best])
        chosen.append((start, end))
        apart = (after <= start) | (first >= end)
        first, after, values = first[apart], after[apart], values[apart]
    return chosen


def _refine(judge: _Judge, chosen: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Move the edges of each window, best first, to where its value is highest nearby, without reaching into others."""
    windows = sorted(chosen)
    for window in chosen:
        place = windows.index(window)
        lowest = windows[place - 1][1] if place else 0
        highest = windows[place + 1][0] if place + 1 < len(windows) else count
        first, after = window
        for _ in range(_REFINING_ROUNDS):
            reach = max(1, int((after - first) * _STRIDE_SHARE))
            starts = np.arange(max(lowest, first - reach), min(after - 1, first + reach) + 1)
            first = int(starts[judge.values(starts, np.full_like(starts, after)).argmax()])
            ends = np.arange(max(first + 1, after - reach), min(highest, after + reach) + 1)
            after = int(ends[judge.values(np.full_like(ends, first), ends).argmax()])
        windows[place] = (first, after)
    return windows


def _find_window_ranges(
    curve: ScoreCurve, smooth: Floats, judge: _Judge, windows: Sequence[tuple[int, int]]
) -> list[TimeRange]:
    """Windows of samples, in order of time, as ranges: edges where the curve crosses each window's middle level."""
    first, after = np.array(windows).T
    levels = judge.middle_levels(first, after) + smooth.mean()
    starts = np.where(first == 0, 0.0, find_edges_after(curve, smooth, first - 1, levels))
    ends = np.where(after == len(smooth), curve.duration_seconds, find_edges_after(curve, smooth, after - 1, levels))
    starts[1:] = np.maximum(starts[1:], ends[:-1])  # neighbours that touch may put their common edge differently
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _find_shot_edges(curve: ScoreCurve, shots: Shots) -> tuple[Indices, Floats]:
    """Index of the first sample of each shot that has any, and N at the end; and the edges' times in seconds."""
    count = len(curve.scores)
    if len(shots) < 2:
        return np.arange(count + 1), np.append(curve.pts_seconds, curve.duration_seconds)
    cuts = list_cuts(shots)
    index = np.searchsorted(curve.pts_seconds, cuts)
    inner = (index > 0) & (index < count)
    edges, place = np.unique(index[inner], return_index=True)
    seconds = np.concatenate(([0.0], cuts[inner][place], [curve.duration_seconds]))
    return np.concatenate(([0], edges, [count])), seconds


def _flood(means: Floats) -> tuple[Indices, Indices]:
    """Runs of shots `[first, after)` that flood together, for every water line and least flooded share."""
    rise = float(np.ptp(means))
    windows: set[tuple[int, int]] = set()
    for level in _FLOOD_LEVELS if rise > 0 else ():
        runs = Runs.of(means >= means.min() + level * rise)
        for least in _LEAST_FLOODED:
            windows.update(_group(runs.first.tolist(), (runs.last + 1).tolist(), least))
    first, after = np.array(sorted(windows), dtype=np.int64).reshape(-1, 2).T
    return first, after


def _group(firsts: list[int], afters: list[int], least_flooded: float) -> list[tuple[int, int]]:
    """Join each run with those after it as long as enough of the whole is flooded, in one pass."""
    groups: list[tuple[int, int]] = []
    flooded = 0
    for first, after in zip(firsts, afters, strict=True):
        if groups and flooded + after - first >= least_flooded * (after - groups[-1][0]):
            groups[-1] = (groups[-1][0], after)
            flooded += after - first
        else:
            groups.append((first, after))
            flooded = after - first
    return groups
