"""Curves in which nothing stands out."""

import numpy as np

from executors.faiss_indexer.moments.curves import Floats, ScoreCurve, Segment, otsu_threshold
from executors.faiss_indexer.moments.edges import finish
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots

LEAST_CONTRAST = 1e-6  # below the precision of float16 vectors: such a curve is flat


def is_flat(values: Floats, least_contrast: float = 0.0) -> bool:
    """Whether the best of values [N] is no further than this above the background, the median of Otsu's lower class."""
    if len(values) < 2 or np.ptp(values) < LEAST_CONTRAST:
        return True
    background = float(np.median(values[values < otsu_threshold(values)]))
    return float(values.max()) - background < least_contrast


def whole_video(curve: ScoreCurve, smooth: Floats, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The one segment of a curve in which nothing stands out; none without samples."""
    if not len(smooth):
        return []
    return finish(curve, smooth, [(0.0, curve.duration_seconds)], shots, options)
