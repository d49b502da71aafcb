"""A request that its caller gave up is given up by the whole chain: the gateway calls its own requests back.

Jina's gateway goes on with what it has begun, whoever waits for it or not. Here it notes the tasks of each request, and
cancels them when gRPC cancels the request. An executor that is called back drops what it has not begun yet.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_own_tasks: ContextVar[set[asyncio.Task[Any]] | None] = ContextVar("own_tasks", default=None)


def note_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop note each task that it begins with the request that it is for."""

    def begin(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **options)
        own = _own_tasks.get()
        if own is not None:
            own.add(task)
            task.add_done_callback(own.discard)
        return task

    loop.set_task_factory(begin)


def called_back(stream: Callable[..., AsyncIterator[T]]) -> Callable[..., AsyncIterator[T]]:
    """A gateway's way to answer requests, which takes its tasks back when the caller hangs up."""

    async def answer(*args: Any, **options: Any) -> AsyncIterator[T]:
        own: set[asyncio.Task[Any]] = set()
        _own_tasks.set(own)  # for this request alone: gRPC answers each in a task of its own
        try:
            async for each in stream(*args, **options):
                yield each
        except (asyncio.CancelledError, GeneratorExit):
            for task in own:
                task.cancel()
            raise

    return answer


def one_by_one(stream: Callable[..., AsyncIterator[T]]) -> Callable[..., Awaitable[T]]:
    """The same way for a single request. Jina's own hands each to a thread and back, and leaves the stream open."""

    async def answer(request: Any, context: Any) -> T:
        async def requests() -> AsyncIterator[Any]:
            yield request

        [answered] = [each async for each in stream(requests(), context)]
        return answered

    return answer
