"""Copies on this machine of videos that are kept elsewhere: FFmpeg opens local files and nothing else."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from executors.machine.disk import require_free
from executors.machine.folder_cache import FolderCache

_LOCKS_OF_EARLIER_VERSIONS = frozenset({".lock"})


class LocalCopies(FolderCache):
    """Copies of videos. A video in use stays. All who ask for a video at the same time share one download."""

    def __init__(self, folder: Path, max_bytes: float) -> None:
        super().__init__(folder, max_bytes, ignored=_LOCKS_OF_EARLIER_VERSIONS)

    def path(self, name: str, size_bytes: int, fetch: Callable[[Path], object]) -> Path:
        """The video's file; `fetch(path)` writes it if it is missing. Raises: StoreFull, and the errors of `fetch`."""
        path = self.folder / name
        if not path.exists():
            with self._lock_video(name):
                if not path.exists():
                    self._fetch(path, size_bytes, fetch)
        with contextlib.suppress(FileNotFoundError):  # removed again by now: `hold` finds out
            self.mark_used(path)
        return path

    def adopt(self, name: str, file: Path) -> None:
        self.path(name, file.stat().st_size, lambda draft: shutil.move(file, draft))
        file.unlink(missing_ok=True)

    def forget(self, prefix: str) -> None:
        """Remove the copies of a video, and one that is being fetched."""
        if any(self.folder.glob(f"{prefix}*")):
            with self._lock_video(prefix):
                super().forget(prefix)

    def remove(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        except BlockingIOError:  # somebody holds it
            return False
        except FileNotFoundError:
            pass
        return True

    def _fetch(self, path: Path, size_bytes: int, fetch: Callable[[Path], object]) -> None:
        self.make_room(size_bytes)  # a video that is larger than the cache, or finds it all in use, is needed anyway
        require_free(self.folder, size_bytes, f"the copy of {path.name}")
        with self.draft_folder() as folder:
            draft = folder / path.name
            fetch(draft)
            draft.replace(path)

    def _lock_video(self, name: str) -> contextlib.AbstractContextManager[None]:
        return self.locks[name.partition(".")[0]]


def hold(path: Path) -> BinaryIO | None:
    """Open a video so that no cache removes it until it is closed. None: it was removed already."""
    with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            opened.pop_all()
            return file
    return None
