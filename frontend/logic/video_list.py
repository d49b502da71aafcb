"""The library as a list: filtered by title and sorted."""

from collections.abc import Callable, Iterable
from typing import Any

from clipseek.api.documents import Video

NEWEST = "newest"
_SORT_KEYS: dict[str, tuple[Callable[[Video], Any], bool]] = {  # name -> sort key, whether the largest comes first
    "title": (lambda video: video.title.casefold(), False),
    "longest": (lambda video: video.duration_seconds, True),
    "largest": (lambda video: video.size_bytes, True),
}
SORTS = (NEWEST, *_SORT_KEYS)


def list_videos(videos: Iterable[Video], text: str, sort: str) -> list[Video]:
    """The videos, oldest first, with every word of `text` in their title in any case, sorted by one of `SORTS`."""
    words = text.casefold().split()
    fitting = [video for video in videos if all(word in video.title.casefold() for word in words)]
    if sort == NEWEST:
        return fitting[::-1]
    key, largest_first = _SORT_KEYS[sort]
    return sorted(fitting, key=key, reverse=largest_first)


def indexed_fraction(video: Video) -> float:
    """How much of a video is indexed, from 0 to 1."""
    if not video.duration_seconds:
        return 0.0
    ranges = zip(video.missing_start_seconds, video.missing_end_seconds, strict=True)
    missing = sum(end - start for start, end in ranges)
    return min(max(1.0 - missing / video.duration_seconds, 0.0), 1.0)
