"""How people name a video: by its title, its id or the start of its id."""

import re
from collections.abc import Callable, Iterable

from clipseek.api.documents import Video
from clipseek.api.errors import AmbiguousVideo, VideoNotFound
from clipseek.api.formats import is_same_name

_SHORTEST_PREFIX = 4  # characters of an id that may stand for all of it
_MOST_LISTED = 5  # videos that an error names


def is_whole_id(name: str) -> bool:
    """Whether a name is a whole id: the SHA-256 of a file, in lower-case hex."""
    return re.fullmatch("[0-9a-f]{64}", name) is not None


def choose_video(videos: Iterable[Video], name: str, *other_tests: Callable[[Video], bool]) -> Video:
    """The one video with this id, this title, or this unique start of its id; a title goes before a start of an id.

    If these find none, `other_tests` are tried in order. Raises: VideoNotFound, AmbiguousVideo.
    """
    library = list(videos)
    tests: tuple[Callable[[Video], bool], ...] = (
        lambda video: video.video_id == name,
        lambda video: is_same_name(video.title, name),
        lambda video: len(name) >= _SHORTEST_PREFIX and video.video_id.startswith(name.lower()),
        *other_tests,
    )
    for fits in tests:
        matches = [video for video in library if fits(video)]
        if len(matches) > 1:
            listed = ", ".join(f"{video.video_id[:12]} ({video.title})" for video in matches[:_MOST_LISTED])
            more = ", ..." if len(matches) > _MOST_LISTED else ""
            raise AmbiguousVideo(f"'{name}' fits {len(matches)} videos: {listed}{more}. Use the id of one of them.")
        if matches:
            return matches[0]
    raise VideoNotFound(
        f"There is no video '{name}'. `clipseek videos` lists all; {_SHORTEST_PREFIX} or more characters of an id are "
        "enough."
    )
