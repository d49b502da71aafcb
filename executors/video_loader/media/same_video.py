"""Equal videos of several libraries share their bytes on the disk, if the bytes that are there are whole."""

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from clipseek.config.libraries import VIDEO_MARK
from executors.video_loader.media.file_record import compute_sha256

logger = logging.getLogger(__name__)


def link_same_video(video_id: str, link: Path, roots: Iterable[Path]) -> bool:
    """Make `link` a hard link to the same video of another library. Returns: whether there is one that is whole.

    The other file is read to its end, in pieces: it may have been damaged since it was stored. A damaged one stays as
    it is, and is reported in the log.
    """
    damaged: set[tuple[int, int]] = set()
    for twin in _find_twins(video_id, roots):
        link.unlink(missing_ok=True)
        try:
            os.link(twin, link)
            state = link.lstat()
        except OSError:  # deleted meanwhile, or on a disk without links
            continue
        if not stat.S_ISREG(state.st_mode) or (state.st_dev, state.st_ino) in damaged:
            continue
        fault = _find_fault(link, video_id)
        if not fault:
            return True
        damaged.add((state.st_dev, state.st_ino))
        if link.exists():  # else the new upload was deleted while the other file was read
            logger.error(
                "The video in %s is damaged: %s. It is not used for the new upload of this video. Restore it from a "
                "backup, or delete the video in its library and index its file again.",
                twin,
                fault,
            )
    link.unlink(missing_ok=True)
    return False


def _find_twins(video_id: str, roots: Iterable[Path]) -> Iterator[Path]:
    return (twin for root in roots for twin in sorted(root.glob(f"{video_id}{VIDEO_MARK}*")))


def _find_fault(file: Path, video_id: str) -> str:
    try:
        digest = compute_sha256(file)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if digest == video_id else f"its SHA-256 is {digest}"
