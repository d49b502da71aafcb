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
from grpc_health.v1.health_pb2 import HealthCheckRequest

from clipseek.api.endpoints import SWITCH_MODEL, WITHOUT_IMAGES, Endpoint, endpoint_of
from clipseek.api.errors import AccessDenied, ClipSeekError, InvalidRequest, LimitExceeded, TooManyRequests
from executors.flow.callers import signed
from executors.flow.gateway.doorkeeper import Doorkeeper
from executors.flow.gateway.library_models import LibraryModels
from executors.flow.gateway.rates import Rates
from executors.flow.gateway.request_size import MAX_FIELDS, RequestSize, measure_request
from executors.flow.metrics import GATEWAY, OTHER, Arrival, count_error
from executors.flow.quirks.damaged_messages import DAMAGED, Behaviour, as_stream, read_message
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
MOST_BYTES = 8 * 1024 * 1024  # of a request without images; the largest is a chunk of an upload


class DoorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Admits calls, signs their caller and route into the request, and strips internal data from the answer.

    Args:
        door: identifies the caller.
        rates: limits each caller.
        secret: the Flow's own, to sign with.
        refusal: turns an error into the answer from which Jina's clients raise it.
        models: knows which model answers in each library; without, the server's own does.
    """

    def __init__(
        self,
        door: Doorkeeper,
        rates: Rates,
        secret: str,
        refusal: Callable[[Exception], Any],
        models: LibraryModels | None = None,
    ) -> None:
        self._door, self._rates, self._secret, self._refusal = door, rates, secret, refusal
        self._models = models
        self._reading = FairQueue(1, "requests")  # large ones, away from the event loop

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler and _health_without_reading(handler)
        if method not in (CALL, SINGLE, *INFO_METHODS):
            return abort_with(grpc.StatusCode.PERMISSION_DENIED, f"{method} is not offered here.")
        behaviour = as_stream(handler)
        if method in INFO_METHODS:
            guarded = self._inform(method, handler.request_deserializer, behaviour)
        else:
            guarded = self._serve(handler.request_deserializer, behaviour)
        return grpc.stream_stream_rpc_method_handler(self._known(method, guarded), None, handler.response_serializer)

    def _known(self, method: str, behaviour: Behaviour) -> Behaviour:
        """Refuse the call, unread, where nobody knows its caller, or that one has too many open."""

        async def known(requests: AsyncIterator[bytes], context: Any) -> AsyncGenerator[Any, None]:
            try:
                caller = self._door.caller(context.invocation_metadata())
                with self._rates.open_call(caller.name):
                    async with aclosing(behaviour(requests, context)) as answers:
                        async for answer in answers:
                            yield answer
            except ClipSeekError as error:
                logger.info("%s refused: %s", method, error)
                count_error(GATEWAY, OTHER, error)
                if method in INFO_METHODS:
                    await context.abort(_status_of(error), str(error))
                yield self._refusal(error)

        return known

    def _inform(self, method: str, read: Callable[[bytes], Any], behaviour: Behaviour) -> Behaviour:
        """Admit each question of a call that informs. Raises: ClipSeekError: it is refused, and ends the call."""

        async def guarded(requests: AsyncIterator[bytes], context: Any) -> AsyncGenerator[Any, None]:
            async def admitted() -> AsyncGenerator[Any, None]:
                async for data in requests:
                    caller = self._door.caller(context.invocation_metadata())
                    leave = await self._rates.enter(caller.name, method, RequestSize(len(data)))
                    try:
                        if len(data) > SMALL_BYTES:
                            raise LimitExceeded(f"{method} takes at most {SMALL_BYTES} bytes; {len(data)} were sent.")
                        yield read_message(partial(read, data))
                    finally:
                        leave()

            async with aclosing(admitted()) as questions:
                async for answer in behaviour(questions, context):
                    yield answer

        return guarded

    def _serve(self, read: Callable[[bytes], Any], behaviour: Behaviour) -> Behaviour:
        async def guarded(requests: AsyncIterator[bytes], context: Any) -> AsyncGenerator[Any, None]:
            under_way: list[tuple[str, Callable[[], None]]] = []
            refused: list[ClipSeekError] = []

            async def admitted() -> AsyncGenerator[Any, None]:
                async for data in requests:
                    try:
                        request, leave = await self._admit(read, data, context)
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
                for endpoint, _ in under_way:
                    count_error(GATEWAY, endpoint, error)
            finally:
                for _, leave in under_way:
                    leave()
            for refusal in refused:
                logger.info("refused: %s: %s", type(refusal).__name__, refusal)
                yield self._refusal(refusal)

        return guarded

    async def _measure(self, caller: str, read: Callable[[bytes], Any], data: bytes) -> tuple[Any, RequestSize]:
        """Parse a request whose caller may still send some; refusing one costs them, too."""
        self._rates.require(caller)
        try:
            if len(data) < SMALL_BYTES:
                return _parse(read, data)
            return await asyncio.wrap_future(self._reading.submit(caller, partial(_parse, read, data)))
        except ClipSeekError:
            self._rates.charge(caller, REFUSED)
            raise

    async def _admit(self, read: Callable[[bytes], Any], data: bytes, context: Any) -> tuple[Any, Callable[[], None]]:
        """Wait for the request's turn, and sign its caller and route into it.

        Returns: the request, and a function to call when it is answered.
        """
        arrival = Arrival("")
        try:
            caller = self._door.caller(context.invocation_metadata())
            request, size = await self._measure(caller.name, read, data)
            path = size.endpoint
            arrival.name(path)
            route = _choose_route(endpoint_of(path), request)
            leave = await self._rates.enter(caller.name, path, size)
        except BaseException as error:
            arrival.refused(error)
            raise
        try:
            model = await self._models.name_for(route, caller.library) if self._models else ""
        except BaseException as error:
            leave()
            arrival.refused(error)
            raise
        request.header.target_executor = _pattern(route)
        request.parameters = signed(replace(caller, route=route, model=model), path, self._secret, time.time())

        def done() -> None:
            leave()
            if self._models and path == SWITCH_MODEL:
                self._models.forget(caller.library)
            arrival.answered()

        return request, done


def _parse(read: Callable[[bytes], Any], data: bytes) -> tuple[Any, RequestSize]:
    """Parse a request, once its size is known to be harmless. Raises: InvalidRequest, LimitExceeded."""
    size = measure_request(data)
    _check_size(endpoint_of(size.endpoint), size)
    request = read(data)
    read_message(lambda: request.proto_with_data)
    if request.header.exec_endpoint != size.endpoint:  # of several headers another one counts
        raise InvalidRequest(DAMAGED)
    return request, size


def _status_of(error: ClipSeekError) -> grpc.StatusCode:
    """How a call that informs ends, whose answers have no room for an error."""
    codes = {
        AccessDenied: grpc.StatusCode.UNAUTHENTICATED,
        InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
        TooManyRequests: grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), grpc.StatusCode.UNAVAILABLE)


def _choose_route(endpoint: Endpoint, request: Any) -> tuple[str, ...]:
    """The executors of a request. One without images leaves out the image encoder, which may be away."""
    route = endpoint.route(request.header.target_executor)
    return WITHOUT_IMAGES if WITHOUT_IMAGES in endpoint.shortcuts and not _has_images(request) else route


def _has_images(query: Any) -> bool:
    queries = [doc.data for doc in query.proto_with_data.data.docs.docs]
    parts = [part.data for data in queries if "parts" in data for part in data["parts"].doc_array.docs]
    return any("image" in part and part["image"].blob for part in parts)  # `in`, because looking up would add it


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
