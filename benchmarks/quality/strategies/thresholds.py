"""Strategies with one level for the whole curve.

otsu: N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979, on the smoothed curve.
two-level: the piecewise constant fit with two levels and a price per change (T. Chan and L. Vese, "Active Contours
    Without Edges", 2001; G. Winkler and V. Liebscher, "Smoothers for Discontinuous Signals", 2002), solved exactly.
"""

import numpy as np

from benchmarks.quality.strategies.options import StrategyOptions
from executors.faiss_indexer.moments.curves import (
    Runs,
    ScoreCurve,
    Segment,
    find_otsu_threshold,
    is_flat,
    smooth_scores,
)
from executors.faiss_indexer.moments.edges import find_ranges, make_segments, take_whole_video
from executors.faiss_indexer.moments.shots import Floats, Shots

_LEVEL_ROUNDS = 3  # of fitting levels and runs in turn; more rounds changed no result of the benchmark


def find_by_otsu(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """Runs of the smoothed curve above its Otsu threshold."""
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    threshold = find_otsu_threshold(smooth)
    ranges = find_ranges(curve, smooth, Runs.of(smooth >= threshold), threshold)
    return make_segments(curve, smooth, ranges, shots, options)


def find_by_two_levels(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """Runs of the upper level in the best fit of two levels to the curve, where each change of level has a price.

    With that price a bump or dip of full height pays for itself if it lasts `switch_seconds`. Unlike smoothing this
    does not blur edges. The scores are weighted by the time that each sample stands for.
    """
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    seconds = np.diff(curve.cell_edges)
    upper = smooth >= find_otsu_threshold(smooth)
    for _ in range(_LEVEL_ROUNDS):
        low, high = (float(np.average(smooth[side], weights=seconds[side])) for side in (~upper, upper))
        fitted = fit_two_levels(smooth, seconds, low, high, options.switch_seconds)
        if fitted.all() or not fitted.any():
            break
        upper = fitted
    ranges = find_ranges(curve, smooth, Runs.of(upper), (low + high) / 2)
    return make_segments(curve, smooth, ranges, shots, options)


def fit_two_levels(values: Floats, seconds: Floats, low: float, high: float, switch_seconds: float) -> np.ndarray:
    """Viterbi's algorithm over two states. Returns: bool [N], True where the upper level fits."""
    # In units of the levels' squared distance, only the difference between the two costs matters.
    gain = (seconds * ((values - low) ** 2 - (values - high) ** 2) / (high - low) ** 2).tolist()
    price = switch_seconds / 2
    lead = 0.0  # of the best way that ends on the upper level over the best one that ends on the lower
    stays: list[float] = []
    for step in gain:
        stays.append(lead)
        lead = min(max(lead, -price), price) + step
    state = lead >= 0
    upper = [state] * len(gain)
    for index in range(len(gain) - 1, 0, -1):
        # Coming from the other level is better if its lead is larger than the price of the change.
        state = stays[index] >= -price if state else stays[index] > price
        upper[index - 1] = state
    return np.array(upper)
