"""Locks shared by processes that work in the same folder, such as the loader's replicas."""

import fcntl
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

_STRIPES = 256  # lock files; names that fall on the same one wait for each other


class FolderLocks:
    """One lock for each name in a folder. One thread of one process holds it at a time. Not reentrant.

    When a process dies, the system releases its locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.with_name(f"{folder.name}.locks")

    def __getitem__(self, name: str) -> AbstractContextManager[None]:
        return self._hold(zlib.crc32(name.encode()) % _STRIPES)

    @contextmanager
    def _hold(self, stripe: int) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{stripe:02x}").open("ab") as file:  # opened by each thread: a shared one shares its lock
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
