"""The checks of a document on arrival at an executor, from any sender: its own bounds, then the operator's limits.

A caller may fill in any field, also those that one executor leaves for the next.
"""

from itertools import pairwise

from clipseek.api.base_document import Document
from clipseek.api.errors import InvalidTimeRange
from clipseek.api.formats import clock
from clipseek.api.search_options import check_query
from clipseek.config.limits import check_limit
from clipseek.config.settings import Settings
from clipseek.schema import Query, Video, VideoSpan


def check_document(doc: Document, settings: Settings) -> None:
    """Check every field that a caller can set.

    Raises: InvalidTimeRange, InvalidRequest: a value is impossible. LimitExceeded: it is above the operator's limit.
    EmptyQuery: a query does not say what to look for.
    """
    doc.check_bounds()
    if isinstance(doc, Query):
        _check_query_limits(doc, settings)
        check_query(doc)
    elif isinstance(doc, VideoSpan):
        frames = len(doc.pts_seconds)
        check_limit(settings, "max_span_frames", frames, f"The span's count of frames, {frames},")
    elif isinstance(doc, Video):
        hours, frames_in_all = doc.duration_seconds / 3600, doc.duration_seconds * doc.frames_per_second
        check_limit(
            settings, "max_video_hours", hours, f"The length of '{doc.title}', {clock(doc.duration_seconds)} hours,"
        )
        check_limit(
            settings, "max_video_frames", frames_in_all, f"The count of frames of '{doc.title}', {frames_in_all:.0f},"
        )


def _check_query_limits(query: Query, settings: Settings) -> None:
    check_limit(settings, "max_query_parts", len(query.parts), f"The query's count of parts, {len(query.parts)},")
    images = sum(bool(part.image) for part in query.parts)
    check_limit(settings, "max_query_images", images, f"The query's count of images, {images},")
    characters = max(len(text.text) for text in (query, *query.parts))
    check_limit(settings, "max_query_characters", characters, f"The length of a text, {characters} characters,")


def check_frame_times(span: VideoSpan) -> None:
    """Check the range of a span, and that the times of its frames rise inside it. Raises: InvalidTimeRange."""
    name = f"[{span.start_seconds:g}, {span.end_seconds:g}) s"
    if not span.start_seconds < span.end_seconds:
        raise InvalidTimeRange(f"The span {name} must end after it starts.")
    times = span.pts_seconds
    outside = [time for time in times if not span.start_seconds <= time < span.end_seconds]
    if outside or any(later <= earlier for earlier, later in pairwise(times)):
        raise InvalidTimeRange(f"The times of the frames of the span {name} must rise and lie inside it.")
