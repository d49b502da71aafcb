"""The default strategy: of many window proposals, the one that overlaps best with the other plausible ones.

1. `windows.py` proposes windows.
2. A window's plausibility is the exponential of a weighted sum of seven `FEATURES`, among them the inner-outer contrast
   of Z. Shou et al., "AutoLoc", 2018, and the share of variance of N. Otsu, 1979.
3. The answer is the window with the highest expected overlap, if each window is the moment with a probability
   proportional to its plausibility. That is the decision of least expected loss as in S. Kumar and W. Byrne, "Minimum
   Bayes-Risk Decoding for Statistical Machine Translation", 2004. A lone window with a high value loses to many that
   differ by a sample. Windows that overlap the answer are removed (non-maximum suppression), and the next answer is
   chosen from the rest.

Features read calibrated scores: 0 is the background of the query in the library, 1 what a right frame gets.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from executors.faiss_indexer.moments.curves import Indices, ScoreCurve, Segment, clip, is_flat, smooth_scores
from executors.faiss_indexer.moments.edges import make_segments, take_whole_video
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Floats, Shots, find_nearest_cuts, list_cuts
from executors.faiss_indexer.moments.windows import Means, Windows, find_window_edges, propose_windows

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
time of scores above and below _MIDDLE, divided by the square root of the length.
"""
_EDGE_SECONDS = 1.0
_STEP_AT_VIDEO_END = 0.3  # the step of an edge at the video's start or end, where nothing lies beyond
_MIDDLE, _SCALE, _MOST = 0.4, 0.3, 1.5  # of the evidence: a score counts as (score - middle) / scale, at most 1.5
_CANDIDATES = 60  # windows that vote: the plausibility of later ones is next to nothing


def find_by_consensus(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The windows that overlap best with the plausible ones, without overlaps; see the module's docstring."""
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    windows = _drop_short(propose_windows(curve, shots), options.minimum_seconds)
    values = measure_features(windows, smooth) @ np.array(list(FEATURES.values()))
    edges = find_window_edges(windows, smooth)
    chosen = _choose(windows, values, snap_edges(edges, shots, options.snap_seconds), options.most_per_video)
    ranks = np.argsort(windows.first[chosen])
    starts, ends = edges[chosen[ranks]].T
    starts[1:] = np.maximum(starts[1:], ends[:-1])  # neighbours that touch may put their common edge differently
    ranges = list(zip(starts.tolist(), ends.tolist(), strict=True))
    return make_segments(curve, smooth, ranges, shots, options, ranks=ranks.tolist())


def measure_features(windows: Windows, smooth: Floats) -> Floats:
    """float64 [M, number of FEATURES], in their order."""
    curve, first, after = windows.curve, windows.first, windows.after
    means, is_whole = windows.means, (first == 0) & (after == len(curve.scores))
    lengths, duration = windows.seconds, curve.duration_seconds
    inside, before, behind = windows.inside_and_beside
    rise = np.where(is_whole, 0.0, np.minimum(inside - before, inside - behind))
    outside = np.where(is_whole, inside, (means.totals[-1] - inside * lengths) / np.maximum(duration - lengths, 1e-9))
    squares = Means.of(curve, (curve.scores - means.totals[-1] / duration) ** 2)
    between = lengths * (duration - lengths) / duration * (inside - outside) ** 2 / max(squares.totals[-1], 1e-9)
    evidence = Means.of(curve, clip((curve.scores - _MIDDLE) / _SCALE, -_MOST, _MOST))
    return np.stack(
        [
            rise,
            lengths / duration,
            between,
            np.where(is_whole, 0.0, _measure_edge_steps(windows)),
            is_whole.astype(np.float64),
            clip(_find_lowest(smooth, first, after), -1.0, 1.0),
            evidence.average(first, after) * np.sqrt(lengths),
        ],
        axis=1,
    )


def _measure_edge_steps(windows: Windows) -> Floats:
    means, first, after, edges = windows.means, windows.first, windows.after, windows.means.edges
    until = clip(edges.searchsorted(edges[first] + _EDGE_SECONDS), first + 1, after)
    since = clip(edges.searchsorted(edges[after] - _EDGE_SECONDS, side="right") - 1, first, after - 1)
    before, behind = windows.average_beside(_EDGE_SECONDS)
    up = np.where(np.isfinite(before), means.average(first, until) - before, _STEP_AT_VIDEO_END)
    down = np.where(np.isfinite(behind), means.average(since, after) - behind, _STEP_AT_VIDEO_END)
    steps: Floats = (up + down) / 2
    return steps


def _find_lowest(values: Floats, first: Indices, after: Indices) -> Floats:
    """The lowest value of each window: the lower one of two overlapping blocks whose length is a power of two."""
    lowest = np.empty(len(first))
    power = np.log2(after - first).astype(np.int64)
    block = values
    for exponent in range(int(power.max()) + 1):
        if exponent:
            half = 1 << (exponent - 1)
            block = np.minimum(block[:-half], block[half:])
        here = power == exponent
        lowest[here] = np.minimum(block[first[here]], block[after[here] - (1 << exponent)])
    return lowest


def _drop_short(windows: Windows, minimum_seconds: float) -> Windows:
    long = np.flatnonzero(windows.seconds >= minimum_seconds)
    return windows.select(long) if 0 < len(long) < len(windows) else windows


def snap_edges(edges: Floats, shots: Shots, snap_seconds: float) -> Floats:
    """Edges moved to the nearest cut, if that is at most `snap_seconds` away."""
    near = find_nearest_cuts(list_cuts(shots), edges)
    snapped: Floats = np.where(np.abs(near - edges) <= snap_seconds, near, edges)
    return snapped


def _choose(windows: Windows, values: Floats, edges: Floats, most: int) -> Indices:
    """Places of windows that do not overlap, best first.

    Args:
        values: float64 [M], higher is more plausible.
        edges: where each would start and end as a segment, float64 [M, 2].
    """
    chosen: list[int] = []
    left = np.argsort(-values, kind="stable")
    while len(left) and len(chosen) < most:
        candidates = left[:_CANDIDATES]
        plausibility = np.exp(values[candidates] - values[candidates[0]])
        best = int(candidates[(_compare(*edges[candidates].T) @ plausibility).argmax()])
        chosen.append(best)
        left = left[(windows.after[left] <= windows.first[best]) | (windows.first[left] >= windows.after[best])]
    return np.array(chosen)


def _compare(starts: Floats, ends: Floats) -> Floats:
    """How right each range is if another one is true, in [0, 1], float64 [M, M].

    Half is whether their IoU is .5 or more, half how many of the IoUs .5 to .95 are reached: what R1@.5 and mAP reward.
    """
    shared = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    lengths = ends - starts
    shared = np.maximum(shared, 0.0)
    iou = shared / np.maximum(lengths[:, None] + lengths - shared, 1e-9)
    agreement: Floats = 0.5 * (iou >= 0.5) + 0.5 * clip(2 * iou - 0.9, 0.0, 1.0)
    return agreement
