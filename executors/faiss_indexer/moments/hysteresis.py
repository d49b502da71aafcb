"""The simple strategy: hysteresis thresholding of the smoothed curve.

J. Canny, "A Computational Approach to Edge Detection", 1986.
"""

import numpy as np

from executors.faiss_indexer.moments.curves import (
    Runs,
    ScoreCurve,
    Segment,
    find_otsu_threshold,
    is_flat,
    smooth_scores,
)
from executors.faiss_indexer.moments.edges import find_ranges, make_segments, merge_gaps, take_whole_video
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots


def find_by_hysteresis(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """Runs above a low threshold that somewhere rise above a high one, the Otsu threshold.

    The low one lies at `low_share` of the way from the background, the median of what is below the Otsu threshold, up
    to the best score.
    """
    smooth = smooth_scores(curve, shots, options)
    if is_flat(smooth, options.least_contrast):
        return take_whole_video(curve, smooth, shots, options)
    high = find_otsu_threshold(smooth)
    background, best_score = float(np.median(smooth[smooth < high])), float(smooth.max())
    low = min(background + options.low_share * (best_score - background), best_score)  # rounding may lift it above
    runs = Runs.of(smooth >= low)
    tops = [smooth[first : last + 1].max() for first, last in zip(runs.first, runs.last, strict=True)]
    reaches_high = np.array(tops) >= high
    runs = Runs(runs.first[reaches_high], runs.last[reaches_high])
    ranges = merge_gaps(find_ranges(curve, smooth, runs, low), options.merge_gap_seconds)
    return make_segments(curve, smooth, ranges, shots, options)
