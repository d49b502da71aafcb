"""grpcio 1.85: a message that cannot be read ends its call as an error of the server, with a traceback in the log.

So our servers take the bytes, and read them themselves: its sender learns what is wrong.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError

from clipseek.api.errors import InvalidRequest

T = TypeVar("T")

DAMAGED = "The request is damaged. Send it again."
Behaviour = Callable[[AsyncIterator[Any], Any], AsyncGenerator[Any, None]]  # of a call: its requests and its context


def read_message(read: Callable[[], T]) -> T:
    """Read what a caller sent. Raises: InvalidRequest: it is no message of its kind."""
    try:
        return read()
    except DecodeError as error:
        raise InvalidRequest(DAMAGED) from error


def as_stream(handler: Any) -> Behaviour:
    """How a handler answers, as a stream: gRPC hands a call over before it has read a request, so empty ones count."""

    async def answer(requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        async for request in requests:
            yield await handler.unary_unary(request, context)
            return

    return handler.stream_stream or answer


def refuse_damaged(handler: Any) -> Any:
    """The same handler for bytes: a message that it cannot read ends the call with INVALID_ARGUMENT."""

    async def guarded(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        async def readable() -> AsyncIterator[Any]:
            async for data in messages:
                yield read_message(partial(handler.request_deserializer, data))

        try:
            async for answer in as_stream(handler)(readable(), context):
                yield answer
        except InvalidRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    return grpc.stream_stream_rpc_method_handler(guarded, None, handler.response_serializer)
