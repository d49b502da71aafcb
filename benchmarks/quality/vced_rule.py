"""The rule by which VCED finds a moment, as a baseline: with its own score, threshold and numbers of frames.

A frame's score is the probability of the description in a softmax against the text "unknown". From the best frame the
walk goes in both directions while the score stays at or above the best one less 0.1. A moment of more than 60 steps is
walked again with half the margin. A moment that ends less than 10 frames after its first frame is extended to 10. The
next walk starts at the best frame outside all moments so far, and may enter them.
VCED's frames are a second apart. Here a frame counts for the time up to the next one.
"""

import numpy as np

from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.shots import Floats

_MARGIN = 0.1
_LEAST_STEPS, _MOST_STEPS = 10, 60
_MOST_SEGMENTS = 10  # as for all strategies
_LEAST_MARGIN = 1e-9  # where halving ends: equal scores would be halved for ever


def find_by_vced_rule(curve: ScoreCurve, unknown: Floats, logit_scale: float) -> list[Segment]:
    """Segments in the order the rule finds them, which is that of their scores in [0, 1]; they may overlap.

    Args:
        unknown: the frames' cosines with the text "unknown", float64 [N].
        logit_scale: multiplies cosines before the softmax.
    """
    probabilities = 1 / (1 + np.exp(-logit_scale * (curve.scores - unknown)))
    bounds = np.append(curve.pts_seconds, curve.duration_seconds)
    is_taken = np.zeros(len(probabilities), dtype=bool)
    segments: list[Segment] = []
    while len(segments) < _MOST_SEGMENTS and not is_taken.all():
        best = int(np.where(is_taken, -np.inf, probabilities).argmax())
        first, last = _walk(probabilities, best, _MARGIN)
        last = min(max(last, first + _LEAST_STEPS), len(probabilities) - 1)
        is_taken[first : last + 1] = True
        peak = float(curve.pts_seconds[best])
        segments.append(Segment(float(bounds[first]), float(bounds[last + 1]), float(probabilities[best]), peak))
    return segments


def _walk(probabilities: Floats, best: int, margin: float) -> tuple[int, int]:
    """The first and the last frame, inclusive."""
    below = np.flatnonzero(probabilities < probabilities[best] - margin)
    after = int(np.searchsorted(below, best))
    first = int(below[after - 1]) + 1 if after else 0
    last = int(below[after]) - 1 if after < len(below) else len(probabilities) - 1
    if last - first > _MOST_STEPS and margin > _LEAST_MARGIN:
        return _walk(probabilities, best, margin / 2)
    return first, last
