"""How much of the disk the videos of a store take."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from clipseek.config.libraries import SUBTITLE_MARK, VIDEO_MARK

PART_SUFFIX = ".part"  # of an upload on its way
QUEUED_SUFFIX = ".upload"  # of one that waits in the page's queue
BLOCK_BYTES = 512  # the unit of `st_blocks`, whatever the disk's own blocks are


def measure_videos(folders: Iterable[Path], *, with_uploads: bool = True) -> int:
    """Bytes of the videos in these folders, their subtitles, and what arrived of unfinished uploads.

    A file with several names counts once. Folders need not exist, and one may be the page's queue.
    """
    sizes: dict[tuple[int, int], int] = {}
    for entry in _list_videos(folders):
        with contextlib.suppress(FileNotFoundError):  # deleted since the folder was listed
            state = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(state.st_mode) or not (with_uploads or _is_kept(entry.name)):
                continue
            arrived = min(state.st_size, state.st_blocks * BLOCK_BYTES)  # the rest of a part is a hole
            sizes[state.st_dev, state.st_ino] = arrived if entry.name.endswith(PART_SUFFIX) else state.st_size
    return sum(sizes.values())


def _list_videos(folders: Iterable[Path]) -> Iterator[os.DirEntry[str]]:
    for folder in folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if _is_kept(entry.name) or entry.name.endswith((PART_SUFFIX, QUEUED_SUFFIX)):
                    yield entry


def _is_kept(name: str) -> bool:
    return VIDEO_MARK in name or SUBTITLE_MARK in name
