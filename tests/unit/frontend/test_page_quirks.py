"""The patch of Streamlit: it is still needed, and it writes a large upload to disk."""

import asyncio

import pytest
import tornado.web
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.server import server
from streamlit.web.server.upload_file_request_handler import UploadFileRequestHandler
from tornado.httpclient import AsyncHTTPClient

from frontend.uploads import quirks
from frontend.uploads.quirks import SPOOL, TICKET_BYTES

BOUNDARY = "xyz"
VIDEO = b"a video \r\n--xy" * 1000
HEAD = b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
BODY = HEAD + VIDEO + b"\r\n--xyz--\r\n"


def test_streamlit_still_holds_uploads_in_memory():
    """Once this fails, Streamlit streams uploads itself or has another handler: delete quirks.py."""
    assert server.UploadFileRequestHandler in (UploadFileRequestHandler, quirks.SpoolingUploadHandler)
    assert not UploadFileRequestHandler._stream_request_body


def upload(body):
    """Send a body to the patched handler. Returns: (HTTP status, contents of the files that Streamlit got)."""
    files = MemoryUploadedFileManager("/upload")
    options = {"file_mgr": files, "is_active_session": lambda session: session == "mine"}
    handler = (r"/upload/(?P<session_id>[^/]+)/(?P<file_id>[^/]+)", quirks.SpoolingUploadHandler, options)

    async def send():
        listening = tornado.web.Application([handler]).listen(0, "127.0.0.1")
        [socket] = listening._sockets.values()
        try:
            response = await AsyncHTTPClient().fetch(
                f"http://127.0.0.1:{socket.getsockname()[1]}/upload/mine/1",
                method="PUT",
                body=body,
                headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
                raise_error=False,
            )
        finally:
            listening.stop()
        return response.code

    status = asyncio.run(send())
    return status, [file.data for file in files.get_files("mine", ["1"])]


@pytest.fixture
def queue(monkeypatch, tmp_path):
    monkeypatch.setattr(quirks, "page_folder", lambda: tmp_path)
    (tmp_path / "queue").mkdir()
    return tmp_path / "queue"


def test_a_large_upload_becomes_a_file_and_a_small_one_stays_in_memory(monkeypatch, queue):
    assert upload(BODY) == (204, [VIDEO]) and not list(queue.iterdir())
    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", 1000)
    status, [ticket] = upload(BODY)
    assert status == 204 and len(ticket) == TICKET_BYTES
    assert SPOOL.take(ticket).read_bytes() == VIDEO


def test_an_upload_the_disk_cannot_hold_or_that_is_incomplete_leaves_no_file(monkeypatch, queue):
    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", 1000)
    status, files = upload(HEAD + VIDEO)  # without the last boundary
    assert (status, files, list(queue.iterdir())) == (500, [], [])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 999}))
    assert upload(BODY) == (507, []) and not list(queue.iterdir())
