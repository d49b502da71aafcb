"""Patches of Streamlit.

Streamlit 1.56: its upload handler holds the whole body in memory several times over; 300 MB grew the process by 1.4 GB.
Ours writes large uploads to disk as they arrive. `tests/unit/frontend/test_quirks.py` fails once Streamlit streams
uploads itself; delete this module and `spool.py` then.
"""

import re
import secrets
import shutil
from http import HTTPStatus

import tornado.web
from streamlit.web.server import server
from streamlit.web.server.upload_file_request_handler import UploadFileRequestHandler

from frontend.media.page_folder import page_folder
from frontend.uploads.spool import SPOOL, UploadBody

# Smaller uploads take Streamlit's own way. So do images to search with, which have at most 32 MB.
SPOOL_FROM_BYTES = 64 * 1024 * 1024


@tornado.web.stream_request_body
class SpoolingUploadHandler(UploadFileRequestHandler):
    """Writes a large upload to disk piece by piece, and gives Streamlit a body that holds its ticket."""

    def prepare(self) -> None:
        self._pieces: list[bytes] = []
        self._body: UploadBody | None = None
        length = int(self.request.headers.get("Content-Length", 0))
        boundary = re.search(r'boundary="?([^";]+)', self.request.headers.get("Content-Type", ""))
        if self.request.method == "PUT" and length >= SPOOL_FROM_BYTES and boundary:
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
