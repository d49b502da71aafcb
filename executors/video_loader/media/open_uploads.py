"""Limits how many uploads a caller may have open at the same time.

An open upload is an empty file, as old as its last chunk. So replicas of the loader count together, and a restart
forgets nothing.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipseek.api.errors import ClipSeekError, TooManyRequests, UploadCorrupted
from executors.machine.disk import report_full_disk
from executors.machine.folder_cache import FolderLocks

Upload = tuple[str, str]  # library and video id


class OpenUploads:
    """The open uploads of each caller, at most `most`, noted in `folder`. Safe for threads and processes.

    An upload without a chunk for `idle_seconds` is no longer open. It may still go on.
    """

    def __init__(self, folder: Path, most: int, idle_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._most, self._idle_seconds, self._clock = folder, most, idle_seconds, clock
        self._locks = FolderLocks(folder)

    @contextmanager
    def receiving(self, caller: str, upload: Upload) -> Iterator[None]:
        """Receive a chunk of an upload. If the first one is refused, the upload is not open.

        Raises: TooManyRequests: it would be one upload too many.
        """
        is_new = self.begin(caller, upload)
        try:
            yield
        except ClipSeekError as error:
            if is_new or isinstance(error, UploadCorrupted):  # else chunks that came before are still on the disk
                self._note(caller, upload).unlink(missing_ok=True)
            raise

    def begin(self, caller: str, upload: Upload) -> bool:
        """Note that a chunk of an upload arrived. Returns: whether the upload was not open before.

        Raises: TooManyRequests: it would be one upload too many. StoreFull, StoreReadOnly.
        """
        note = self._note(caller, upload)
        with report_full_disk(self._folder, "the list of open uploads"), self._locks[caller]:
            note.parent.mkdir(parents=True, exist_ok=True)
            open_notes = self._forget_old(note.parent)
            if note not in open_notes and len(open_notes) >= self._most:
                raise TooManyRequests(
                    f"'{caller}' has {len(open_notes)} uploads open, which is the limit. Finish or delete one first; "
                    "the operator can allow more with CLIPSEEK_OPEN_UPLOADS."
                )
            note.touch()
            os.utime(note, (self._clock(), self._clock()))
            return note not in open_notes

    def end(self, caller: str, upload: Upload) -> bool:
        """Note that an upload is complete, for all who send it. Returns: whether this caller did."""
        if not self._note(caller, upload).exists():
            return False
        self.forget(upload)
        return True

    def forget(self, upload: Upload) -> None:
        """Note that an upload was deleted."""
        for note in self._folder.glob(f"*/{_hash('/'.join(upload))}"):
            note.unlink(missing_ok=True)

    def _note(self, caller: str, upload: Upload) -> Path:
        return self._folder / _hash(caller) / _hash("/".join(upload))

    def _forget_old(self, folder: Path) -> list[Path]:
        """Delete the notes of abandoned uploads. Returns: the others."""
        oldest, notes = self._clock() - self._idle_seconds, []
        for note in folder.iterdir():
            with suppress(FileNotFoundError):  # ended meanwhile
                if note.stat().st_mtime < oldest:
                    note.unlink()
                else:
                    notes.append(note)
        return notes


def _hash(text: str) -> str:
    """A safe file name: callers may send any text."""
    return hashlib.sha256(text.encode()).hexdigest()
