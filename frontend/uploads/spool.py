"""Hands large uploads from Streamlit's upload handler to the page, as files instead of in memory.

`quirks.py` writes a large upload to a file and gives Streamlit a ticket in place of the content. The page exchanges the
ticket for the file here.
"""

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TICKET_BYTES = 32
_MAX_AGE_SECONDS = 3600.0  # of a file that no page took because its tab was closed
_MAX_HEAD_BYTES = 64 * 1024
_TAIL_BYTES = 256


class Spool:
    """Files that wait for the page. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[bytes, tuple[float, Path]] = {}
        self._lock = threading.Lock()

    def put(self, file: Path) -> bytes:
        """Add a file, and delete those that waited too long. Returns: its ticket, which nobody can guess."""
        ticket = secrets.token_bytes(TICKET_BYTES)
        with self._lock:
            now = self._clock()
            for old in [key for key, (since, _) in self._files.items() if now - since > _MAX_AGE_SECONDS]:
                self._files.pop(old)[1].unlink(missing_ok=True)
            self._files[ticket] = (now, file)
        return ticket

    def take(self, content: bytes) -> Path | None:
        """The file of a ticket, which is then used up; None if the content is no ticket but the upload itself."""
        with self._lock:
            _, file = self._files.pop(content, (0.0, None))
        return file


SPOOL = Spool()


class UploadBody:
    """A multipart body with one file, which is written to `file` as the body arrives.

    `head` is what precedes the file: the boundary and the headers. `end` is the boundary that follows it.
    """

    def __init__(self, boundary: bytes, file: BinaryIO) -> None:
        self.end = b"\r\n--" + boundary + b"--\r\n"
        self.head = b""
        self._in_file = False
        self._file = file

    def feed(self, piece: bytes) -> None:
        """Add the next piece. Raises: ValueError: the headers do not end."""
        if not self._in_file:
            head, blank_line, piece = (self.head + piece).partition(b"\r\n\r\n")
            self.head, self._in_file = head + blank_line, bool(blank_line)
            if not self._in_file and len(self.head) > _MAX_HEAD_BYTES:
                raise ValueError("the headers of the upload do not end")
        self._file.write(piece)

    def finish(self) -> None:
        """Cut the boundary off the file. Raises: ValueError: there is none, so the body is incomplete."""
        size = self._file.seek(0, 2)
        start = max(size - _TAIL_BYTES, 0)
        self._file.seek(start)
        place = self._file.read().rfind(self.end.rstrip())
        if place < 0:
            raise ValueError("the upload is incomplete: its last boundary is missing")
        self._file.truncate(start + place)
