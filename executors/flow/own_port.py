"""What an executor's own port answers: health, what it offers, and requests, which `endpoint` believes from the
gateway only.

Jina offers more there to every program that reaches the port; its restore even removes whatever file it is told.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

OFFERED = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",  # by which the gateway finds the others
    "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery",
    "/jina.JinaSingleDataRequestRPC/process_single_data",
)


class OfferedOnly(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses every other call."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        if handler_call_details.method.startswith(OFFERED):
            return await continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_abort)


async def _abort(_requests: Any, context: Any) -> AsyncIterator[Any]:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "Not offered here: send requests to the gateway.")
    yield  # an answer never comes; this makes it the generator that gRPC wants
