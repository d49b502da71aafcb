"""A disk that fills up: asked before, and told apart from other errors when it happens all the same."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipseek.api.errors import StoreFull, StoreReadOnly

# Left free for the index and the system: a disk filled to the last byte stops more than the upload.
RESERVED_BYTES = 64 * 1024 * 1024


DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def free_bytes(folder: Path) -> int:
    """Free disk below `folder`, in bytes."""
    return shutil.disk_usage(folder).free


def require_free(folder: Path, needed_bytes: int, what: str) -> None:
    """Raises: StoreFull if fewer than `needed_bytes` and the reserve are free; `what` names what needs them."""
    free = free_bytes(folder)
    if free < needed_bytes + RESERVED_BYTES:
        raise StoreFull(
            f"The disk of {folder} is full: {what} needs {in_words(needed_bytes)}, {in_words(free)} are free "
            f"and {in_words(RESERVED_BYTES)} of them are kept back. Delete videos you do not need, or make room"
        )


@contextmanager
def full_disk_reported(folder: Path, what: str) -> Iterator[None]:
    """Translate what the system and FFmpeg say of a full disk, or of a read-only one, inside the block.

    Raises:
        StoreFull, StoreReadOnly.
    """
    try:
        yield
    except OSError as error:
        if error.errno in READ_ONLY:
            raise StoreReadOnly(
                f"{folder} is read-only ({error.strerror}): {what} could not be written. Make its folder and its disk "
                "writable, then repeat"
            ) from error
        if error.errno not in DISK_FULL:
            raise
        raise StoreFull(
            f"The disk of {folder} is full: {what} could not be written, {in_words(free_bytes(folder))} are free. "
            "Delete videos you do not need, or make room"
        ) from error


def in_words(size_bytes: int) -> str:
    """A size for people: `3.2 GB`."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
