"""Has the words of a video read: what is said, subtitled and written in it. They are read in spans, one at a time."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from clipseek.api.documents import Subtitles, Video, WordSpan
from clipseek.api.errors import (
    ClipSeekError,
    DeadlineExceeded,
    DecoderCrashed,
    InvalidRequest,
    LimitExceeded,
    ServerFailed,
    UnreadableVideo,
)
from clipseek.api.formats import is_subtitles_of, sendable, size
from clipseek.api.limits import MAX_SUBTITLE_BYTES, MAX_SUBTITLE_FILES
from clipseek.client.transport import Transport, run

logger = logging.getLogger(__name__)

Span = tuple[float, float]
_SPAN_TRIES = 3
# What is wrong with one span, and does not stop the others.
_BAD_SPAN = (UnreadableVideo, DecoderCrashed, LimitExceeded, DeadlineExceeded, ServerFailed)


def read_missing(
    transport: Transport, video_id: str, begin: Callable[[Video], None], on_span: Callable[[float, int], None]
) -> str:
    """Read the words of each missing span of a video, in order of time.

    Args:
        begin: gets the video as it is before.
        on_span: as of `index_missing`; it may raise to stop.

    Returns: what could not be read, in one sentence; "" where nothing failed.

    Raises: ClipSeekError: the first error, where no span could be read; or one that is not about a span alone.
    """
    video = _video(transport, video_id)
    begin(video)
    failed: dict[Span, ClipSeekError] = {}
    reads: Counter[Span] = Counter()
    while True:
        on_span(video.duration_seconds - sum(end - start for start, end in _missing(video)), 0)
        span = next((span for span in _missing(video) if span not in failed), None)
        if span is None:
            return _sum_up(failed, len(reads))
        try:
            _read_span(transport, video, span, reads)
        except _BAD_SPAN as error:
            logger.warning("the words of '%s' in [%.1f, %.1f) s: %s", video.title, *span, error)
            failed[span] = error
        video = _video(transport, video_id)  # meanwhile somebody may have asked to read all again


def _sum_up(failed: dict[Span, ClipSeekError], read: int) -> str:
    if not failed:
        return ""
    (start, end), first = next(iter(failed.items()))
    if not read:
        raise first
    return (
        f"The words of {len(failed)} of {len(failed) + read} spans could not be read. The first is from "
        f"{start:.0f} to {end:.0f} s: {first}"
    )


def _read_span(transport: Transport, video: Video, span: Span, reads: Counter[Span]) -> None:
    """Read the words of a span. A failure is tried again, a refusal is not.

    What has been heard before says which language to expect. `reads` counts how often a span was stored: one that
    stays missing in spite of that has failed.
    """
    ask = WordSpan(video_id=video.video_id, start_seconds=span[0], end_seconds=span[1], language=video.language)
    ask.likely_language = video.language or next(iter(video.word_languages), "")
    for left in reversed(range(_SPAN_TRIES)):
        try:
            answer = run(transport.post_one("/words", ask))
            if answer.stored and reads[span] < _SPAN_TRIES:
                reads[span] += 1
                return
        except ServerFailed:
            if not left:
                raise
    raise ServerFailed(
        f"The words of '{video.title}' in [{span[0]:.1f}, {span[1]:.1f}) s came back unstored {_SPAN_TRIES} times."
    )


def _video(transport: Transport, video_id: str) -> Video:
    return run(transport.post_one("/videos", Video(video_id=video_id)))


def _missing(video: Video) -> list[Span]:
    return list(zip(video.missing_word_start_seconds, video.missing_word_end_seconds, strict=True))


def send_subtitles(transport: Transport, video_id: str, video: Path) -> None:
    """Send the files of subtitles that lie beside a video, to be kept and read with it.

    One that cannot be sent is left out with a warning. A server of an earlier version gets none.
    """
    for file in list_subtitles(video):
        try:
            if file.stat().st_size > MAX_SUBTITLE_BYTES:
                raise LimitExceeded(f"they have more than {size(MAX_SUBTITLE_BYTES)}.")
            subtitles = Subtitles(video_id=video_id, name=sendable(file.name), data=file.read_bytes())
            if subtitles.data:
                run(transport.post_one("/subtitles", subtitles))
        except (OSError, InvalidRequest) as error:
            if "There is no endpoint" in str(error):
                return
            logger.warning("The subtitles '%s' are left out: %s", file.name, error)


def list_subtitles(video: Path) -> list[Path]:
    """The files beside a video that are named after it, such as `talk.en.srt`, ordered by name."""
    try:
        files = video.parent.iterdir()
        return sorted(f for f in files if is_subtitles_of(f.name, video.name) and f.is_file())[:MAX_SUBTITLE_FILES]
    except OSError:
        return []


def check_older(error: InvalidRequest, address: str) -> None:
    """Raises: InvalidRequest: the server is one of an earlier version, which has no words."""
    if "There is no endpoint" in str(error) or "There is no kind of job" in str(error):
        raise InvalidRequest(f"The server at {address} is older and has no words. Update it.") from error
