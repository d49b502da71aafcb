"""A server that works in its event loop, and holds the interpreter meanwhile: the worst that an executor could do."""

import asyncio
import time
from multiprocessing.connection import Connection

import executors.flow  # noqa: F401 (before jina)
from tests.unit.flow.replica_server import Executor


def serve(pipe: Connection, seconds: float) -> None:
    """Send the port, then serve until killed."""

    async def work() -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sum(range(30_000_000))  # one call, in which no other thread of Python runs

    async def serve_forever() -> None:
        async with Executor(work).served() as port:
            pipe.send(port)
            await asyncio.Event().wait()

    asyncio.run(serve_forever())
