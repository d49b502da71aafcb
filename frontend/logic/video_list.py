"""The library as a list to look through: searched by title, sorted, a page at a time."""

from collections.abc import Callable, Iterable
from typing import Any

from clipseek.api.documents import Video

NEWEST = "newest"
_KEYS: dict[str, tuple[Callable[[Video], Any], bool]] = {  # name -> key, whether the largest comes first
    "title": (lambda video: video.title.casefold(), False),
    "longest": (lambda video: video.duration_seconds, True),
    "largest": (lambda video: video.size_bytes, True),
}
SORTS = (NEWEST, *_KEYS)


def arranged(videos: Iterable[Video], text: str, sort: str) -> list[Video]:
    """The videos whose title holds every word of `text`, whatever the case, in the order of a name of `SORTS`.

    Args:
        videos: in the order they were added.
    """
    words = text.casefold().split()
    found = [video for video in videos if all(word in video.title.casefold() for word in words)]
    if sort == NEWEST:
        return found[::-1]
    key, largest_first = _KEYS[sort]
    return sorted(found, key=key, reverse=largest_first)


def done_fraction(video: Video) -> float:
    """How much of a video is indexed, from 0 to 1."""
    if not video.duration_seconds:
        return 0.0
    spans = zip(video.missing_start_seconds, video.missing_end_seconds, strict=True)
    missing = sum(end - start for start, end in spans)
    return min(max(1.0 - missing / video.duration_seconds, 0.0), 1.0)
