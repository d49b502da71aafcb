"""The default strategy: of many window proposals, the one that overlaps best with the other plausible ones.

1. `windows.py` proposes windows, and `features.py` measures them.
2. `trees.py` says for each window which overlap (IoU) with a moment to expect. Its plausibility is the exponential of
   that.
3. The answer is the window with the highest expected overlap, if each window is the moment with a probability
   proportional to its plausibility. That is the decision of least expected loss as in S. Kumar and W. Byrne, "Minimum
   Bayes-Risk Decoding for Statistical Machine Translation", 2004. A lone window with a high value loses to many that
   differ by a sample. Windows that overlap the answer are removed (non-maximum suppression), and the next answer is
   chosen from the rest.

Features read calibrated scores: 0 is the background of the query in the library, 1 what a right frame gets.
"""

from collections.abc import Callable

import numpy as np

from executors.faiss_indexer.moments.curves import Indices, ScoreCurve, Segment, clip, is_flat, smooth_scores
from executors.faiss_indexer.moments.edges import make_segments, take_whole_video
from executors.faiss_indexer.moments.features import measure_features, measure_standing_out, weigh_standing_out
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Floats, Shots, find_nearest_cuts, list_cuts
from executors.faiss_indexer.moments.trees import load_trees
from executors.faiss_indexer.moments.windows import Windows, find_window_edges, propose_windows

_SHARPNESS = 25.0  # a window with an expected IoU .1 higher is e^2.5 times as plausible; 15 and 40 measured the same
# Trees say the same of windows that differ by little; the plainer one shall win. More costs accuracy on real curves.
_OF_STANDING_OUT = 0.15
# Windows [M], the smoothed scores [N] and what `measure_standing_out` says -> the logarithms of plausibilities [M].
Judge = Callable[[Windows, Floats, Floats], Floats]
# Of the many windows of a long video the trees judge those that stand out most in each part of it.
_PARTS, _PER_PART = 12, 8


def find_by_consensus(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The windows that overlap best with the plausible ones, without overlaps; see the module's docstring."""
    return find_by_judge(curve, shots, options, _expect_overlaps)


def find_by_judge(curve: ScoreCurve, shots: Shots, options: SegmentOptions, judge: Judge) -> list[Segment]:
    """As `find_by_consensus`, with plausibilities by any judge."""
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    windows, standing_out = find_candidates(curve, shots, smooth, options.minimum_seconds)
    values = judge(windows, smooth, standing_out)
    edges = find_window_edges(windows, smooth)
    chosen = _choose(windows, values, snap_edges(edges, shots, options.snap_seconds), options.most_per_video)
    ranks = np.argsort(windows.first[chosen])
    starts, ends = edges[chosen[ranks]].T
    starts[1:] = np.maximum(starts[1:], ends[:-1])  # neighbours that touch may put their common edge differently
    ranges = list(zip(starts.tolist(), ends.tolist(), strict=True))
    return make_segments(curve, smooth, ranges, shots, options, ranks=ranks.tolist())


def find_candidates(curve: ScoreCurve, shots: Shots, smooth: Floats, minimum_seconds: float) -> tuple[Windows, Floats]:
    """The windows that are judged, and what `measure_standing_out` says of them."""
    windows = _drop_short(propose_windows(curve, shots), minimum_seconds)
    standing_out = measure_standing_out(windows, smooth)
    if len(windows) <= _PARTS * _PER_PART:
        return windows, standing_out
    places = _screen(windows, weigh_standing_out(standing_out))
    return windows.select(places), standing_out[:, places]


def _expect_overlaps(windows: Windows, smooth: Floats, standing_out: Floats) -> Floats:
    overlaps = load_trees().predict(measure_features(windows, smooth, standing_out))
    values: Floats = _SHARPNESS * overlaps + _OF_STANDING_OUT * weigh_standing_out(standing_out)
    return values


def _screen(windows: Windows, values: Floats) -> Indices:
    """The places of the windows of the highest values [M] among those whose middles lie in one part of the video."""
    middles = (windows.first + windows.after) * (_PARTS / 2 / (len(windows.curve.scores) + 1))
    order = np.lexsort((-values, middles.astype(np.int64)))
    part = middles[order].astype(np.int64)
    rank = np.arange(len(order)) - np.searchsorted(part, part)
    return np.sort(order[rank < _PER_PART])


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
    agreements, is_left = _compare(edges), np.ones(len(values), np.bool_)
    while len(chosen) < most and is_left.any():
        plausibility = np.where(is_left, np.exp(np.minimum(values - values[is_left].max(), 0.0)), 0.0)
        best = int(np.where(is_left, agreements @ plausibility, -1.0).argmax())
        chosen.append(best)
        is_left &= (windows.after <= windows.first[best]) | (windows.first >= windows.after[best])
    return np.array(chosen)


def _compare(edges: Floats) -> Floats:
    """How right each of some ranges, float64 [M, 2], is if another one is true, in [0, 1], float64 [M, M].

    Half is whether their IoU is .5 or more, half how many of the IoUs .5 to .95 are reached: what R1@.5 and mAP reward.
    """
    starts, ends = edges.T
    shared = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    lengths = ends - starts
    shared = np.maximum(shared, 0.0)
    iou = shared / np.maximum(lengths[:, None] + lengths - shared, 1e-9)
    agreement: Floats = 0.5 * (iou >= 0.5) + 0.5 * clip(2 * iou - 0.9, 0.0, 1.0)
    return agreement
