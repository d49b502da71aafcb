"""What the page's server refuses: names and sites that are not its own, bodies and uploads without a session."""

import asyncio
import http.client
import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from clipseek.machine.ports import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
UPLOAD = "/_stcore/upload_file/{session}/1"
FORM = {"Content-Type": "multipart/form-data; boundary=xyz"}
BODY = (
    b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    b"a video\r\n--xyz--\r\n"
)
PATHS = ("/", "/library", "/media/abc.mp4", "/_stcore/health", UPLOAD.format(session="x"), "//evil", "/static/x.js")
FOREIGN = ("evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "192.0.2.7", "[::2]", "127.0.0.1@evil", "")


@contextmanager
def served(*command, **environ):
    """The port of a web server that a command starts."""
    number = free_port("127.0.0.1")
    arguments = [argument.format(port=number) for argument in command]
    page = subprocess.Popen(
        [sys.executable, "-m", *arguments], env={**os.environ, **environ}, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(number):
            assert page.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield number
    finally:
        page.terminate()
        page.wait()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of a page that also answers to videos.example, whatever Streamlit's own settings say."""
    environ = {
        "CLIPSEEK_HOME": str(tmp_path_factory.mktemp("home")),
        "CLIPSEEK_PAGE_HOSTS": "videos.example",
        "STREAMLIT_SERVER_ENABLE_CORS": "false",
        "STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false",
        "STREAMLIT_SERVER_USE_STARLETTE": "true",
    }
    with served("frontend", "--address", "127.0.0.1", "--port", "{port}", **environ) as number:
        yield number


def test_streamlit_still_answers_to_foreign_names_and_sites(tmp_path):
    """Once this fails, Streamlit has a check of its own: see whether it replaces frontend/server."""
    (tmp_path / "app.py").touch()
    options = ("--server.address=127.0.0.1", "--server.port={port}", "--server.headless=true")
    with served("streamlit", "run", str(tmp_path / "app.py"), *options) as number:
        assert ask(number, "/_stcore/health", Host="evil.example")[0] == 200
        assert ask(number, "/", Host=f"127.0.0.1:{number}", Origin="http://evil.example")[0] == 200
        assert asyncio.run(session(number, Host=f"127.0.0.1:{number}", Origin="http://localhost:9"))[0]


def answers(port):
    try:
        return ask(port, "/_stcore/health")[0] == 200
    except OSError:
        return False


def ask(port, path, method="GET", body=None, **headers):
    """Returns: (status, text, headers of the answer). The header names have `_` for `-`."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), answer.headers


def own(port):
    return {"Host": f"127.0.0.1:{port}", "Origin": f"http://127.0.0.1:{port}"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_name_is_refused_at_every_address(port, path, name):
    status, text, headers = ask(port, path, Host=name.format(port=port))
    if "@" in name:  # Tornado itself refuses what is no host
        assert status == 400
        return
    assert status == 403 and "CLIPSEEK_PAGE_HOSTS" in text
    assert headers["Content-Type"].startswith("text/plain") and headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "127.0.0.1:{port}", "localhost:9", "LOCALHOST", "[::1]:{port}", "127.9.9.9"]
)
def test_names_of_this_machine_and_allowed_ones_are_answered(port, name):
    assert ask(port, "/_stcore/health", Host=name.format(port=port))[0] == 200
    assert ask(port, "/_stcore/health", Host="Videos.Example.:443")[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9", "http://localhost:{port}", "http://192.0.2.7", "null", "x"]
)
def test_other_sites_are_refused(port, origin):
    origin = origin.format(port=port)
    for path in PATHS:
        status, text, _ = ask(port, path, Host=f"127.0.0.1:{port}", Origin=origin)
        assert status == 403 and "another site" in text
    with pytest.raises(HTTPClientError) as refused:
        asyncio.run(session(port, Host=f"127.0.0.1:{port}", Origin=origin))
    assert refused.value.code == 403


def test_other_sites_may_link_to_the_page_but_not_embed_it(port):
    def fetched(site, mode, dest):
        sent = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
        return ask(port, "/", Host=f"127.0.0.1:{port}", **sent)[0]

    assert fetched("cross-site", "navigate", "document") == 200 and fetched("none", "navigate", "document") == 200
    assert fetched("same-origin", "no-cors", "image") == 200
    assert fetched("cross-site", "navigate", "iframe") == 403
    assert fetched("same-site", "no-cors", "video") == 403


def test_the_page_talks_to_its_own_site(port):
    for headers in (own(port), {"Host": f"127.0.0.1:{port}", "Origin": "https://videos.example"}):
        assert asyncio.run(session(port, **headers))[0]
    assert asyncio.run(session(port, Host="videos.example", Origin="https://videos.example"))[0]


async def session(port, upload=None, **headers):
    """Open a session as a browser does. Returns: (its id, its cookie, the status of an upload into it)."""
    request = HTTPRequest(f"ws://127.0.0.1:{port}/_stcore/stream", headers=headers)
    connection = await websocket_connect(request, subprotocols=["streamlit"], max_message_size=2**28)
    await connection.write_message(BackMsg(rerun_script={}).SerializeToString(), binary=True)
    while True:
        message = ForwardMsg.FromString(await connection.read_message())
        if message.WhichOneof("type") == "new_session":
            break
    name = message.new_session.initialize.session_id
    cookie = connection.headers["Set-Cookie"].partition(";")[0]
    status = upload and await asyncio.to_thread(upload, name, cookie)
    connection.close()
    while await connection.read_message() is not None:
        """Until the other side has closed it, too."""
    return name, cookie, status


def test_an_upload_needs_a_session_and_its_token(port):
    def put(name, cookie, **headers):
        sent = own(port) | FORM | {"Cookie": cookie, "X-Xsrftoken": cookie.partition("=")[2]} | headers
        return ask(port, UPLOAD.format(session=name), "PUT", BODY, **sent)[:2]

    def attempts(name, cookie):
        return put(name, cookie), put("another", cookie), put(name, cookie, X_Xsrftoken="2|x"), put(name, "")

    _, _, (mine, others, wrong, without) = asyncio.run(session(port, attempts, **own(port)))
    assert mine[0] == 204 and others[0] == 403 and "session" in others[1]
    assert wrong[0] == 403 and without[0] == 403


def begin(port, method, path, **headers):
    """Send a request up to its body, which never comes. Returns: the status that is answered all the same."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_an_upload_without_a_session_is_refused_before_its_body_arrives(port, method):
    token = {"X_Xsrftoken": "a", "Cookie": "_streamlit_xsrf=a"}
    path = UPLOAD.format(session="nobody")
    assert begin(port, method, path, Content_Length=str(10**9), **own(port), **FORM, **token) == 403


def test_an_upload_says_how_long_it_is_and_has_a_form(port):
    def attempts(name, cookie):
        sent = own(port) | {"Cookie": cookie, "X_Xsrftoken": cookie.partition("=")[2]}
        path = UPLOAD.format(session=name)
        yield begin(port, "PUT", path, **sent, **FORM, Transfer_Encoding="chunked")
        yield begin(port, "PUT", path, **sent, Content_Length=str(10**9))
        yield begin(port, "PUT", path, **sent, Content_Length="-1")

    def all_attempts(name, cookie):
        return list(attempts(name, cookie))

    assert asyncio.run(session(port, all_attempts, **own(port)))[2] == [411, 400, 400]


@pytest.mark.parametrize(
    "path", ["/", "/_stcore/health", "/_stcore/stream", "/media/a", "/_stcore/upload_file/", "/x/"]
)
@pytest.mark.parametrize("length", [{"Content_Length": "1000000000"}, {"Transfer_Encoding": "chunked"}], ids=str)
def test_only_uploads_have_a_body(port, path, length):
    assert begin(port, "POST", path, **length) == 403
    assert begin(port, "PUT", path, **length) == 403
