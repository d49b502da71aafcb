"""Jina 3.34: an executor's own port offers more than the gateway needs, to every program that reaches it.

Its restore even deletes any file that the caller names. And to describe its endpoints takes 300 ms of the event
loop and 80 MB. So the server of an executor refuses everything but health and requests.

Jina also reads a request's documents in the event loop, before anyone asks who sends them: 500 of them keep all others
waiting for a second. So requests that do not come from the gateway are refused unread, and the others are read in a
thread, in which callers take turns with each document.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import grpc
from jina.serve.executors import __dry_run_endpoint__ as DRY_RUN  # noqa: N812 (a constant)
from jina.serve.instrumentation import InstrumentationMixin
from jina.serve.runtimes.servers.grpc import GRPCServer
from jina.types.request.data import DataRequest

from clipseek.api.errors import ClipSeekError, InvalidRequest
from clipseek.api.formats import excerpt
from executors.flow.callers import Caller, Verifier
from executors.flow.metrics import OTHER, count_error
from executors.flow.quirks.damaged_messages import read_message, refuse_damaged
from executors.machine.fair_queue import FairQueue

logger = logging.getLogger(__name__)
T = TypeVar("T")

SINGLE = "/jina.JinaSingleDataRequestRPC/process_single_data"
ALLOWED_METHODS = ("/grpc.health.v1.Health/Check", SINGLE)


def guard_own_port(callers: Verifier, documents: Callable[[str], Any]) -> None:
    """Put the guard in front of the server of this process.

    Jina builds that server itself, once the executor exists, and asks it for its interceptors.

    Args:
        callers: knows the gateway's requests.
        documents: the list of documents that an endpoint takes, or None where it is not answered here.
    """

    def interceptors(server: GRPCServer) -> list[Any]:
        return [OwnPortGuard(callers, documents), *(InstrumentationMixin.aio_tracing_server_interceptors(server) or [])]

    GRPCServer.aio_tracing_server_interceptors = interceptors


class OwnPortGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses every other call, and requests that are not the gateway's."""

    def __init__(self, callers: Verifier, documents: Callable[[str], Any]) -> None:
        self._callers, self._documents = callers, documents
        self._reading = FairQueue(1, "documents")

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        method = handler_call_details.method
        if method in ALLOWED_METHODS:
            handler = await continuation(handler_call_details)
            return handler and (self._checked(handler) if method == SINGLE else refuse_damaged(handler))
        return abort_with(grpc.StatusCode.PERMISSION_DENIED, "Not offered here: send requests to the gateway.")

    def _checked(self, handler: Any) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            try:
                endpoint = read_message(lambda: request.header.exec_endpoint)
            except InvalidRequest as error:
                count_error(self._callers.executor, OTHER, error)
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            try:
                if endpoint == DRY_RUN:  # from the gateway, too, but unsigned
                    request = _without_documents(request)
                else:
                    caller = self._callers.check(request.parameters, endpoint)
                    await self._read_documents(request, endpoint, caller)
            except Exception as error:  # noqa: BLE001 (the sender gets it, as Jina's own errors)
                level = logging.INFO if isinstance(error, ClipSeekError) else logging.ERROR
                logger.log(level, "%s refused: %s: %s", excerpt(endpoint), type(error).__name__, error)
                count_error(self._callers.executor, endpoint, error)
                refused = _without_documents(request)
                refused.add_exception(error)
                context.set_trailing_metadata((("is-error", "true"),))
                return refused
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)

    async def _read_documents(self, request: Any, endpoint: str, caller: Caller) -> None:
        if documents := self._documents(endpoint):
            request.document_array_cls = documents
            message = await self._in_turn(caller.owner, lambda: request.proto_with_data)
            is_first = bool(caller.route) and caller.route[0] == self._callers.executor
            read = partial(_read, documents.doc_type, is_first)
            docs = documents([await self._in_turn(caller.owner, partial(read, doc)) for doc in message.data.docs.docs])
            request.data._loaded_doc_array = docs  # as Jina does, once they are asked for

    async def _in_turn(self, caller: str, task: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._reading.submit(caller, task))


def _read(kind: Any, is_first: bool, message: Any) -> Any:
    """Read a document; the first executor refuses fields that there are not."""
    if is_first:
        kind.check_names(message)
    return kind.from_protobuf(message)


def _without_documents(request: Any) -> Any:
    bare = DataRequest()
    bare.header.CopyFrom(request.header)
    return bare


def abort_with(code: grpc.StatusCode, reason: str) -> Any:
    """A handler that refuses a call of any kind."""

    async def abort(_requests: Any, context: Any) -> AsyncIterator[Any]:
        await context.abort(code, reason)
        yield  # never reached; it makes this the generator that gRPC expects

    return grpc.stream_stream_rpc_method_handler(abort)
