"""Patches of Streamlit, and the files that they hand over.

Streamlit 1.56: its upload handler holds the whole body in memory several times over; 300 MB grew the process by 1.4 GB.
Ours writes large uploads to disk as they arrive, and gives Streamlit a ticket in place of the content. The page
exchanges the ticket for the file. `tests/unit/frontend/test_page_quirks.py` fails once Streamlit streams uploads
itself; delete this module then.
"""

import contextlib
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import tornado.web
from streamlit.web.server import server
from streamlit.web.server.upload_file_request_handler import UploadFileRequestHandler
from tornado.ioloop import IOLoop

from clipseek.api.errors import LimitExceeded, StoreFull
from clipseek.config.settings import Settings
from clipseek.machine.store_size import PART_SUFFIX
from frontend.media.page_folder import page_folder
from frontend.uploads.room import check_room

logger = logging.getLogger(__name__)

# Smaller uploads take Streamlit's own way. So do images to search with, which have at most 32 MB.
SPOOL_FROM_BYTES = 64 * 1024 * 1024
MOST_HELD_BYTES = 8 * SPOOL_FROM_BYTES  # of smaller ones that arrive at the same time
TICKET_BYTES = 32
_MAX_HEAD_BYTES = 64 * 1024
_TAIL_BYTES = 256


class Spool:
    """Files that arrive from browsers, and those that wait for the page. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._arriving: dict[Path, int] = {}  # with their sizes once they are whole
        self._files: dict[bytes, tuple[float, Path]] = {}
        self._lock = threading.Lock()

    def begin(self, folder: Path, size_bytes: int, settings: Settings) -> Path:
        """A new file for an upload that will have this size. Raises: LimitExceeded, StoreFull: see `check_room`."""
        file = folder / f"{secrets.token_hex(16)}{PART_SUFFIX}"
        with self._lock:
            arriving = sum(whole - other.stat().st_size for other, whole in self._arriving.items() if other.exists())
            check_room(folder, size_bytes, settings, arriving)
            file.touch()
            self._arriving[file] = size_bytes
        return file

    def put(self, file: Path) -> bytes:
        """Add a file that has arrived. Returns: its ticket, which nobody can guess."""
        ticket = secrets.token_bytes(TICKET_BYTES)
        with self._lock:
            self._arriving.pop(file, None)
            self._files[ticket] = (self._clock(), file)
        return ticket

    def drop(self, file: Path) -> None:
        """Delete a file that did not arrive."""
        with self._lock:
            self._arriving.pop(file, None)
            file.unlink(missing_ok=True)

    def drop_old(self, idle_seconds: float) -> None:
        """Delete the files that no page took for so long, because its tab was closed."""
        with self._lock:
            now = self._clock()
            for old in [key for key, (since, _) in self._files.items() if now - since >= idle_seconds]:
                self._files.pop(old)[1].unlink(missing_ok=True)

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

    all_held_bytes = 0  # what all small uploads under way may take of the memory
    _held_bytes = 0
    _body: UploadBody | None = None
    _has_ended = False

    def prepare(self) -> None:
        """Refuse what belongs to no open tab, and what there is no room for, before its body arrives."""
        self._pieces: list[bytes] = []
        self._idle_seconds = (settings := Settings.from_env()).upload_idle_seconds
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
            with _refusing():
                self._path = SPOOL.begin(page_folder() / "queue", length, settings)
                self._file = self._path.open("w+b")
            self._body = UploadBody(boundary[1].encode("latin-1"), self._file)
        else:
            self._hold(length)
        self._arrived_at = time.monotonic()
        self._end_if_idle()

    def _hold(self, length: int) -> None:
        if SpoolingUploadHandler.all_held_bytes + length > MOST_HELD_BYTES:
            raise tornado.web.HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, reason="Too many uploads at once. Try again")
        self._held_bytes = length
        SpoolingUploadHandler.all_held_bytes += length

    def data_received(self, chunk: bytes) -> None:
        self._arrived_at = time.monotonic()
        if not self._body:
            self._pieces.append(chunk)
        elif not self._file.closed:  # else the disk was full, as the answer says
            try:
                self._body.feed(chunk)
            except OSError as error:
                logger.warning("The page cannot store an upload in %s (%s).", self._path.parent, error.strerror)
                self._delete_incomplete()

    def put(self, **kwargs: str) -> None:
        if self._body:
            if self._file.closed:
                raise tornado.web.HTTPError(HTTPStatus.INSUFFICIENT_STORAGE)
            with _refusing():
                self._body.finish()
                self._file.close()
            ticket = SPOOL.put(self._path)
            self._pieces = [self._body.head, ticket, self._body.end]
            IOLoop.current().call_later(self._idle_seconds, SPOOL.drop_old, self._idle_seconds)
        self.request.body = b"".join(self._pieces)
        super().put(**kwargs)
        if self._body and self.get_status() >= HTTPStatus.BAD_REQUEST and SPOOL.take(ticket):
            self._path.unlink()

    def on_connection_close(self) -> None:
        self._end()

    def on_finish(self) -> None:
        self._end()

    def _end(self) -> None:
        self._has_ended = True
        self._delete_incomplete()
        self._pieces.clear()  # Tornado keeps the handler of a request that was broken off
        SpoolingUploadHandler.all_held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _delete_incomplete(self) -> None:
        """Delete the file of an upload that did not arrive completely."""
        if self._body and not self._file.closed:
            with contextlib.suppress(OSError):  # the last bytes do not fit on a full disk
                self._file.close()
            SPOOL.drop(self._path)

    def _end_if_idle(self) -> None:
        """Close the connection of a browser that sends nothing more, and look again until then."""
        if self._has_ended or (self._body and self._file.closed):
            return
        left_seconds = self._arrived_at + self._idle_seconds - time.monotonic()
        if left_seconds > 0:
            IOLoop.current().call_later(left_seconds, self._end_if_idle)
        else:
            logger.info("an upload from a browser got no byte for %.0f s and was deleted", self._idle_seconds)
            self.request.connection.stream.close()  # type: ignore[union-attr]


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Answer an upload that does not fit with 507. The log says why: Streamlit shows nothing but the code."""
    try:
        yield
    except (LimitExceeded, StoreFull, OSError) as error:
        logger.warning("The page refused an upload. %s", error)
        raise tornado.web.HTTPError(HTTPStatus.INSUFFICIENT_STORAGE) from error


def install() -> None:
    """Use this handler in the server that Streamlit starts next in this process."""
    server.UploadFileRequestHandler = SpoolingUploadHandler  # type: ignore[attr-defined]
