"""A patch of Streamlit: its server hands each request to the page's own check first.

Streamlit 1.56 answers to every Host, so a foreign name that leads to this machine reads the page (DNS rebinding). It
checks the Origin of its WebSocket only, and there accepts every port of this machine. For any other name it asks a
server on the internet for this machine's address. Its `server.maxUploadSize` bounds the bodies of all requests, which
Tornado reads into memory. `tests/frontend/test_foreign_requests.py` fails once Streamlit has a check of its own.
"""

from typing import Any

import tornado.web
from streamlit import config
from streamlit.web.server import server
from tornado.httputil import HTTPServerRequest

from frontend.server.request_check import RequestCheck

_start_listening = server.start_listening


@tornado.web.stream_request_body  # else Tornado would read a whole body into memory before it answers
class _Refusal(tornado.web.RequestHandler):
    def initialize(self, why: str) -> None:
        self._why = why

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Connection", "close")  # the rest of a body is not worth reading
        self.finish(f"{self._why}\n")

    def data_received(self, chunk: bytes) -> None:
        """Nothing is kept."""


class CheckedApplication(tornado.web.Application):
    """Streamlit's application behind the check, for every address that it has or will have."""

    def __init__(self, application: tornado.web.Application, check: RequestCheck) -> None:
        super().__init__()
        self._application, self._check = application, check

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        base = str(config.get_option("server.baseUrlPath")).strip("/")
        path = request.path.removeprefix(f"/{base}") if base else request.path
        why = self._check.refusal(request.method or "", path, request.headers)
        if why:
            return self.get_handler_delegate(request, _Refusal, {"why": why})
        return self._application.find_handler(request, **options)


def install(check: RequestCheck) -> None:
    """Check the requests to the server that Streamlit starts next in this process."""

    def start_listening(app: tornado.web.Application) -> None:
        _start_listening(CheckedApplication(app, check))

    server.start_listening = start_listening
