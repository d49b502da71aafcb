"""Streamlit's upload handler, made to write large files to disk as they arrive; see `spool.py`."""

import re
import secrets
import shutil
from http import HTTPStatus

import tornado.web
from streamlit.web.server import server
from streamlit.web.server.upload_file_request_handler import UploadFileRequestHandler

from frontend.media.page_folder import page_folder
from frontend.uploads.spool import SPOOL, OnePart

# Smaller uploads go Streamlit's way; images to search with are among them (32 MB at most).
SPOOLED_FROM_BYTES = 64 * 1024 * 1024


@tornado.web.stream_request_body
class SpoolingUploadHandler(UploadFileRequestHandler):
    """Takes a large upload piece by piece, and gives Streamlit a body that holds its ticket."""

    def prepare(self) -> None:
        self._pieces: list[bytes] = []
        self._part: OnePart | None = None
        length = int(self.request.headers.get("Content-Length", 0))
        boundary = re.search(r'boundary="?([^";]+)', self.request.headers.get("Content-Type", ""))
        if self.request.method == "PUT" and length >= SPOOLED_FROM_BYTES and boundary:
            folder = page_folder() / "queue"
            if length > shutil.disk_usage(folder).free:
                raise tornado.web.HTTPError(HTTPStatus.INSUFFICIENT_STORAGE)
            self._path = folder / f"{secrets.token_hex(16)}.part"
            self._file = self._path.open("w+b")
            self._part = OnePart(boundary[1].encode("latin-1"), self._file)

    def data_received(self, chunk: bytes) -> None:
        if self._part:
            self._part.feed(chunk)
        else:
            self._pieces.append(chunk)

    def put(self, **kwargs: str) -> None:
        if self._part:
            self._part.finish()
            self._file.close()
            self._pieces = [self._part.head, SPOOL.put(self._path), self._part.end]
        self.request.body = b"".join(self._pieces)
        super().put(**kwargs)

    def on_connection_close(self) -> None:
        self._drop()

    def on_finish(self) -> None:
        self._drop()

    def _drop(self) -> None:
        """Delete what has arrived of an upload that did not come to its end."""
        if self._part and not self._file.closed:
            self._file.close()
            self._path.unlink()


def install() -> None:
    """Use this handler in the server that Streamlit starts next in this process."""
    server.UploadFileRequestHandler = SpoolingUploadHandler  # type: ignore[attr-defined]
