"""What tells a moment from other windows of a score curve: the features that the trees of `trees.py` read.

All are in seconds, shares, or calibrated scores, never in numbers of samples, so that they hold at any sampling rate.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from executors.faiss_indexer.moments.curves import Indices, ScoreCurve, clip
from executors.faiss_indexer.moments.shots import Floats
from executors.faiss_indexer.moments.windows import Means, Windows

STANDING_OUT: Mapping[str, float] = MappingProxyType(
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
"""The features whose weighted sum says how far a window stands out, and their weights.

The weights were fitted on synthetic curves, which have sharper edges than real ones; by themselves they are the rule
`standing-out` of the benchmark. `least_rise`: the mean inside less that of the surroundings on the side where they are
higher (the inner-outer contrast of Z. Shou et al., "AutoLoc", 2018). `share_of_video`: of its length.
`variance_between`: what share of the curve's variance lies between inside and outside (N. Otsu, 1979). `edge_step`: by
how much the last second before an edge is lower than the first one after it, on average. `whole_video`: 1 for the
window that is the whole video, else 0. `lowest`: the lowest smoothed score inside, clipped to -1 ... 1. `evidence`: the
sum over time of scores above and below .4, divided by the square root of the length.
"""
FEATURES = (
    *STANDING_OUT,
    "standing_out",  # the weighted sum, less the highest of the video
    "seconds",  # the logarithm of the length
    "share_of_mass",  # of all that is above the curve's median
    "share_of_high",  # of the time above the middle between the lower quartile and the upper tenth
    "evidence_high",  # as `evidence`, for .7
    "highest",  # of the smoothed scores
    "highest_outside",  # less the highest inside
    "overlap_half",  # the IoU with the run around the best score that is above half of it
    "overlap_third",  # and with the one above a third
    "separation",  # the lowest score inside less the higher one of the samples beside it, as a share of the range
    "lowest_share",  # where the lowest score inside lies in the range
    # Of the curve as a whole:
    "deviation",  # the standard deviation
    "best_above_median",
    "change_in_6_seconds",  # how much the curve changes in 6 s on average, in standard deviations
    "change_of_a_sample",  # the median change from a sample to the next, as a share of the range
)
_WEIGHTS = np.array(list(STANDING_OUT.values()))
_EDGE_SECONDS = 1.0
_STEP_AT_VIDEO_END = 0.3  # the step of an edge at the video's start or end, where nothing lies beyond
_MIDDLE, _HIGH_MIDDLE, _SCALE, _MOST = 0.4, 0.7, 0.3, 1.5  # a score is (score - middle) / scale evidence, at most 1.5
_CHANGE_SECONDS = 6.0
_LEAST_RANGE = 1e-6  # keeps shares of the range finite
_LEAST_DEVIATION = 0.02  # of calibrated scores; keeps shares of it finite on a curve that hardly moves


def measure_features(windows: Windows, smooth: Floats, standing_out: Floats) -> Floats:
    """float64 [number of FEATURES, M], in their order.

    Args:
        smooth: the curve's scores after smoothing, float64 [N].
        standing_out: from `measure_standing_out`, of these windows.
    """
    curve, first, after = windows.curve, windows.first, windows.after
    values = weigh_standing_out(standing_out)
    cells = np.diff(curve.cell_edges)
    lower, median, high = _find_quantiles(curve.scores, cells, (0.25, 0.5, 0.9))
    highest = -_find_lowest(-smooth, first, after)
    deviation = np.sqrt(_measure_squares(curve, cells) / curve.duration_seconds) + _LEAST_DEVIATION
    features = np.empty((len(FEATURES), len(first)))
    features[:7] = standing_out
    features[7] = values - values.max()
    features[8] = np.log(windows.seconds)
    features[9] = _find_shares(windows, np.maximum(curve.scores - median, 0.0))
    features[10] = _find_shares(windows, (curve.scores > (lower + high) / 2).astype(np.float64))
    features[11] = _measure_evidence(windows, _HIGH_MIDDLE)
    features[12] = highest
    features[13] = _find_highest_outside(smooth, first, after) - highest
    features[14] = _measure_overlap(windows, smooth, 1 / 2)
    features[15] = _measure_overlap(windows, smooth, 1 / 3)
    features[16:18] = _measure_separation(windows)
    features[18] = deviation
    features[19] = smooth.max() - median
    features[20] = _measure_change(curve, cells) / deviation
    features[21] = _find_median_step(curve.scores)
    return features


def weigh_standing_out(standing_out: Floats) -> Floats:
    """How far each window stands out of its curve, float64 [M]: the weighted sum of STANDING_OUT."""
    values: Floats = _WEIGHTS @ standing_out
    return values


def measure_standing_out(windows: Windows, smooth: Floats) -> Floats:
    """The features of STANDING_OUT, float64 [7, M]."""
    curve, first, after, seconds = windows.curve, windows.first, windows.after, windows.seconds
    duration, is_whole = curve.duration_seconds, (first == 0) & (after == len(curve.scores))
    inside, before, behind = windows.inside_and_beside
    rest = (windows.means.totals[-1] - inside * seconds) / np.maximum(duration - seconds, 1e-9)
    squares = _measure_squares(curve, np.diff(curve.cell_edges))
    between = seconds * (duration - seconds) / duration * (inside - rest) ** 2 / max(squares, 1e-9)
    measured = np.empty((len(STANDING_OUT), len(first)))
    measured[0] = np.where(is_whole, 0.0, np.minimum(inside - before, inside - behind))
    measured[1] = seconds / duration
    measured[2] = np.where(is_whole, 0.0, between)
    measured[3] = np.where(is_whole, 0.0, _measure_edge_steps(windows))
    measured[4] = is_whole
    measured[5] = clip(_find_lowest(smooth, first, after), -1.0, 1.0)
    measured[6] = _measure_evidence(windows, _MIDDLE)
    return measured


def _measure_squares(curve: ScoreCurve, cells: Floats) -> float:
    """The integral over time of the squared deviations from the curve's mean."""
    return float((curve.scores - float(curve.scores @ cells) / curve.duration_seconds) ** 2 @ cells)


def _measure_evidence(windows: Windows, middle: float) -> Floats:
    curve = windows.curve
    means = Means.of(curve, clip((curve.scores - middle) / _SCALE, -_MOST, _MOST))
    evidence: Floats = means.average(windows.first, windows.after) * np.sqrt(windows.seconds)
    return evidence


def _find_shares(windows: Windows, values: Floats) -> Floats:
    """The share of the integral of values [N], none negative, that lies in each window."""
    totals = Means.of(windows.curve, values).totals
    shares: Floats = (totals[windows.after] - totals[windows.first]) / max(totals[-1], 1e-9)
    return shares


def _find_quantiles(values: Floats, weights: Floats, shares: tuple[float, ...]) -> list[float]:
    """The quantiles of values [N] over time, between samples."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    quantiles: list[float] = np.interp(shares, (reached - weights[order] / 2) / reached[-1], values[order]).tolist()
    return quantiles


def _measure_change(curve: ScoreCurve, cells: Floats) -> float:
    later = np.interp(curve.pts_seconds + _CHANGE_SECONDS, curve.pts_seconds, curve.scores)
    return float(np.abs(later - curve.scores) @ cells) / curve.duration_seconds


def _measure_separation(windows: Windows) -> tuple[Floats, Floats]:
    """`separation` and `lowest_share`. On a curve without noise only windows with exact edges are well separated."""
    scores, first, after = windows.curve.scores, windows.first, windows.after
    lowest, span = _find_lowest(scores, first, after), max(float(np.ptp(scores)), _LEAST_RANGE)
    fenced = np.concatenate(([-np.inf], scores, [-np.inf]))
    beside = np.maximum(fenced[first], fenced[after + 1])
    separation = np.where(np.isfinite(beside), lowest - beside, 0.0) / span
    return separation, (lowest - scores.min()) / span


def _find_median_step(scores: Floats) -> float:
    if len(scores) < 2:
        return 0.0
    steps = np.sort(np.abs(np.diff(scores)))
    median = float(steps[(len(steps) - 1) // 2] + steps[len(steps) // 2]) / 2
    return median / max(float(np.ptp(scores)), _LEAST_RANGE)


def _measure_edge_steps(windows: Windows) -> Floats:
    means, first, after, edges = windows.means, windows.first, windows.after, windows.means.edges
    until = clip(edges.searchsorted(edges[first] + _EDGE_SECONDS), first + 1, after)
    since = clip(edges.searchsorted(edges[after] - _EDGE_SECONDS, side="right") - 1, first, after - 1)
    before, behind = windows.average_beside(_EDGE_SECONDS)
    up = np.where(np.isfinite(before), means.average(first, until) - before, _STEP_AT_VIDEO_END)
    down = np.where(np.isfinite(behind), means.average(since, after) - behind, _STEP_AT_VIDEO_END)
    steps: Floats = (up + down) / 2
    return steps


def _find_highest_outside(values: Floats, first: Indices, after: Indices) -> Floats:
    """The highest value outside of each window; the lowest one where nothing is outside."""
    before = np.maximum.accumulate(np.concatenate(([values.min()], values)))
    behind = np.maximum.accumulate(np.concatenate(([values.min()], values[::-1])))[::-1]
    highest: Floats = np.maximum(before[first], behind[after])
    return highest


def _measure_overlap(windows: Windows, smooth: Floats, share: float) -> Floats:
    """The IoU of each window with the run around the best score that is above this share of it."""
    peak, edges = int(smooth.argmax()), windows.curve.cell_edges
    below = np.flatnonzero(smooth < smooth[peak] * (share if smooth[peak] > 0 else 1.0))
    place = int(below.searchsorted(peak))
    start = edges[below[place - 1] + 1] if place else edges[0]
    end = edges[below[place]] if place < len(below) else edges[-1]
    shared = np.maximum(np.minimum(edges[windows.after], end) - np.maximum(edges[windows.first], start), 0.0)
    overlap: Floats = shared / np.maximum(windows.seconds + (end - start) - shared, 1e-9)
    return overlap


def _find_lowest(values: Floats, first: Indices, after: Indices) -> Floats:
    """The lowest value of each window: the lower one of two overlapping blocks whose length is a power of two."""
    power = np.log2(after - first).astype(np.int64)
    blocks = np.empty((int(power.max()) + 1, len(values)))  # row k: the lowest of the 2^k values from each one on
    blocks[0] = values
    for exponent in range(1, len(blocks)):
        half, count = 1 << (exponent - 1), len(values) - (1 << exponent) + 1
        np.minimum(
            blocks[exponent - 1, :count], blocks[exponent - 1, half : half + count], out=blocks[exponent, :count]
        )
    lowest: Floats = np.minimum(blocks[power, first], blocks[power, after - (1 << power)])
    return lowest
