"""Large uploads on disk instead of in memory, on their way from the browser to the server of videos.

Streamlit's own handler holds an upload in memory several times over (300 MB grew the process by 1.4 GB). `uploads.py`
writes large ones to a temporary file and hands Streamlit a ticket in their place; here the ticket is given back for
the file.
"""

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MOST_TICKET_BYTES = 32  # what is longer is no ticket
_KEPT_SECONDS = 3600.0  # of a file that no page asked for, because its tab was closed at that moment
_MOST_HEAD_BYTES = 64 * 1024
_TAIL_BYTES = 256


class Spool:
    """Files that wait for the page to take them. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[bytes, tuple[float, Path]] = {}
        self._lock = threading.Lock()

    def put(self, file: Path) -> bytes:
        """Keep a file; returns the ticket, which nobody can guess."""
        ticket = secrets.token_bytes(MOST_TICKET_BYTES)
        with self._lock:
            now = self._clock()
            for old in [key for key, (since, _) in self._files.items() if now - since > _KEPT_SECONDS]:
                self._files.pop(old)[1].unlink(missing_ok=True)
            self._files[ticket] = (now, file)
        return ticket

    def take(self, content: bytes) -> Path | None:
        """The file that belongs to a ticket, once; None where the content is no ticket but the upload itself."""
        with self._lock:
            found = self._files.pop(content, None)
        return found[1] if found else None


SPOOL = Spool()


class OnePart:
    """The one file of a multipart body, written to `file` as the body arrives in pieces.

    `head` is what precedes the file: the boundary and the part's own headers.
    """

    def __init__(self, boundary: bytes, file: BinaryIO) -> None:
        self.end = b"\r\n--" + boundary + b"--\r\n"
        self.head = b""
        self._begun = False
        self._file = file

    def feed(self, piece: bytes) -> None:
        """Take the next piece. Raises: ValueError: the headers do not end."""
        if not self._begun:
            head, blank_line, piece = (self.head + piece).partition(b"\r\n\r\n")
            self.head, self._begun = head + blank_line, bool(blank_line)
            if not self._begun and len(self.head) > _MOST_HEAD_BYTES:
                raise ValueError("a multipart body whose first headers do not end")
        self._file.write(piece)

    def finish(self) -> None:
        """Cut the boundary off the file's end. Raises: ValueError: it is not there, so the body is not whole."""
        size = self._file.seek(0, 2)
        start = max(size - _TAIL_BYTES, 0)
        self._file.seek(start)
        place = self._file.read().rfind(self.end.rstrip())
        if place < 0:
            raise ValueError("a multipart body without its end")
        self._file.truncate(start + place)
