"""Strategies with one level for the whole curve.

otsu: N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979, on the smoothed curve.
hysteresis: the two thresholds of J. Canny, "A Computational Approach to Edge Detection", 1986.
two-level: the piecewise constant fit with two levels and a price per change (T. Chan and L. Vese, "Active Contours
    Without Edges", 2001; G. Winkler and V. Liebscher, "Smoothers for Discontinuous Signals", 2002), solved exactly.
"""

import numpy as np

from executors.faiss_indexer.moments.curves import Floats, Runs, ScoreCurve, Segment, evened_out, otsu_threshold
from executors.faiss_indexer.moments.edges import finish, spans_of
from executors.faiss_indexer.moments.flatness import is_flat, whole_video
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots

_LEVEL_ROUNDS = 3  # of fitting levels and runs in turn; more changed no result of benchmarks/quality/__main__.py


def find_by_otsu(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """Runs of the smoothed curve above its Otsu threshold."""
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    threshold = otsu_threshold(smooth)
    return finish(curve, smooth, spans_of(curve, smooth, Runs.of(smooth >= threshold), threshold), shots, options)


def find_by_hysteresis(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """Runs above a low threshold that somewhere rise above the Otsu threshold.

    The low one lies at `low_share` of the way from the background, the median of what is below the Otsu threshold, up
    to the best score.
    """
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    high = otsu_threshold(smooth)
    background = float(np.median(smooth[smooth < high]))
    best_score = float(smooth.max())
    low = min(background + options.low_share * (best_score - background), best_score)  # rounding may lift it above
    runs = Runs.of(smooth >= low)
    best = [smooth[first : last + 1].max() for first, last in zip(runs.first, runs.last, strict=True)]
    reaches = np.array(best) >= high
    runs = Runs(runs.first[reaches], runs.last[reaches])
    return finish(curve, smooth, spans_of(curve, smooth, runs, low), shots, options)


def find_by_two_levels(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """Runs of the upper level in the best fit of two levels to the curve, where each change of level has a price.

    The price is such that a bump or dip of full height pays for itself if it lasts `switch_seconds`. Unlike smoothing
    this does not blur edges. The scores are weighted by the time that each sample stands for.
    """
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    seconds = np.diff(curve.cell_edges)
    upper = smooth >= otsu_threshold(smooth)
    for _ in range(_LEVEL_ROUNDS):
        low, high = (float(np.average(smooth[side], weights=seconds[side])) for side in (~upper, upper))
        fitted = _two_level_fit(smooth, seconds, low, high, options.switch_seconds)
        if fitted.all() or not fitted.any():
            break
        upper = fitted
    return finish(curve, smooth, spans_of(curve, smooth, Runs.of(upper), (low + high) / 2), shots, options)


def _two_level_fit(values: Floats, seconds: Floats, low: float, high: float, switch_seconds: float) -> np.ndarray:
    """Viterbi's algorithm over two states. Returns: bool [N], True where the upper level fits."""
    # In units of the levels' squared distance, only the difference between the two costs matters.
    gain = (seconds * ((values - low) ** 2 - (values - high) ** 2) / (high - low) ** 2).tolist()
    price = switch_seconds / 2
    lead = 0.0  # by how much the best way that ends on the upper level beats the best one that ends on the lower
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
