"""Locks that the loader's processes share: replicas work in the same folders."""

import fcntl
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

_STRIPES = 256  # so many things can be locked at once; two of one stripe wait for one another


class FolderLocks:
    """A lock for each name of something in a folder, held by one thread of one process at a time. Not reentrant.

    The system lets go of what a process held that died.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.with_name(f"{folder.name}.locks")

    def __getitem__(self, name: str) -> AbstractContextManager[None]:
        return self._held(zlib.crc32(name.encode()) % _STRIPES)

    @contextmanager
    def _held(self, stripe: int) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{stripe:02x}").open("ab") as file:  # a file of each thread's own: else they share it
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
