"""A real gRPC server behind the gateway's door, or an executor's guard. It answers each message with itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from google.protobuf.empty_pb2 import Empty
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from jina.proto.serializer import DataRequestProto
from jina.types.request.data import DataRequest
from prometheus_client import REGISTRY

from clipseek.config.access import AccessFile
from executors.flow.gateway.door import CALL, INFO_METHODS, SINGLE, DoorInterceptor
from executors.flow.gateway.doorkeeper import Doorkeeper
from executors.flow.gateway.rates import Rates

SECRET = "5e" * 32
REFLECTION = INFO_METHODS[-1]


async def echo_stream(requests, _context):
    async for request in requests:
        yield request


async def echo(request, _context):
    return request


class JinaLike(grpc.GenericRpcHandler):
    """Reads what it gets as Jina's servers do."""

    def service(self, details):
        if details.method in (CALL, SINGLE):
            forms = (DataRequestProto.FromString, DataRequestProto.SerializeToString)
        else:
            message = ServerReflectionRequest if details.method == REFLECTION else Empty
            forms = (message.FromString, message.SerializeToString)
        if details.method in (CALL, REFLECTION):
            return grpc.stream_stream_rpc_method_handler(echo_stream, *forms)
        return grpc.unary_unary_rpc_method_handler(echo, *forms)


def refusal(error: Exception) -> DataRequest:
    answer = DataRequest()
    answer.add_exception(error)
    return answer


def door(access: AccessFile, rates: Rates) -> DoorInterceptor:
    return DoorInterceptor(Doorkeeper(access, SECRET, may_be_open=False), rates, SECRET, refusal)


@asynccontextmanager
async def served(guard: grpc.aio.ServerInterceptor) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the server."""
    running = grpc.aio.server(interceptors=[guard])
    running.add_generic_rpc_handlers((JinaLike(),))
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await running.stop(None)


def open_call(channel: grpc.aio.Channel, method: str, token: str):
    return channel.stream_stream(method)(metadata=[("authorization", f"Bearer {token}")])


def refusals(executor: str, endpoint: str, error: str) -> float:
    """How many the metrics have counted."""
    labels = {"executor": executor, "endpoint": endpoint, "error": error}
    return REGISTRY.get_sample_value("clipseek_errors_total", labels) or 0.0
