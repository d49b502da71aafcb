"""Matches: the segments of one video that answer a query.

`find_matches` is the way in. A match's score is what the curve shows between the match's own edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from clipseek.api.limits import MAX_TOP_K, SEEN
from clipseek.api.search_options import MAX_OFFSET
from executors.faiss_indexer.moments.segments import TUNED, ScoreCurve, Segment, SegmentOptions, find_segments
from executors.faiss_indexer.moments.shots import Floats, Shots, TimeRange
from executors.faiss_indexer.ranking.queries import SearchOptions
from executors.faiss_indexer.store.records import VideoRecord

_ROUNDING_SECONDS = 1e-6
# A match's score is the mean of its frames, each weighted by exp(score / _SOFTNESS). So one lucky frame is not enough,
# and a few weak frames at the edges do no harm. On the labelled videos this found the right moment first 98 times of
# 368; the best frame alone did so 93 times, the mean of all frames 95 times (`docs/relevance.md`).
_SOFTNESS = 0.1
# Of a model whose cosines are noisy, a match must be so long that its mean can be trusted. See `pool_scores`.
_SURE_FRAMES = 8
# A match that covers so much of the range to search is no moment. It gets what so much of its shots, by their time,
# reach.
_WHOLE_SHARE = 0.9
_SHOTS_SHARE = 0.9
_FIRST_SEGMENTS = 10  # enough for most videos; to find all of an hour takes five times as long
_ALL_SEGMENTS = MAX_OFFSET + MAX_TOP_K + 1  # no page reaches further


@dataclass(frozen=True)
class Line:
    """Why a moment matches by words; the fields are those of `clipseek.api.documents.Match`."""

    line: str
    line_start_seconds: float
    line_language: str
    line_marks: list[int]
    by_meaning: bool


@dataclass(frozen=True)
class VideoMatch:
    """A segment with its video. `segment.score` is in the unit of the curve, `score` in [0, 1].

    Attributes:
        reasons: why it matches, see `clipseek.api.limits.REASONS`.
        line: the best line of its words, if they are among the reasons.
    """

    video: VideoRecord
    segment: Segment
    score: float
    reasons: tuple[str, ...] = (SEEN,)
    line: Line | None = None

    @property
    def video_id(self) -> str:
        return self.video.video_id

    @property
    def order(self) -> tuple[float, str, float]:
        """Sorts the best first; the same library always gives the same order."""
        return -self.segment.score, self.video.video_id, self.segment.start_seconds


def find_matches(
    curve: ScoreCurve,
    shots: Shots,
    time_range: TimeRange,
    options: SearchOptions,
    *,
    known: Sequence[TimeRange] = (),
    least: float = -np.inf,
    noise: float = 0.0,
) -> list[Segment]:
    """The matches in a range `[start, end)` of a video, best first, as if the range were the whole video.

    They have the padding, the lengths and the number that the options ask for.

    Args:
        curve: how well each frame fits, of the frames in the range alone, in the video's own time.
        shots: those of the whole video.
        known: moments of the query; what overlaps them is no match.
        least: the score, in the unit of the curve, from which a match counts. All of these are found; where there are
            none beyond the first ten segments, weaker ones beyond them are left out.
        noise: how far above the background the best unrelated frame of the library comes by chance, in that unit.
    """
    segments = find_beside_known(curve, shots, time_range, options, known, curve.scores >= least)
    longest = options.maximum_seconds
    judged = [judge_segment(segment, curve, shots, time_range, longest, noise) for segment in segments]
    adjusted = adjust_lengths(
        judged,
        time_range,
        padding_seconds=options.padding_seconds,
        minimum_seconds=options.minimum_seconds,
        maximum_seconds=options.maximum_seconds,
    )
    best_first = sorted(adjusted, key=lambda segment: (-segment.score, segment.start_seconds))
    return best_first[: options.per_video or None]


def find_in_range(
    curve: ScoreCurve,
    shots: Shots,
    time_range: TimeRange,
    options: SearchOptions,
    counts: npt.NDArray[np.bool_] | None = None,
) -> list[Segment]:
    """The segments of a range `[start, end)` of a video, best first, as if the range were the whole video.

    Args:
        counts: bool [N], the frames that no limit on the number of segments may leave out; by default all.
    """
    start, end = time_range
    moved = ScoreCurve(curve.pts_seconds - start, curve.scores, end - start)
    inside = [(max(s, start) - start, min(e, end) - start) for s, e in shots if s < end and e > start]
    tuned = TUNED[options.strategy] if options.strategy else SegmentOptions()
    segments: list[Segment] = []
    for most in (_FIRST_SEGMENTS, _ALL_SEGMENTS):  # never what one page needs: the edges depend on the neighbours
        segments = find_segments(moved, replace(tuned, most_per_video=most), inside)
        if len(segments) < most or not (_mark_outside(moved, segments) & (True if counts is None else counts)).any():
            break
    return [
        Segment(max(start, s.start_seconds + start), min(end, s.end_seconds + start), s.score, s.peak_seconds + start)
        for s in segments
    ]


def _mark_outside(curve: ScoreCurve, segments: Sequence[Segment]) -> npt.NDArray[np.bool_]:
    is_outside = np.ones(len(curve.scores), dtype=np.bool_)
    for segment in segments:
        first, after = np.searchsorted(curve.pts_seconds, (segment.start_seconds, segment.end_seconds))
        is_outside[first:after] = False
    return is_outside


def find_beside_known(
    curve: ScoreCurve,
    shots: Shots,
    time_range: TimeRange,
    options: SearchOptions,
    known: Sequence[TimeRange],
    counts: npt.NDArray[np.bool_] | None = None,
) -> list[Segment]:
    """As `find_in_range`, but without segments that overlap known moments, the query's examples.

    A known moment is by far the best of its video, and all others look weak beside it. So its frames become background,
    and the curve is divided once more.
    """
    segments = find_in_range(curve, shots, time_range, options, counts)
    overlapping = [segment for segment in segments if _overlaps(segment, known)]
    if not overlapping:
        return segments
    is_hidden = ~_mark_outside(curve, overlapping)
    if is_hidden.all():
        return []
    scores = np.where(is_hidden, np.median(curve.scores[~is_hidden]), curve.scores)
    beside = ~is_hidden if counts is None else counts & ~is_hidden
    segments = find_in_range(replace(curve, scores=scores), shots, time_range, options, beside)
    return [segment for segment in segments if not _overlaps(segment, known)]


def judge_segment(
    segment: Segment,
    curve: ScoreCurve,
    shots: Shots,
    time_range: TimeRange,
    maximum_seconds: float = 0.0,
    noise: float = 0.0,
) -> Segment:
    """A segment with the score of its own frames, shortened around the best of them; 0 sets no maximum.

    The score is at most that of the best frame. A segment of nearly the whole range is an answer only if it is one
    scene, or if nearly all its shots are: it gets the score that nine tenths of its shots reach.
    """
    segment = replace(segment, peak_seconds=_find_peak(segment, curve))
    if maximum_seconds:
        start, end = _shorten((segment.start_seconds, segment.end_seconds), segment.peak_seconds, maximum_seconds)
        segment = replace(segment, start_seconds=start, end_seconds=end)
    frames = _select_frames(segment.start_seconds, segment.end_seconds, curve)
    if not len(frames):  # rounding has put its only frame on the edge
        frames = curve.scores[[np.abs(curve.pts_seconds - segment.peak_seconds).argmin()]]
    score = pool_scores(frames, noise)
    if segment.end_seconds - segment.start_seconds >= _WHOLE_SHARE * (time_range[1] - time_range[0]):
        score = min(score, _score_shots(segment, curve, shots, noise, score))
    return replace(segment, score=score)


def pool_scores(scores: Floats, noise: float = 0.0) -> float:
    """What a match's frames, at least one, say together: a soft maximum, which is never above the best of them.

    The noisier a model, the closer it is to their mean. Noise falls with the square root of the number of frames, and
    what it may have added to a short match beyond a long one is taken off.
    """
    best = scores.max()
    weights = np.exp((scores - best) / max(_SOFTNESS, noise))
    excess = noise * max(0.0, float(1 / np.sqrt(len(scores)) - 1 / np.sqrt(_SURE_FRAMES)))
    return min(float(best), float(scores @ weights / weights.sum())) - excess


def _score_shots(segment: Segment, curve: ScoreCurve, shots: Shots, noise: float, default: float) -> float:
    """The score that the best shots of a segment reach, as many as make nine tenths of it."""
    scored: list[tuple[float, float]] = []
    for shot_start, shot_end in shots:
        start, end = max(shot_start, segment.start_seconds), min(shot_end, segment.end_seconds)
        frames = _select_frames(start, end, curve)
        if len(frames):
            scored.append((pool_scores(frames, noise), end - start))
    if not scored:
        return default
    scored.sort(reverse=True)
    reached = np.cumsum([seconds for _, seconds in scored])
    return scored[int(np.searchsorted(reached, _SHOTS_SHARE * reached[-1] - _ROUNDING_SECONDS))][0]


def _find_peak(segment: Segment, curve: ScoreCurve) -> float:
    first, after = np.searchsorted(curve.pts_seconds, (segment.start_seconds, segment.end_seconds))
    if after == first:
        return segment.peak_seconds
    return float(curve.pts_seconds[first + int(curve.scores[first:after].argmax())])


def _select_frames(start_seconds: float, end_seconds: float, curve: ScoreCurve) -> Floats:
    first, after = np.searchsorted(curve.pts_seconds, (start_seconds, end_seconds))
    return curve.scores[first:after]


def _overlaps(segment: Segment, ranges: Sequence[TimeRange]) -> bool:
    return any(segment.start_seconds < end and start < segment.end_seconds for start, end in ranges)


def adjust_matches(matches: Sequence[VideoMatch], time_range: TimeRange, options: SearchOptions) -> list[VideoMatch]:
    """As `adjust_lengths`, for matches that do not overlap."""
    in_time = {match.segment.peak_seconds: match for match in matches}
    adjusted = adjust_lengths(
        [match.segment for match in matches],
        time_range,
        padding_seconds=options.padding_seconds,
        minimum_seconds=options.minimum_seconds,
        maximum_seconds=options.maximum_seconds,
    )
    return [replace(in_time[segment.peak_seconds], segment=segment) for segment in adjusted]


def adjust_lengths(
    segments: Sequence[Segment],
    time_range: TimeRange,
    *,
    padding_seconds: float = 0.0,
    minimum_seconds: float = 0.0,
    maximum_seconds: float = 0.0,
) -> list[Segment]:
    """Pad the segments of a range, shorten the long ones around their peak, and drop the short ones; 0 sets no maximum.

    Returns: segments in order of time.
    """
    in_time = sorted(segments, key=lambda segment: segment.start_seconds)
    ranges = [(segment.start_seconds, segment.end_seconds) for segment in in_time]
    if padding_seconds:
        ranges = pad_ranges(ranges, padding_seconds, time_range)
    if maximum_seconds:
        ranges = [_shorten(r, s.peak_seconds, maximum_seconds) for r, s in zip(ranges, in_time, strict=True)]
    return [
        replace(segment, start_seconds=start, end_seconds=end)
        for segment, (start, end) in zip(in_time, ranges, strict=True)
        if end - start >= minimum_seconds - _ROUNDING_SECONDS
    ]


def pad_ranges(ranges: Sequence[TimeRange], seconds: float, within: TimeRange) -> list[TimeRange]:
    """Widen ranges, in order of time and without overlaps, up to half-way to the neighbour and to the ends."""
    middles = [(before[1] + after[0]) / 2 for before, after in pairwise(ranges)]
    walls = zip(ranges, [within[0], *middles], [*middles, within[1]], strict=True)
    return [(max(start - seconds, left), min(end + seconds, right)) for (start, end), left, right in walls]


def _shorten(time_range: TimeRange, peak_seconds: float, maximum_seconds: float) -> TimeRange:
    start, end = time_range
    if end - start <= maximum_seconds:
        return time_range
    start = min(max(start, peak_seconds - maximum_seconds / 2), end - maximum_seconds)
    return start, start + maximum_seconds
