"""What simple tools do, as a measure for the rest. Both read scores as they are and know no time between frames.

A frame counts for the time up to the next one.
"""

import numpy as np

from executors.faiss_indexer.moments.curves import Floats, Runs, ScoreCurve, Segment
from executors.faiss_indexer.moments.edges import finish
from executors.faiss_indexer.moments.flatness import is_flat, whole_video
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots, Span


def find_by_peak_walk(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """VCED's rule: from the best frame, walk left and right while the score stays above a share of the best score.

    The walk is repeated from the best frame that no segment holds yet, each time with that frame's own score, and stops
    at segments that are there.
    """
    if is_flat(curve.scores):
        return whole_video(curve, curve.scores, shots, options)
    scores = curve.scores.tolist()
    taken = [False] * len(scores)
    runs: list[tuple[int, int]] = []
    for peak in np.argsort(-curve.scores, kind="stable").tolist():
        if len(runs) == options.most_per_video:
            break
        if not taken[peak]:
            runs.append(_walk(scores, taken, peak, _level(scores[peak], options.level_share)))
    first, last = np.array(sorted(runs)).T
    return finish(curve, curve.scores, _frames_spans(curve, Runs(first, last)), shots, options)


def find_by_gap_merge(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The rule of common command-line tools: frames above a threshold, merged over short gaps, padded.

    The threshold is a share of the video's best score; `merge_gap_seconds` and `padding_seconds` do the rest.
    """
    if is_flat(curve.scores):
        return whole_video(curve, curve.scores, shots, options)
    inside = curve.scores >= _level(float(curve.scores.max()), options.level_share)
    return finish(curve, curve.scores, _frames_spans(curve, Runs.of(inside)), shots, options)


def _level(best: float, share: float) -> float:
    return share * best if best > 0 else best  # a share of a negative score would be above it


def _walk(scores: list[float], taken: list[bool], peak: int, level: float) -> tuple[int, int]:
    first = last = peak
    while first > 0 and not taken[first - 1] and scores[first - 1] >= level:
        first -= 1
    while last + 1 < len(scores) and not taken[last + 1] and scores[last + 1] >= level:
        last += 1
    taken[first : last + 1] = [True] * (last - first + 1)
    return first, last


def _frames_spans(curve: ScoreCurve, runs: Runs) -> list[Span]:
    bounds: Floats = np.append(curve.pts_seconds, curve.duration_seconds)
    return list(zip(bounds[runs.first].tolist(), bounds[runs.last + 1].tolist(), strict=True))
