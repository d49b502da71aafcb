"""Limits how many uploads a caller may have open at the same time.

An open upload is an empty file, as old as its last chunk. So replicas of the loader count together.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipseek.api.errors import ClipSeekError, TooManyRequests
from executors.machine.folder_cache import FolderLocks

FORGOTTEN_SECONDS = 3600.0  # an upload without a chunk for this long no longer counts; it may still go on

Upload = tuple[str, str]  # library and video id


class OpenUploads:
    """The open uploads of each caller, at most `most`, noted in `folder`. Safe for threads and processes."""

    def __init__(self, folder: Path, most: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._most, self._clock = folder, most, clock
        self._locks = FolderLocks(folder)

    @contextmanager
    def receiving(self, caller: str, upload: Upload) -> Iterator[None]:
        """Receive a chunk of an upload. If it is refused, the upload does not count until its next chunk.

        Raises: TooManyRequests: it would be one upload too many.
        """
        self.begin(caller, upload)
        try:
            yield
        except ClipSeekError:
            self.end(caller, upload)
            raise

    def begin(self, caller: str, upload: Upload) -> None:
        """Note that a chunk of an upload arrived. Raises: TooManyRequests: it would be one upload too many."""
        now = self._clock()
        note = self._note(caller, upload)
        with self._locks[caller]:
            note.parent.mkdir(parents=True, exist_ok=True)
            open_notes = [other for other in note.parent.iterdir() if not self._forget_if_old(other, now)]
            if note not in open_notes and len(open_notes) >= self._most:
                raise TooManyRequests(
                    f"'{caller}' has {len(open_notes)} uploads open, which is the limit. Finish or delete one first; "
                    "the operator can allow more with CLIPSEEK_OPEN_UPLOADS."
                )
            note.touch()
            os.utime(note, (now, now))

    def end(self, caller: str, upload: Upload) -> bool:
        """Note that an upload is complete or was refused. Returns: whether it was open."""
        with self._locks[caller], suppress(FileNotFoundError):
            self._note(caller, upload).unlink()
            return True
        return False

    def _note(self, caller: str, upload: Upload) -> Path:
        return self._folder / _hash(caller) / _hash("/".join(upload))

    def _forget_if_old(self, note: Path, now: float) -> bool:
        is_old = note.stat().st_mtime < now - FORGOTTEN_SECONDS
        if is_old:
            note.unlink()
        return is_old


def _hash(text: str) -> str:
    """A safe file name: callers may send any text."""
    return hashlib.sha256(text.encode()).hexdigest()
