"""Counts the uploads that callers have begun and not ended, so that nobody begins ever more.

An open upload is an empty file, which is as old as its last piece: replicas of the loader count together.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipseek.api.errors import ClipSeekError, TooManyRequests
from executors.video_loader.media.folder_locks import FolderLocks

FORGOTTEN_SECONDS = 3600.0  # an upload that no piece came of for so long counts no more; it may still go on

Upload = tuple[str, str]  # library and video id


class OpenUploads:
    """The open uploads of each caller, `most` at a time, noted in `folder`. Safe for threads and processes."""

    def __init__(self, folder: Path, most: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._most, self._clock = folder, most, clock
        self._locks = FolderLocks(folder)

    @contextmanager
    def going_on(self, caller: str, upload: Upload) -> Iterator[None]:
        """Take a piece of an upload. One whose piece is refused counts no more, until its next piece.

        Raises:
            TooManyRequests: it would be one upload too many.
        """
        self.begin(caller, upload)
        try:
            yield
        except ClipSeekError:
            self.done(caller, upload)
            raise

    def begin(self, caller: str, upload: Upload) -> None:
        """Note that a piece of an upload has come. Raises: TooManyRequests: it would be one upload too many."""
        now = self._clock()
        note = self._note(caller, upload)
        with self._locks[caller]:
            note.parent.mkdir(parents=True, exist_ok=True)
            open_ones = [each for each in note.parent.iterdir() if not self._is_forgotten(each, now)]
            if note not in open_ones and len(open_ones) >= self._most:
                raise TooManyRequests(
                    f"'{caller}' has {len(open_ones)} uploads open, the most there may be. Finish or delete one before "
                    f"the next; the operator can allow more with CLIPSEEK_OPEN_UPLOADS."
                )
            note.touch()
            os.utime(note, (now, now))

    def done(self, caller: str, upload: Upload) -> bool:
        """Note that an upload is complete or given up. Returns: whether it was open."""
        with self._locks[caller]:
            try:
                self._note(caller, upload).unlink()
            except FileNotFoundError:
                return False
            return True

    def _note(self, caller: str, upload: Upload) -> Path:
        return self._folder / _digest(caller) / _digest("/".join(upload))

    def _is_forgotten(self, note: Path, now: float) -> bool:
        old = note.stat().st_mtime < now - FORGOTTEN_SECONDS
        if old:
            note.unlink()
        return old


def _digest(text: str) -> str:
    """A name for a file: callers say what they like."""
    return hashlib.sha256(text.encode()).hexdigest()
