"""What simple tools do, as a measure for the rest. Both read plain cosines and ignore the time between frames.

A frame counts for the time up to the next one.
"""

import numpy as np

from benchmarks.quality.strategies.options import StrategyOptions
from executors.faiss_indexer.moments.curves import Runs, ScoreCurve, Segment, is_flat
from executors.faiss_indexer.moments.edges import make_segments, merge_gaps, take_whole_video
from executors.faiss_indexer.moments.shots import Floats, Shots, TimeRange
from executors.faiss_indexer.ranking.matches import pad_ranges


def find_by_peak_walk(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """VCED's rule: from the best frame, walk left and right while the score stays above a share of the best score.

    Each further walk starts at the best frame outside all segments, uses that frame's own score, and stops at segments
    found before.
    """
    if is_flat(curve.scores):
        return take_whole_video(curve, curve.scores, shots, options)
    scores = curve.scores.tolist()
    is_taken = [False] * len(scores)
    runs: list[tuple[int, int]] = []
    for peak in np.argsort(-curve.scores, kind="stable").tolist():
        if len(runs) == options.most_per_video:
            break
        if not is_taken[peak]:
            runs.append(_walk(scores, is_taken, peak, _find_level(scores[peak], options.level_share)))
    first, last = np.array(sorted(runs)).T
    return make_segments(curve, curve.scores, _find_frame_ranges(curve, Runs(first, last)), shots, options)


def find_by_gap_merge(curve: ScoreCurve, shots: Shots, options: StrategyOptions) -> list[Segment]:
    """The rule of common command-line tools: frames above a threshold, merged over short gaps, padded.

    The threshold is a share of the video's best score.
    """
    if is_flat(curve.scores):
        return take_whole_video(curve, curve.scores, shots, options)
    inside = curve.scores >= _find_level(float(curve.scores.max()), options.level_share)
    ranges = merge_gaps(_find_frame_ranges(curve, Runs.of(inside)), options.merge_gap_seconds)
    ranges = pad_ranges(ranges, options.padding_seconds, (0.0, curve.duration_seconds))
    return make_segments(curve, curve.scores, ranges, shots, options)


def _find_level(best: float, share: float) -> float:
    return share * best if best > 0 else best  # a share of a negative score would be above it


def _walk(scores: list[float], is_taken: list[bool], peak: int, level: float) -> tuple[int, int]:
    first = last = peak
    while first > 0 and not is_taken[first - 1] and scores[first - 1] >= level:
        first -= 1
    while last + 1 < len(scores) and not is_taken[last + 1] and scores[last + 1] >= level:
        last += 1
    is_taken[first : last + 1] = [True] * (last - first + 1)
    return first, last


def _find_frame_ranges(curve: ScoreCurve, runs: Runs) -> list[TimeRange]:
    bounds: Floats = np.append(curve.pts_seconds, curve.duration_seconds)
    return list(zip(bounds[runs.first].tolist(), bounds[runs.last + 1].tolist(), strict=True))
