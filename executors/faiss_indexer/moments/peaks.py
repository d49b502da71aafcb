"""The strategy `peaks`: each local peak has an edge level of its own."""

import numpy as np

from executors.faiss_indexer.moments.curves import Floats, ScoreCurve, Segment, evened_out, otsu_threshold
from executors.faiss_indexer.moments.edges import edge_after, finish
from executors.faiss_indexer.moments.flatness import is_flat, whole_video
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots, Span


def find_by_peaks(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """Around each peak above the Otsu threshold, down to a level between the background and that peak.

    The background is the median of what lies below the threshold; `low_share` of the way up to the peak is the level:
    so a strong moment is not widened by the weaker ones beside it, as it is by one threshold for all. Higher peaks go
    first and keep what they reached.
    """
    smooth = evened_out(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return whole_video(curve, smooth, shots, options)
    return finish(curve, smooth, _around_peaks(curve, smooth, options.low_share), shots, options)


def _around_peaks(curve: ScoreCurve, smooth: Floats, low_share: float) -> list[Span]:
    last = len(smooth) - 1
    threshold = otsu_threshold(smooth)
    background = float(np.median(smooth[smooth < threshold]))
    taken: list[Span | None] = [None] * len(smooth)
    spans = []
    for peak in _peaks(smooth, threshold):
        if taken[peak]:
            continue
        level = background + low_share * (float(smooth[peak]) - background)
        left = right = peak
        while left > 0 and not taken[left - 1] and smooth[left - 1] >= level:
            left -= 1
        while right < last and not taken[right + 1] and smooth[right + 1] >= level:
            right += 1
        before, after = taken[left - 1] if left else None, taken[right + 1] if right < last else None
        start = before[1] if before else edge_after(curve, smooth, left - 1, level) if left else 0.0
        end = after[0] if after else edge_after(curve, smooth, right, level) if right < last else curve.duration_seconds
        taken[left : right + 1] = [(start, end)] * (right + 1 - left)
        spans.append((start, end))
    return sorted(spans)


def _peaks(smooth: Floats, threshold: float) -> list[int]:
    """Indices of the samples >= threshold that no neighbour exceeds, highest first, earliest first among equals."""
    fenced = np.concatenate(([-np.inf], smooth, [-np.inf]))
    found = np.flatnonzero((smooth >= threshold) & (smooth >= fenced[:-2]) & (smooth >= fenced[2:]))
    return [int(index) for index in found[np.argsort(-smooth[found], kind="stable")]]
