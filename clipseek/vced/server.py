"""The gRPC server that VCED's programs reach in the place of VCED's own. It listens to this machine only."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, NoReturn, Self

import grpc

from clipseek.api.errors import AccessDenied, ClipSeekError, InvalidRequest, NotFound, PathNotAllowed, ServerError
from clipseek.vced import messages
from clipseek.vced.requests import Vced

logger = logging.getLogger(__name__)

BIND = "127.0.0.1"  # VCED's programs send no token, so whoever reaches this has what its own token opens
_AT_ONCE = 8  # programs that wait for an answer; a search takes a moment, a video its time
_STOP_SECONDS = 5.0
_CODES = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    PathNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    AccessDenied: grpc.StatusCode.PERMISSION_DENIED,
    ServerError: grpc.StatusCode.UNAVAILABLE,
    ClipSeekError: grpc.StatusCode.FAILED_PRECONDITION,
}
_MOST_CHARACTERS = 1000  # of a message, which travels in a header


class CompatServer:
    """Serves `vced` on `port` of this machine between `with` and its end."""

    def __init__(self, vced: Vced, port: int) -> None:
        self._vced = vced
        self._server = grpc.server(
            ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vced"),
            options=[("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=4 * _AT_ONCE,
        )
        call = grpc.stream_stream_rpc_method_handler(self._answers)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(messages.SERVICE, {messages.METHOD: call}),)
        )
        self._server.add_insecure_port(f"{BIND}:{port}")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(_STOP_SECONDS).wait()

    def _answers(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            try:
                answer = self._vced.answer(request, context.is_active)
            except ClipSeekError as error:
                logger.warning("refused: %s: %s", type(error).__name__, error)
                refused: Exception = error
            except Exception as error:
                logger.exception("a request failed")
                refused = error
            else:
                yield answer
                continue
            _refuse(refused, context)


def _refuse(error: Exception, context: Any) -> NoReturn:
    """End the call with the error: Jina's client of that time raises it then, and passes over one within an answer."""
    codes = [code for kind, code in _CODES.items() if isinstance(error, kind)]
    context.abort(
        codes[0] if codes else grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:_MOST_CHARACTERS]
    )
    raise AssertionError("abort raises")
