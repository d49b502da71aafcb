"""What pictures show and what words say of one video, put together: what overlaps becomes one match."""

from collections.abc import Sequence
from dataclasses import replace

from clipseek.api.limits import SEEN
from clipseek.api.score_scale import CUT_OFF
from executors.faiss_indexer.ranking.matches import VideoMatch

_LONG_SECONDS = 60.0  # a picture that stays for longer does not say when something is said
_SURE_SCORE = 0.8  # of words that have all of a query, or nearly


def join_matches(
    seen: Sequence[VideoMatch], worded: Sequence[VideoMatch], maximum_seconds: float = 0.0
) -> list[VideoMatch]:
    """The matches of one video, by pictures and by words, as matches that do not overlap.

    Of two that overlap and both count, the match reaches over both, has the better score, and both reasons. A weaker
    candidate gives way to a match. Where words have nearly all of the query, or score more than a long scene around
    them, their edges hold.

    Args:
        seen, worded: neither overlap among themselves.
        maximum_seconds: of a match; 0 sets no maximum.
    """
    joined = list(seen)
    for match in sorted(worded, key=lambda match: match.order):
        rivals = [other for other in joined if _overlaps(match, other)]
        joined = [other for other in joined if not _overlaps(match, other)]
        joined += _settle(match, rivals, maximum_seconds)
    return joined


def _settle(match: VideoMatch, rivals: Sequence[VideoMatch], maximum_seconds: float) -> list[VideoMatch]:
    """What becomes of a match by words and the matches that it overlaps."""
    counts = match.score >= CUT_OFF
    if not counts and any(rival.score >= match.score for rival in rivals):
        return list(rivals)
    strong = [rival for rival in rivals if rival.score >= CUT_OFF]
    if not counts or not strong:
        return [match]
    for rival in strong:
        match = _merge(match, rival, maximum_seconds)
    return [match]


def _merge(match: VideoMatch, rival: VideoMatch, maximum_seconds: float) -> VideoMatch:
    best = max(match, rival, key=lambda one: one.score)
    reasons = tuple(dict.fromkeys((*(SEEN,) * (SEEN in rival.reasons), *match.reasons, *rival.reasons)))
    line = match.line or rival.line
    start = min(match.segment.start_seconds, rival.segment.start_seconds)
    end = max(match.segment.end_seconds, rival.segment.end_seconds)
    is_long = rival.segment.end_seconds - rival.segment.start_seconds > _LONG_SECONDS
    if is_long and (best is match or match.score >= _SURE_SCORE):
        segment = replace(match.segment, score=best.segment.score)
    elif maximum_seconds and end - start > maximum_seconds:
        segment = best.segment
    else:
        segment = replace(best.segment, start_seconds=start, end_seconds=end)
    return replace(best, segment=segment, reasons=reasons, line=line)


def _overlaps(one: VideoMatch, other: VideoMatch) -> bool:
    first, second = one.segment, other.segment
    return first.start_seconds < second.end_seconds and second.start_seconds < first.end_seconds
