"""Jina 3.34: an executor's own port offers more than the gateway needs, to every program that reaches it.

Its restore even deletes any file that the caller names. So the server of an executor refuses everything but health,
reflection and requests; `@endpoint` accepts requests from the gateway only.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from jina.serve.instrumentation import InstrumentationMixin
from jina.serve.runtimes.servers.grpc import GRPCServer

ALLOWED_METHODS = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",  # by which the gateway finds the other methods
    "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery",
    "/jina.JinaSingleDataRequestRPC/process_single_data",
)


def guard_own_port() -> None:
    """Put the guard in front of the server of this process.

    Jina builds that server itself, once the executor exists, and asks it for its interceptors.
    """

    def interceptors(server: GRPCServer) -> list[Any]:
        return [AllowedMethodsOnly(), *(InstrumentationMixin.aio_tracing_server_interceptors(server) or [])]

    GRPCServer.aio_tracing_server_interceptors = interceptors


class AllowedMethodsOnly(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses every other call."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        if handler_call_details.method.startswith(ALLOWED_METHODS):
            return await continuation(handler_call_details)
        return abort_with(grpc.StatusCode.PERMISSION_DENIED, "Not offered here: send requests to the gateway.")


def abort_with(code: grpc.StatusCode, reason: str) -> Any:
    """A handler that refuses a call of any kind."""

    async def abort(_requests: Any, context: Any) -> AsyncIterator[Any]:
        await context.abort(code, reason)
        yield  # never reached; it makes this the generator that gRPC expects

    return grpc.stream_stream_rpc_method_handler(abort)
