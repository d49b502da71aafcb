"""Segment strategies: training-free ways from a score curve to the moments that stand out, all with one signature.

Each gives half-open segments inside the video that do not overlap, best first, each with its peak inside; a curve
without contrast is one segment, the whole video, and a curve without samples has none. Each costs n log n at most.
`benchmarks/quality.py` measures them side by side; `TUNED` holds the options that it chose.

Sources:
    otsu: N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979, on the smoothed curve.
    hysteresis: the two thresholds of J. Canny, "A Computational Approach to Edge Detection", 1986.
    two-level: the piecewise constant fit with two levels and a price per change (T. Chan and L. Vese, "Active Contours
        Without Edges", 2001; G. Winkler and V. Liebscher, "Smoothers for Discontinuous Signals", 2002), solved exactly.
    peaks: see `segments.py`. contrast, watershed: see `proposals.py`. peak-walk, gap-merge: see `baselines.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from executors.faiss_indexer.baselines import find_by_gap_merge, find_by_peak_walk
from executors.faiss_indexer.finishing import Runs, evened_out, finish, spans_of
from executors.faiss_indexer.flatness import is_flat, whole_video
from executors.faiss_indexer.proposals import find_by_contrast, find_by_watershed
from executors.faiss_indexer.segments import (
    Floats,
    ScoreCurve,
    Segment,
    SegmentOptions,
    find_segments,
    otsu_threshold,
)
from executors.faiss_indexer.shots import Shots
from executors.faiss_indexer.strategy_options import StrategyOptions

Strategy = Callable[[ScoreCurve, Shots, StrategyOptions], list[Segment]]
_LEVEL_ROUNDS = 3  # of fitting levels and runs in turn; more changed no result of benchmarks/quality.py


def find_by_otsu(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """Runs of the smoothed curve above its Otsu threshold."""
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    threshold = otsu_threshold(smooth)
    return finish(curve, smooth, spans_of(curve, smooth, Runs.of(smooth >= threshold), threshold), shots, options)


def find_by_hysteresis(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
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


def find_by_two_levels(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """Runs of the upper level in the best fit of two levels to the curve, where each change of level has a price.

    The price is such that a bump or dip of full height pays for itself if it lasts `switch_seconds`. Unlike smoothing
    this does not blur edges. The scores are weighted by the time that each sample stands for.
    """
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    seconds = cell_seconds(curve)
    upper = smooth >= otsu_threshold(smooth)
    for _ in range(_LEVEL_ROUNDS):
        low, high = (float(np.average(smooth[side], weights=seconds[side])) for side in (~upper, upper))
        fitted = _two_level_fit(smooth, seconds, low, high, options.switch_seconds)
        if fitted.all() or not fitted.any():
            break
        upper = fitted
    return finish(curve, smooth, spans_of(curve, smooth, Runs.of(upper), (low + high) / 2), shots, options)


def find_by_peaks(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """`segments.find_segments`: around each peak above the Otsu threshold, down to a level of its own, `low_share`."""
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    plain = SegmentOptions(smoothing_seconds=0.0, edge_level=options.low_share, minimum_seconds=0.0)
    found = find_segments(replace(curve, scores=smooth), plain)
    spans = sorted((segment.start_seconds, segment.end_seconds) for segment in found)
    return finish(curve, smooth, spans, shots, options)


def cell_seconds(curve: ScoreCurve) -> Floats:
    """The time that each sample stands for, float64 [N]: up to half-way to its neighbours, and to the video's ends."""
    middles = (curve.pts_seconds[1:] + curve.pts_seconds[:-1]) / 2
    return np.diff(np.concatenate(([0.0], middles, [curve.duration_seconds])))


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


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "peaks": find_by_peaks,
        "otsu": find_by_otsu,
        "hysteresis": find_by_hysteresis,
        "two-level": find_by_two_levels,
        "contrast": find_by_contrast,
        "watershed": find_by_watershed,
        "peak-walk": find_by_peak_walk,
        "gap-merge": find_by_gap_merge,
    }
)

# Chosen on the tuning halves with the starter model: contrast, watershed and the two baselines by
# `python -m benchmarks.quality --tune --units starter`; peaks, otsu and hysteresis from a coarser grid than its own;
# two-level's are left from an older tuning, before the flat curves of `least_contrast` were told apart.
# `least_contrast` is in the unit of that model's cosines: another model needs its own.
TUNED: Mapping[str, StrategyOptions] = MappingProxyType(
    {
        "peaks": StrategyOptions(
            smoothing_seconds=0.5,
            smooth_over_cuts=False,
            snap_seconds=1.0,
            score="mean",
            least_contrast=0.08,
            low_share=0.5,
        ),
        "otsu": StrategyOptions(smoothing_seconds=0.5, snap_seconds=1.0, score="mean", least_contrast=0.08),
        "hysteresis": StrategyOptions(
            smoothing_seconds=1.0,
            smooth_over_cuts=False,
            merge_gap_seconds=1.0,
            snap_seconds=1.0,
            score="mean",
            least_contrast=0.1,
            low_share=0.45,
        ),
        "two-level": StrategyOptions(
            snap_seconds=1.0, score="mean", shot_share=0.3, least_contrast=0.08, switch_seconds=1.0
        ),
        "contrast": StrategyOptions(
            smoothing_seconds=1.0, smooth_over_cuts=False, snap_seconds=1.0, least_contrast=0.1, length_power=0.35
        ),
        "watershed": StrategyOptions(
            smoothing_seconds=1.0, smooth_over_cuts=False, snap_seconds=1.0, least_contrast=0.1, length_power=0.25
        ),
        "peak-walk": StrategyOptions(level_share=0.4),
        "gap-merge": StrategyOptions(level_share=0.4),
    }
)
