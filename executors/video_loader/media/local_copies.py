"""Copies on this machine of videos that are kept elsewhere: FFmpeg opens local files and nothing else."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from executors.video_loader.media.disk import require_free

_DRAFT, _LOCK = ".draft", ".lock"
_ABANDONED_SECONDS = 86_400  # a draft that nobody wrote to for so long is that of a loader that was killed


class LocalCopies:
    """Videos in a folder, the least recently used removed when they exceed `max_bytes`, except those that are held.

    Several threads and processes may use one folder: a video is fetched once for all who ask for it at the same time.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(f"*{_DRAFT}"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                    draft.unlink()

    def path(self, name: str, size_bytes: int, fetch: Callable[[Path], None]) -> Path:
        """The video's file, which `fetch(path)` writes if it is not here. Raises: StoreFull, and what `fetch` raises."""
        path = self.folder / name
        if not path.exists():
            with self._lock(name):
                if not path.exists():
                    self._fetch(path, size_bytes, fetch)
        with contextlib.suppress(FileNotFoundError):  # removed again by now: whoever holds it finds out
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))  # used now, and still the same video
        return path

    def adopt(self, name: str, file: Path) -> None:
        """Move a file in here."""

        def move(draft: Path) -> None:
            shutil.move(file, draft)

        self.path(name, file.stat().st_size, move)
        file.unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Remove the copies of videos whose names begin so."""
        if any(self.folder.glob(f"{name}*")):
            with self._lock(name):  # what is being fetched just now goes with it
                for file in self.folder.glob(f"{name}*"):
                    file.unlink(missing_ok=True)

    def copies(self) -> list[tuple[float, int, Path]]:
        """When each was last used (seconds since the epoch), its bytes and its file, the least recently used first."""
        found = []
        for file in self.folder.iterdir():
            if file.suffix not in {_DRAFT, _LOCK}:
                with contextlib.suppress(FileNotFoundError):  # removed since the folder was listed
                    found.append((file.stat().st_atime, file.stat().st_size, file))
        return sorted(found)

    def _fetch(self, path: Path, size_bytes: int, fetch: Callable[[Path], None]) -> None:
        self._make_room(size_bytes)
        require_free(self.folder, size_bytes, f"the copy of {path.name}")
        draft = path.with_name(path.name + _DRAFT)
        try:
            fetch(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _make_room(self, size_bytes: int) -> None:
        copies = self.copies()
        excess = size_bytes + sum(copy_bytes for _, copy_bytes, _ in copies) - self._max_bytes
        for _, copy_bytes, file in copies:
            if excess <= 0:
                return
            if _removed_if_idle(file):
                excess -= copy_bytes
        # Still too much if all of it is in use, or the video is larger than the cache: it is needed all the same.

    def _lock(self, name: str) -> FileLock:
        """Of all videos whose names end so: few lock files are enough, for they stay."""
        return FileLock(self.folder / f"{name.partition('.')[0][-2:]}{_LOCK}")


def held(path: Path) -> BinaryIO | None:
    """The video, open, which no cache removes until it is closed; None where that has happened already."""
    with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            opened.pop_all()
            return file
    return None


def _removed_if_idle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except BlockingIOError:  # it is held
        return False
    except FileNotFoundError:
        pass
    return True
