"""The strategy `peaks`: each local peak has an edge level of its own."""

import numpy as np

from benchmarks.quality.strategies.options import StrategyOptions
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment, find_otsu_threshold, is_flat, smooth_scores
from executors.faiss_indexer.moments.edges import EDGE_MARGIN, make_segments, take_whole_video
from executors.faiss_indexer.moments.shots import Floats, Shots, TimeRange


def find_by_peaks(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """Around each peak above the Otsu threshold, down to a level between the background and that peak.

    The background is the median of what lies below the threshold. The level is `low_share` of the way up to the peak:
    so weaker moments beside a strong one do not widen it, as they do with one threshold for all. Higher peaks go first
    and keep what they reach.
    """
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    return make_segments(curve, smooth, _find_ranges(curve, smooth, options.low_share), shots, options)


def _find_ranges(curve: ScoreCurve, smooth: Floats, low_share: float) -> list[TimeRange]:
    last = len(smooth) - 1
    threshold = find_otsu_threshold(smooth)
    background = float(np.median(smooth[smooth < threshold]))
    reached: list[TimeRange | None] = [None] * len(smooth)
    ranges = []
    for peak in _find_peaks(smooth, threshold):
        if reached[peak]:
            continue
        level = background + low_share * (float(smooth[peak]) - background)
        left = right = peak
        while left > 0 and not reached[left - 1] and smooth[left - 1] >= level:
            left -= 1
        while right < last and not reached[right + 1] and smooth[right + 1] >= level:
            right += 1
        before, after = reached[left - 1] if left else None, reached[right + 1] if right < last else None
        start, end = 0.0, curve.duration_seconds
        if left:
            start = before[1] if before else _find_edge_after(curve, smooth, left - 1, level)
        if right < last:
            end = after[0] if after else _find_edge_after(curve, smooth, right, level)
        reached[left : right + 1] = [(start, end)] * (right + 1 - left)
        ranges.append((start, end))
    return sorted(ranges)


def _find_peaks(smooth: Floats, threshold: float) -> list[int]:
    """Indices of the samples >= threshold that no neighbour exceeds, highest first, earliest first among equals."""
    fenced = np.concatenate(([-np.inf], smooth, [-np.inf]))
    peaks = np.flatnonzero((smooth >= threshold) & (smooth >= fenced[:-2]) & (smooth >= fenced[2:]))
    return [int(index) for index in peaks[np.argsort(-smooth[peaks], kind="stable")]]


def _find_edge_after(curve: ScoreCurve, values: Floats, index: int, level: float) -> float:
    """One edge as `find_edges_after` finds it, of a level between two neighbours: faster than an array of one."""
    here, following = float(values[index]), float(values[index + 1])
    share = min(max((level - here) / (following - here), EDGE_MARGIN), 1 - EDGE_MARGIN)
    start, end = float(curve.pts_seconds[index]), float(curve.pts_seconds[index + 1])
    return start + share * (end - start)
