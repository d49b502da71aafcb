"""What every document must fulfil before anything is done with it, whoever sent it and to whichever executor.

A caller may fill in any field, also those that one executor leaves for the next. So numbers are finite and within
bounds that nothing honest reaches, lists that belong together are equally long, and what an operator limits is held
against the settings.
"""

import math
from collections.abc import Iterable

from clipseek.api.base_document import BaseDoc
from clipseek.api.documents import Query, Video, VideoSpan
from clipseek.api.errors import InvalidRequest, InvalidTimeRange
from clipseek.config.limits import check_limit
from clipseek.config.settings import Settings

MOST_SECONDS = 1e9  # thirty years: no video, and no float of them loses its milliseconds
MOST_NUMBER = 2**53  # whole numbers travel as floats
MOST_CHARACTERS = 100_000  # of any text; titles are cut to MAX_TITLE_LENGTH where they are stored
MOST_ENTRIES = 1_000_000  # of any list
MOST_WEIGHT = 1e6
MOST_PICTURE_SIDE = 4096  # pixels of what a model looks at; the largest models take 1024
SIGNED = frozenset(
    {"weight", "embedding", "curve_embedding", "neutral_embedding", "zero_cosine", "one_cosine", "shift"}
)
LEAST_SCALE = 1e-3  # of cosines from relevance 0 to 1; those of real models are above .05


def check_document(doc: BaseDoc, settings: Settings) -> None:
    """Check every field that a caller can set.

    Raises:
        InvalidTimeRange, InvalidRequest: a value cannot be. LimitExceeded: it may not be.
    """
    for name, value in doc:
        _check_value(name, value, settings)
    if isinstance(doc, Query):
        _check_query(doc, settings)
    elif isinstance(doc, VideoSpan):
        _check_span(doc, settings)
    elif isinstance(doc, Video):
        hours, frames = doc.duration_seconds / 3600, doc.duration_seconds * doc.frames_per_second
        check_limit(settings, "max_video_hours", hours, f"The length of '{doc.title}', {hours:.1f} hours,")
        check_limit(settings, "max_video_frames", frames, f"The count of frames of '{doc.title}', {frames:.0f},")


def _check_value(name: str, value: object, settings: Settings) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        _check_numbers(name, [value])
    elif isinstance(value, str):
        if len(value) > MOST_CHARACTERS:
            raise InvalidRequest(f"{name} has {len(value)} characters, but {MOST_CHARACTERS} are the most")
    elif isinstance(value, BaseDoc):
        check_document(value, settings)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        entries = list(value)
        if len(entries) > MOST_ENTRIES:
            raise InvalidRequest(f"{name} has {len(entries)} entries, but {MOST_ENTRIES} are the most")
        if entries and isinstance(entries[0], int | float):
            _check_numbers(name, entries)
        else:
            for entry in entries:
                _check_value(name, entry, settings)


def _check_numbers(name: str, values: list[int | float]) -> None:
    is_time = name.endswith("_seconds")
    most = MOST_SECONDS if is_time else MOST_NUMBER
    least = -most if name in SIGNED else 0
    wrong = next((value for value in values if not (math.isfinite(value) and least <= value <= most)), None)
    if wrong is not None:
        kind = InvalidTimeRange if is_time else InvalidRequest
        raise kind(f"{name} is {wrong:g}, but must be a number from {least:g} to {most:g}")


def _check_query(query: Query, settings: Settings) -> None:
    check_limit(settings, "max_query_parts", len(query.parts), f"The query's count of parts, {len(query.parts)},")
    images = sum(bool(part.image) for part in query.parts)
    check_limit(settings, "max_query_images", images, f"The query's count of images, {images},")
    for holder in (query, *query.parts):
        characters = len(holder.text)
        check_limit(settings, "max_query_characters", characters, f"The length of a text, {characters} characters,")
        _check_scale(holder.zero_cosine, holder.one_cosine)
    for part in query.parts:
        if not abs(part.weight) <= MOST_WEIGHT:
            raise InvalidRequest(f"weight is {part.weight:g}, but must be from {-MOST_WEIGHT:g} to {MOST_WEIGHT:g}")


def _check_scale(zero: float, one: float) -> None:
    if max(abs(zero), abs(one)) > 2 or 0 < one - zero < LEAST_SCALE:
        raise InvalidRequest(
            f"zero_cosine {zero:g} and one_cosine {one:g} are no scale: both are about cosines, the second is larger "
            f"by {LEAST_SCALE:g} or more"
        )


def check_times(span: VideoSpan) -> None:
    """Check the range of a span, and that the times of its frames rise inside it.

    Raises:
        InvalidTimeRange.
    """
    if not span.start_seconds < span.end_seconds:
        raise InvalidTimeRange(
            f"[{span.start_seconds:g}, {span.end_seconds:g}) s is not a range of time: it must end after it starts"
        )
    outside = [time for time in span.pts_seconds if not span.start_seconds <= time < span.end_seconds]
    if outside or any(b <= a for a, b in zip(span.pts_seconds, span.pts_seconds[1:], strict=False)):
        raise InvalidTimeRange(
            f"The times of the frames of [{span.start_seconds:g}, {span.end_seconds:g}) s must rise, inside it"
        )


def _check_span(span: VideoSpan, settings: Settings) -> None:
    frames = len(span.pts_seconds)
    check_limit(settings, "max_span_frames", frames, f"The span's count of frames, {frames},")
    if len(span.blank) not in (0, frames):
        raise InvalidRequest(f"blank has {len(span.blank)} entries, but pts_seconds {frames}")
    if max(span.picture_width, span.picture_height) > MOST_PICTURE_SIDE:
        raise InvalidRequest(
            f"Pictures of {span.picture_width}x{span.picture_height} are larger than {MOST_PICTURE_SIDE} pixels a side"
        )
