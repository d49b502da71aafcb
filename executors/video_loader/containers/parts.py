"""The parts of a file: each is one recording, which FFmpeg opens like a file of its own."""

import functools
import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from executors.video_loader.containers.restarts import find_part_starts

logger = logging.getLogger(__name__)

_FILES_REMEMBERED = 256
# Each is opened once to measure it, which takes some 20 ms. A clock that starts again more often is damaged.
MOST_PARTS = 500


@dataclass(frozen=True)
class FilePart:
    """The bytes `[start_byte, end_byte)` of a file."""

    path: Path
    start_byte: int
    end_byte: int
    changed_ns: int  # when the file was last written

    @property
    def url(self) -> str:
        """For FFmpeg, which reads no other bytes then."""
        return f"subfile,,start,{self.start_byte},end,{self.end_byte},,:file:{self.path.absolute()}"


@dataclass(frozen=True)
class VideoView:
    """A file, and how to look at it.

    `track`: the number of its video track, from 1; 0: the usual one. `from_first_picture`: time 0 is when the first
    picture is shown, as before version 0.2; otherwise it is the file's own, which may be earlier.
    """

    path: Path
    track: int = 0
    from_first_picture: bool = False


VideoFile = Path | FilePart | VideoView


def list_parts(path: Path) -> list[FilePart]:
    """The recordings in a file, in their order; none of a file that cannot be read. Remembers unchanged files."""
    try:
        state = path.stat()
        return list(_list_parts(path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))
    except OSError:  # opening the file tells why
        return []


@functools.lru_cache(_FILES_REMEMBERED)
def _list_parts(path: Path, *state: int) -> tuple[FilePart, ...]:
    *_, size, changed_ns = state
    starts = find_part_starts(path)
    if len(starts) > MOST_PARTS:
        logger.warning("'%s' has %d recordings, more than %d: it is read as one", path, len(starts), MOST_PARTS)
        starts = [0]
    return tuple(FilePart(path, start, end, changed_ns) for start, end in pairwise([*starts, size]))


def path_of(file: VideoFile) -> Path:
    return file if isinstance(file, Path) else file.path
