"""A cache on disk: files in a folder, the least recently used removed first. Processes share its locks."""

import contextlib
import fcntl
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Set
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

_DRAFTS = "making-"  # begins the names of folders in which files are made
_ABANDONED_SECONDS = 86_400  # processes may share a cache: a younger draft may still be in use
_STRIPES = 256  # lock files; names that fall on the same one wait for each other


class FolderLocks:
    """One lock for each name in a folder. One thread of one process holds it at a time. Not reentrant.

    When a process dies, the system releases its locks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.with_name(f"{folder.name}.locks")

    def __getitem__(self, name: str) -> contextlib.AbstractContextManager[None]:
        return self._hold(zlib.crc32(name.encode()) % _STRIPES)

    @contextlib.contextmanager
    def _hold(self, stripe: int) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{stripe:02x}").open("ab") as file:  # opened by each thread: a shared one shares its lock
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class CachedFile(NamedTuple):
    """A file in the cache, when it was last used (seconds since the epoch), and its size."""

    used_at: float
    size_bytes: int
    path: Path


class FolderCache:
    """Files in `folder`, the least recently used removed when they exceed `max_bytes`. Safe for threads and processes.

    A file's access time says when it was last used; its modification time stays. Files with a suffix in `ignored` do
    not count.
    """

    def __init__(self, folder: Path, max_bytes: float, ignored: Set[str] = frozenset()) -> None:
        self.folder = folder
        self.locks = FolderLocks(folder)
        self._max_bytes, self._ignored = max_bytes, ignored
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(f"{_DRAFTS}*"):
            with contextlib.suppress(FileNotFoundError):
                written_at = max(path.stat().st_mtime for path in (draft, *draft.iterdir()))
                if time.time() - written_at > _ABANDONED_SECONDS:
                    shutil.rmtree(draft, ignore_errors=True)

    def files(self) -> list[CachedFile]:
        """All files in the cache, the least recently used first."""
        files = []
        for path in self.folder.iterdir():
            if path.suffix not in self._ignored and not path.name.startswith(_DRAFTS):
                with contextlib.suppress(FileNotFoundError):  # removed since the folder was listed
                    state = path.stat()
                    files.append(CachedFile(state.st_atime, state.st_size, path))
        return sorted(files)

    def mark_used(self, path: Path) -> None:
        """Note that a file is used now. Raises: FileNotFoundError."""
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))

    @contextlib.contextmanager
    def draft_folder(self) -> Iterator[Path]:
        """A folder for making a file, on the same disk. It is removed at the end; the finished file is moved out."""
        with TemporaryDirectory(dir=self.folder, prefix=_DRAFTS) as folder:
            yield Path(folder)

    def make_room(self, size_bytes: int = 0, keep: Path | None = None) -> None:
        """Remove files until `size_bytes` more fit. `keep`, and files that `remove` keeps, stay even if too large."""
        files = self.files()
        excess = size_bytes + sum(file.size_bytes for file in files) - self._max_bytes
        for file in files:
            if excess <= 0:
                return
            if file.path != keep and self.remove(file.path):
                excess -= file.size_bytes

    def remove(self, path: Path) -> bool:
        """Remove a file from the cache. Returns: False if it stays."""
        path.unlink(missing_ok=True)
        return True

    def forget(self, prefix: str) -> None:
        """Remove all files whose names begin with `prefix`."""
        for file in self.folder.glob(f"{prefix}*"):
            file.unlink(missing_ok=True)
