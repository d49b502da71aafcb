"""The gRPC server that replaces VCED's for its programs. It listens on this machine only."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, Self

import grpc

from clipseek.api.errors import AccessDenied, ClipSeekError, InvalidRequest, NotFound, PathNotAllowed, ServerError
from clipseek.vced import messages
from clipseek.vced.requests import Vced

logger = logging.getLogger(__name__)

BIND = "127.0.0.1"  # VCED's programs send no token, so anyone who reaches this can use what its own token opens
_AT_ONCE = 8  # requests that are answered at the same time; a search is short, a video takes long
_STOP_SECONDS = 5.0
_CODES = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    PathNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    AccessDenied: grpc.StatusCode.PERMISSION_DENIED,
    ServerError: grpc.StatusCode.UNAVAILABLE,
    ClipSeekError: grpc.StatusCode.FAILED_PRECONDITION,
}
_MOST_CHARACTERS = 1000  # of an error message, which is sent in a header


class CompatServer:
    """Serves `vced` on `port` of this machine inside the context."""

    def __init__(self, vced: Vced, port: int) -> None:
        self._vced = vced
        self._server = grpc.server(
            ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vced"),
            options=[("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=4 * _AT_ONCE,
        )
        call = grpc.stream_stream_rpc_method_handler(self._answer_all)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(messages.SERVICE, {messages.METHOD: call}),)
        )
        self._server.add_insecure_port(f"{BIND}:{port}")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(_STOP_SECONDS).wait()

    def _answer_all(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            try:
                answer = self._vced.answer(request, context.is_active)
            except ClipSeekError as error:
                logger.warning("refused: %s: %s", type(error).__name__, error)
                _refuse(error, context)
            except Exception as error:
                logger.exception("a request failed")
                _refuse(error, context)
            yield answer


def _refuse(error: Exception, context: Any) -> NoReturn:
    """End the call with the error. Jina 3.4's client raises that; it ignores an error inside an answer."""
    codes = [code for kind, code in _CODES.items() if isinstance(error, kind)]
    context.abort(
        codes[0] if codes else grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:_MOST_CHARACTERS]
    )
    raise AssertionError("abort raises")
