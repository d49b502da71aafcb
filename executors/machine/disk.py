"""The disk: its free space, checked before something is written, and errors of ours when it fills up anyway."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipseek.api.errors import StoreFull, StoreReadOnly
from clipseek.api.formats import size

# Kept free for the index and the system: a disk filled to the last byte stops more than the upload.
RESERVED_BYTES = 64 * 1024 * 1024

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def measure_free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def require_free(folder: Path, needed_bytes: int, what: str) -> None:
    """Check that `needed_bytes` are free beside the reserve; `what` names what needs them. Raises: StoreFull."""
    free = measure_free_bytes(folder)
    if free < needed_bytes + RESERVED_BYTES:
        raise StoreFull(
            f"The disk of {folder} is full: {what} needs {size(needed_bytes)}, {size(free)} are free "
            f"and {size(RESERVED_BYTES)} stay reserved. Delete videos you do not need, or free disk space"
        )


@contextmanager
def report_full_disk(folder: Path, what: str) -> Iterator[None]:
    """Translate errors of the system and of FFmpeg about a full or read-only disk. Raises: StoreFull, StoreReadOnly."""
    try:
        yield
    except OSError as error:
        if error.errno in READ_ONLY:
            raise StoreReadOnly(
                f"{folder} is read-only ({error.strerror}): {what} could not be written. Make the folder and its disk "
                "writable, then repeat"
            ) from error
        if error.errno not in DISK_FULL:
            raise
        raise StoreFull(
            f"The disk of {folder} is full: {what} could not be written, {size(measure_free_bytes(folder))} are free. "
            "Delete videos you do not need, or free disk space"
        ) from error
