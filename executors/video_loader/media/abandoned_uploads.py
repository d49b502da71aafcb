"""Ends uploads that nobody continues: at once where another one needs their room, the rest after a day."""

import contextlib
import logging
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from clipseek.api.errors import LimitExceeded, MediaUnreachable, StoreFull
from clipseek.machine.store_size import BLOCK_BYTES, PART_SUFFIX
from executors.machine.folder_cache import FolderLocks
from executors.video_loader.media.file_record import is_video_id
from executors.video_loader.media.partial_upload import MARKS_SUFFIX, PartialUpload

logger = logging.getLogger(__name__)

KEPT_SECONDS = 24 * 3600.0  # since the last byte; so long an upload can go on, unless its room is needed
_PAUSE_SECONDS = 600.0
_ANY_CHUNK = 1  # a size of chunks: none are written here


def drop_abandoned(
    roots: Iterable[Path],
    idle_seconds: float,
    is_enough: Callable[[], bool] = lambda: False,
    keep: str = "",
    clock: Callable[[], float] = time.time,
) -> None:
    """Delete uploads that got no byte for `idle_seconds`, the oldest first, until `is_enough`.

    Never one that is being checked or stored at this moment, nor the one of the video `keep`.
    """
    oldest = clock() - idle_seconds
    for changed, root, video_id in sorted(_find_uploads(roots)):
        if changed < oldest and video_id != keep and _drop(root, video_id, oldest) and is_enough():
            return


def make_room(check: Callable[[int], None], roots: Collection[Path], idle_seconds: float, keep: str) -> None:
    """Delete abandoned uploads until `check` finds room; see `drop_abandoned`.

    None is deleted where all of them together are too small.

    Args:
        check: raises if there is no room even with so many bytes more.

    Raises: LimitExceeded, StoreFull.
    """

    def is_enough(more_bytes: int = 0) -> bool:
        with contextlib.suppress(LimitExceeded, StoreFull):
            check(more_bytes)
            return True
        return False

    if is_enough():
        return
    if is_enough(_measure_abandoned(roots, idle_seconds, keep)):
        drop_abandoned(roots, idle_seconds, is_enough, keep)
    check(0)


def _measure_abandoned(roots: Iterable[Path], idle_seconds: float, keep: str) -> int:
    """The bytes that the uploads take which `make_room` may delete."""
    oldest, total = time.time() - idle_seconds, 0
    for changed, root, video_id in _find_uploads(roots):
        if changed < oldest and video_id != keep:
            with contextlib.suppress(FileNotFoundError):
                total += (root / f"{video_id}{PART_SUFFIX}").lstat().st_blocks * BLOCK_BYTES
    return total


class AbandonedUploads:
    """A thread that deletes uploads without a byte for a day, or for `idle_seconds` if that is longer.

    Args:
        drop: deletes those without a byte for so many seconds. Raises: OSError, MediaUnreachable.
    """

    def __init__(self, drop: Callable[[float], None], idle_seconds: float) -> None:
        self._drop, self._kept_seconds = drop, max(idle_seconds, KEPT_SECONDS)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="abandoned-uploads", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._drop(self._kept_seconds)
            except (OSError, MediaUnreachable) as error:
                logger.warning("Abandoned uploads cannot be deleted (%s).", error)
            if self._closing.wait(_PAUSE_SECONDS):
                return


def _find_uploads(roots: Iterable[Path]) -> Iterator[tuple[float, Path, str]]:
    """When each upload got its last byte, its folder, and its video's id. A crash may leave marks without a part."""
    for root in roots:
        for suffix in (PART_SUFFIX, MARKS_SUFFIX):
            for file in root.glob(f"*{suffix}"):
                with contextlib.suppress(FileNotFoundError):
                    state = file.lstat()
                    if is_video_id(file.stem) and not stat.S_ISDIR(state.st_mode):  # else it is somebody else's
                        yield state.st_mtime, root, file.stem


def _drop(root: Path, video_id: str, oldest: float) -> bool:
    upload = PartialUpload(root, video_id, _ANY_CHUNK)
    with FolderLocks(root)[video_id], contextlib.ExitStack() as opened:
        if upload.has_begun:  # else there are marks only, or a link
            part = opened.enter_context(upload.alone(wait=False))
            if part is None or part.st_mtime >= oldest:  # it is being stored, or a chunk has just arrived
                return False
        upload.discard()
    logger.info("deleted the abandoned upload of video %s", video_id[:12])
    return True
