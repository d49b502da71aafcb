"""The gateway's door: each call of the gRPC server comes from a known caller, within its limits, or is refused.

Only the standard health service is open to all: by it the Flow and orchestrators see that the server is up. Neither it
nor a refusal reads what the caller sends, so strangers cost nothing that grows with their calls.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest

from clipseek.api.endpoints import Endpoint, endpoint_of
from clipseek.api.errors import ClipSeekError, InvalidRequest, LimitExceeded, TooManyRequests
from executors.flow.callers import signed
from executors.flow.gateway.doorkeeper import Doorkeeper
from executors.flow.gateway.rates import Rates
from executors.flow.gateway.request_size import MAX_FIELDS, RequestSize, measure_request
from executors.flow.metrics import Arrival
from executors.flow.quirks.own_port import abort_with
from executors.machine.fair_queue import FairQueue

logger = logging.getLogger(__name__)

HEALTH = "/grpc.health.v1.Health/"
CALL = "/jina.JinaRPC/Call"
SINGLE = "/jina.JinaSingleDataRequestRPC/process_single_data"
# Calls that inform a known caller: is the Flow up, which endpoints it has, which version it is.
INFO_METHODS = (
    "/jina.JinaGatewayDryRunRPC/dry_run",
    "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery",
    "/jina.JinaInfoRPC/_status",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
REFUSED = RequestSize(0, fields=MAX_FIELDS // 4)  # what a request weighs that is refused before it is parsed
SMALL_BYTES = 8192  # of a request that is measured in 10 ms at most
_UNREADABLE = object()
MOST_BYTES = 8 * 1024 * 1024  # of a request without images; the largest is a chunk of an upload


class DoorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Admits calls, signs their caller and route into the request, and strips internal data from the answer.

    Args:
        door: identifies the caller.
        rates: limits each caller.
        secret: the Flow's own, to sign with.
        refusal: turns an error into the answer from which Jina's clients raise it.
    """

    def __init__(self, door: Doorkeeper, rates: Rates, secret: str, refusal: Callable[[Exception], Any]) -> None:
        self._door, self._rates, self._secret, self._refusal = door, rates, secret, refusal
        self._reading = FairQueue(1, "requests")  # large ones, away from the event loop

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler and _health_without_reading(handler)
        if method not in (CALL, SINGLE, *INFO_METHODS):
            return abort_with(grpc.StatusCode.PERMISSION_DENIED, f"{method} is not offered here.")
        try:
            caller = self._door.caller(handler_call_details.invocation_metadata)
        except ClipSeekError as error:
            logger.info("%s refused: %s", method, error)
            if method in INFO_METHODS:
                return abort_with(grpc.StatusCode.UNAUTHENTICATED, str(error))
            return _answer_without_reading(self._refusal(error), handler.response_serializer)
        return grpc.stream_stream_rpc_method_handler(
            self._counted(caller.name, method, self._guard(method, handler)),
            _read_or_mark(handler.request_deserializer),
            handler.response_serializer,
        )

    def _guard(self, method: str, handler: Any) -> Any:
        """How a known caller's call is answered, as a stream."""
        if method == CALL:
            return self._stream(handler.stream_stream)
        if method == SINGLE:
            return _as_stream(self._single(handler.unary_unary))
        return self._informing(method, handler.stream_stream or _as_stream(handler.unary_unary))

    def _counted(self, caller: str, method: str, behaviour: Callable[[Any, Any], AsyncGenerator[Any, None]]) -> Any:
        """Refuse the call, unread, where its caller has too many open, and what else a call for information is."""

        async def counted(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            try:
                with self._rates.open_call(caller):
                    async with aclosing(behaviour(requests, context)) as answers:
                        async for answer in answers:
                            yield answer
            except ClipSeekError as error:
                logger.info("%s refused: %s", method, error)
                if method in INFO_METHODS:
                    await context.abort(_status_of(error), str(error))
                yield self._refusal(error)

        return counted

    def _informing(self, method: str, behaviour: Any) -> Any:
        async def guarded(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            async with aclosing(self._limited(method, requests, context)) as admitted:
                async for answer in behaviour(admitted, context):
                    yield answer

        return guarded

    async def _limited(self, method: str, requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        """The messages of a call, each as a request of its caller's."""
        async for request in requests:
            caller = self._door.caller(context.invocation_metadata())
            leave = await self._rates.enter(caller.name, method, RequestSize(_readable(request).ByteSize(), 1))
            try:
                yield request
            finally:
                leave()

    def _stream(self, behaviour: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
        async def guarded(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            under_way: list[tuple[str, Callable[[], None]]] = []
            refused: list[ClipSeekError] = []

            async def admitted() -> AsyncIterator[Any]:
                async for request in requests:
                    try:
                        leave = await self._admit(request, context)
                    except ClipSeekError as error:
                        refused.append(error)  # the call ends after the requests before this one
                        return
                    under_way.append((request.header.exec_endpoint, leave))
                    yield request

            try:
                async for answer in behaviour(admitted(), context):
                    _leave(under_way, answer.header.exec_endpoint)
                    yield _plain(answer)
            except ClipSeekError as error:  # an executor is away
                refused.append(error)
            finally:
                for _, leave in under_way:
                    leave()
            for refusal in refused:
                logger.info("refused: %s: %s", type(refusal).__name__, refusal)
                yield self._refusal(refusal)

        return guarded

    def _single(self, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            try:
                leave = await self._admit(request, context)
                try:
                    return _plain(await behaviour(request, context))
                finally:
                    leave()
            except ClipSeekError as error:
                logger.info("refused: %s: %s", type(error).__name__, error)
                return self._refusal(error)

        return guarded

    async def _measure(self, caller: str, request: Any) -> RequestSize:
        """Parse a request whose caller may still send some; refusing one costs them, too."""
        self._rates.require(caller)
        try:
            if len(request.buffer or b"") < SMALL_BYTES:
                return _parse(request)
            return await asyncio.wrap_future(self._reading.submit(caller, partial(_parse, request)))
        except ClipSeekError:
            self._rates.charge(caller, REFUSED)
            raise

    async def _admit(self, request: Any, context: Any) -> Callable[[], None]:
        """Wait for the request's turn, and sign its caller and route into it.

        Returns: a function to call when it is answered.
        """
        arrival = Arrival("")
        try:
            caller = self._door.caller(context.invocation_metadata())
            size = await self._measure(caller.name, _readable(request))
            path = size.endpoint
            arrival.name(path)
            route = endpoint_of(path).route(request.header.target_executor)
            leave = await self._rates.enter(caller.name, path, size)
        except BaseException as error:
            arrival.refused(error)
            raise
        request.header.target_executor = _pattern(route)
        request.parameters = signed(replace(caller, route=route), path, self._secret, time.time())

        def done() -> None:
            leave()
            arrival.answered()

        return done


def _parse(request: Any) -> RequestSize:
    """Parse a request, once its size is known to be harmless. Raises: InvalidRequest, LimitExceeded."""
    size = measure_request(request.buffer or request.SerializeToString())
    _check_size(endpoint_of(size.endpoint), size)
    try:
        request.proto_with_data  # noqa: B018 (parses, or raises)
    except DecodeError as error:
        raise InvalidRequest("The request is damaged. Send it again.") from error
    return size


def _pattern(route: tuple[str, ...]) -> str:
    """The executors of a request as Jina takes them: as a regular expression."""
    return f"^({'|'.join(route)})$"


def _check_size(endpoint: Endpoint, size: RequestSize) -> None:
    if size.size_bytes > MOST_BYTES and not endpoint.is_large:
        raise LimitExceeded(
            f"The request to {endpoint.path} has {size.size_bytes} bytes; the most allowed is {MOST_BYTES}. Send files "
            f"in chunks, and less at a time."
        )


def _health_without_reading(handler: Any) -> Any:
    """The health of the whole server, whichever service a caller names."""

    if handler.response_streaming:  # a stream that nobody ends would cost something
        return abort_with(grpc.StatusCode.UNIMPLEMENTED, "Not offered here: ask Check again and again.")

    async def answer(_requests: Any, context: Any) -> AsyncIterator[Any]:
        yield await handler.unary_unary(HealthCheckRequest(), context)

    return grpc.stream_stream_rpc_method_handler(answer, None, handler.response_serializer)


def _read_or_mark(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Hand on what is no message of its method as `_UNREADABLE`: gRPC itself would answer with an unknown error."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except Exception:  # noqa: BLE001 (whatever a caller's bytes lead to)
            return _UNREADABLE

    return read


def _readable(request: Any) -> Any:
    if request is _UNREADABLE:
        raise InvalidRequest("The request is damaged: it is no message of this method.")
    return request


def _status_of(error: ClipSeekError) -> grpc.StatusCode:
    if isinstance(error, LimitExceeded | TooManyRequests):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    is_invalid = isinstance(error, InvalidRequest)
    return grpc.StatusCode.INVALID_ARGUMENT if is_invalid else grpc.StatusCode.UNAUTHENTICATED


def _as_stream(behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], AsyncGenerator[Any, None]]:
    """The same for a call that gRPC hands over before it has read the request, so that an empty one counts, too."""

    async def answer(requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        async for request in requests:
            yield await behaviour(request, context)
            return

    return answer


def _answer_without_reading(answer: Any, serializer: Any) -> Any:
    async def answer_at_once(_requests: Any, _context: Any) -> AsyncIterator[Any]:
        yield answer

    return grpc.stream_stream_rpc_method_handler(answer_at_once, None, serializer)


def _leave(under_way: list[tuple[str, Callable[[], None]]], endpoint: str) -> None:
    for place, (entered, leave) in enumerate(under_way):
        if entered == endpoint:
            del under_way[place]
            leave()
            return


def _plain(answer: Any) -> Any:
    """The answer without the signature, which is for executors only, and without tracebacks of the server."""
    answer.parameters = {}
    del answer.header.status.exception.stacks[:]
    return answer
