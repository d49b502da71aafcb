"""The patch of Streamlit: it is still needed, and it writes a large upload to disk."""

import asyncio
import errno

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


def serve(use):
    """Start the patched handler, and use it. Returns: the contents of the files that Streamlit got."""
    files = MemoryUploadedFileManager("/upload")
    options = {"file_mgr": files, "is_active_session": lambda session: session == "mine"}
    handler = (r"/upload/(?P<session_id>[^/]+)/(?P<file_id>[^/]+)", quirks.SpoolingUploadHandler, options)

    async def run():
        listening = tornado.web.Application([handler]).listen(0, "127.0.0.1")
        [socket] = listening._sockets.values()
        try:
            await use(socket.getsockname()[1])
        finally:
            listening.stop()

    asyncio.run(run())
    return [file.data for file in files.get_files("mine", ["1"])]


def upload(body, until=lambda: True, session="mine"):
    """Send a body, and wait. Returns: (HTTP status, contents of the files that Streamlit got)."""
    status = []

    async def send(port):
        response = await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{port}/upload/{session}/1",
            method="PUT",
            body=body,
            headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
            raise_error=False,
        )
        status.append(response.code)
        async with asyncio.timeout(60):
            while not until():
                await asyncio.sleep(0.01)

    files = serve(send)
    return status[0], files


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


def test_an_upload_over_the_limit_of_the_store_leaves_no_file(monkeypatch, queue, caplog):
    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", 1000)
    monkeypatch.setenv("CLIPSEEK_HOME", str(queue))
    monkeypatch.setenv("CLIPSEEK_MAX_STORE_GB", "1e-6")
    assert upload(BODY) == (507, []) and not list(queue.iterdir())
    assert "CLIPSEEK_MAX_STORE_GB" in caplog.text


@pytest.mark.parametrize("step", ["feed", "finish"])
def test_a_disk_that_fills_up_refuses_the_upload_and_leaves_no_file(monkeypatch, queue, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", 1000)
    monkeypatch.setattr(quirks.UploadBody, step, full)
    assert upload(BODY) == (507, []) and not list(queue.iterdir())


def test_an_upload_that_no_page_takes_is_deleted(monkeypatch, queue):
    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", 1000)
    monkeypatch.setenv("CLIPSEEK_UPLOAD_IDLE_SECONDS", "0.05")
    status, [ticket] = upload(BODY, until=lambda: not list(queue.iterdir()))
    assert status == 204 and SPOOL.take(ticket) is None


@pytest.mark.parametrize("spool_from_bytes", [1000, 1_000_000])
def test_an_upload_whose_browser_sends_nothing_more_is_deleted_and_its_connection_closed(
    monkeypatch, queue, spool_from_bytes
):
    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", spool_from_bytes)
    monkeypatch.setenv("CLIPSEEK_UPLOAD_IDLE_SECONDS", "0.05")

    async def send_half(port):
        reader, writer = await begin(port)
        assert await asyncio.wait_for(reader.read(), 60) == b""  # closed without an answer
        writer.close()

    assert serve(send_half) == [] and not list(queue.iterdir())
    assert quirks.SpoolingUploadHandler.all_held_bytes == 0


async def begin(port):
    """Send the first half of an upload."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"PUT /upload/mine/1 HTTP/1.1\r\nHost: page\r\nContent-Length: {len(BODY)}\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode())
    writer.write(BODY[: len(BODY) // 2])
    return reader, writer


def test_small_uploads_that_do_not_end_take_a_bounded_part_of_the_memory(monkeypatch, queue):
    monkeypatch.setattr(quirks, "MOST_HELD_BYTES", 3 * len(BODY))
    held = quirks.SpoolingUploadHandler

    async def begin_four(port):
        connections = [await begin(port) for _ in range(3)]
        async with asyncio.timeout(60):
            while held.all_held_bytes < 3 * len(BODY):
                await asyncio.sleep(0.01)
            reader, writer = await begin(port)
            assert b" 503 " in await reader.readline()
            for _, other in [*connections, (reader, writer)]:
                other.close()
            while held.all_held_bytes:
                await asyncio.sleep(0.01)

    assert serve(begin_four) == []
    assert upload(BODY) == (204, [VIDEO]) and held.all_held_bytes == 0


def test_an_upload_without_a_visitor_or_a_file_leaves_no_file(monkeypatch, queue):
    monkeypatch.setattr(quirks, "SPOOL_FROM_BYTES", 1000)
    begin, begun = SPOOL.begin, []
    monkeypatch.setattr(SPOOL, "begin", lambda *args: begun.append(args) or begin(*args))
    assert upload(BODY, session="nobodys") == (403, []) and not begun
    assert upload(BODY.replace(b'; filename="a.mp4"', b"")) == (400, []) and begun
    assert not list(queue.iterdir())


def test_an_upload_that_does_not_say_its_length_is_refused_before_its_body_is_held_in_memory(queue):
    async def send_chunked(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /upload/mine/1 HTTP/1.1\r\nHost: page\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b" 411 " in await asyncio.wait_for(reader.readline(), 60)
        writer.close()

    assert serve(send_chunked) == []
