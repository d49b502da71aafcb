"""Patches of Streamlit, and the files that they hand over.

Streamlit 1.56: its upload handler holds the whole body in memory several times over; 300 MB grew the process by 1.4 GB.
Ours writes large uploads to disk as they arrive, and gives Streamlit a ticket in place of the content. The page
exchanges the ticket for the file. `tests/unit/frontend/test_page_quirks.py` fails once Streamlit streams uploads
itself; delete this module then.
"""

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import tornado.web
from streamlit.web.server import server
from streamlit.web.server.upload_file_request_handler import UploadFileRequestHandler

from frontend.media.page_folder import page_folder

# Smaller uploads take Streamlit's own way. So do images to search with, which have at most 32 MB.
SPOOL_FROM_BYTES = 64 * 1024 * 1024
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


@tornado.web.stream_request_body
class SpoolingUploadHandler(UploadFileRequestHandler):
    """Writes a large upload to disk piece by piece, and gives Streamlit a body that holds its ticket."""

    _body: UploadBody | None = None

    def prepare(self) -> None:
        """Refuse what belongs to no open tab before its body arrives."""
        self._pieces: list[bytes] = []
        if self.request.method == "OPTIONS":
            return
        if not self._is_active_session(self.path_kwargs["session_id"]):
            raise tornado.web.HTTPError(HTTPStatus.FORBIDDEN, reason="No open tab of the page has this session")
        if self.request.method != "PUT":
            return
        if "Content-Length" not in self.request.headers:  # it could be too long for the memory
            raise tornado.web.HTTPError(HTTPStatus.LENGTH_REQUIRED)
        length = int(self.request.headers["Content-Length"])
        boundary = re.search(r'boundary="?([^";]+)', self.request.headers.get("Content-Type", ""))
        if not boundary:
            raise tornado.web.HTTPError(HTTPStatus.BAD_REQUEST, reason="The upload is no form")
        if length >= SPOOL_FROM_BYTES:
            folder = page_folder() / "queue"
            if length > shutil.disk_usage(folder).free:
                raise tornado.web.HTTPError(HTTPStatus.INSUFFICIENT_STORAGE)
            self._path = folder / f"{secrets.token_hex(16)}.part"
            self._file = self._path.open("w+b")
            self._body = UploadBody(boundary[1].encode("latin-1"), self._file)

    def data_received(self, chunk: bytes) -> None:
        if self._body:
            self._body.feed(chunk)
        else:
            self._pieces.append(chunk)

    def put(self, **kwargs: str) -> None:
        if self._body:
            self._body.finish()
            self._file.close()
            self._pieces = [self._body.head, SPOOL.put(self._path), self._body.end]
        self.request.body = b"".join(self._pieces)
        super().put(**kwargs)

    def on_connection_close(self) -> None:
        self._delete_incomplete()

    def on_finish(self) -> None:
        self._delete_incomplete()

    def _delete_incomplete(self) -> None:
        """Delete the file of an upload that did not arrive completely."""
        if self._body and not self._file.closed:
            self._file.close()
            self._path.unlink()


def install() -> None:
    """Use this handler in the server that Streamlit starts next in this process."""
    server.UploadFileRequestHandler = SpoolingUploadHandler  # type: ignore[attr-defined]
