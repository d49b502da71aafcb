"""A server as an executor's, and a connection to it that can freeze or break."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
from jina.proto.serializer import DataRequestProto

from executors.flow.quirks.own_port import SINGLE


class Executor(grpc.GenericRpcHandler):
    """Answers each request with itself, after `work`, or with an error; `answered` counts them."""

    def __init__(
        self, work: Callable[[], Awaitable[Any]] = lambda: asyncio.sleep(0), error: Exception | None = None
    ) -> None:
        self.answered, self._work, self._error = 0, work, error

    def service(self, details):
        forms = (DataRequestProto.FromString, DataRequestProto.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(self._answer, *forms) if details.method == SINGLE else None

    async def _answer(self, request, context):
        await self._work()
        self.answered += 1
        if self._error:
            request.add_exception(self._error)
            context.set_trailing_metadata((("is-error", "true"),))
        return request

    @asynccontextmanager
    async def served(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
        """Its port."""
        server = grpc.aio.server(options=[("grpc.http2.max_ping_strikes", 0)])  # as flow.yml sets it
        server.add_generic_rpc_handlers((self,))
        port = server.add_insecure_port(f"{host}:{port}")
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)


class Link:
    """Forwards to a port. While frozen it accepts connections and holds all back; `cut` ends it."""

    def __init__(self, there: int) -> None:
        self._there, self._flows = there, asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self.thaw()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            await self._flows.wait()
            from_there, to_there = await asyncio.open_connection("127.0.0.1", self._there)
            self._writers.append(to_there)
            await asyncio.gather(self._pump(reader, to_there), self._pump(from_there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            writer.write(data)
        writer.transport.abort()
