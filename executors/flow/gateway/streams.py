"""How the gateway answers requests: it sends each to the executors of its endpoint, and cancels it with its caller.

Jina sends a request through the whole chain, where the other executors pass it on. A search would take half as long
again, and would wait for a loader that is down.

Jina's gateway also finishes what it has begun, whether anyone waits for it or not. Here the gateway notes the tasks of
each request, and cancels them when gRPC cancels the request. An executor then drops the work that it has not begun yet.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeVar

from clipseek.api.endpoints import ENDPOINTS

T = TypeVar("T")

# Jina takes the executors of a request as a regular expression.
ROUTES: Mapping[str, str] = MappingProxyType(
    {path: f"^({'|'.join(row.executors)})$" for path, row in ENDPOINTS.items()}
)

_request_tasks: ContextVar[set[asyncio.Task[Any]] | None] = ContextVar("request_tasks", default=None)


def note_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop note each new task with the request that it belongs to."""

    def create(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **options)
        tasks = _request_tasks.get()
        if tasks is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return task

    loop.set_task_factory(create)


def cancelled_with_caller(stream: Callable[..., AsyncIterator[T]]) -> Callable[..., AsyncIterator[T]]:
    """Wrap a gateway's way to answer requests: it cancels its tasks when the caller hangs up."""

    async def answer(*args: Any, **options: Any) -> AsyncIterator[T]:
        tasks: set[asyncio.Task[Any]] = set()
        _request_tasks.set(tasks)  # for this request alone: gRPC answers each in a task of its own
        try:
            async for response in stream(*args, **options):
                yield response
        except (asyncio.CancelledError, GeneratorExit):
            for task in tasks:
                task.cancel()
            raise

    return answer


def one_by_one(stream: Callable[..., AsyncIterator[T]]) -> Callable[..., Awaitable[T]]:
    """The same way for a single request. Jina's own hands each to a thread and back, and leaves the stream open."""

    async def answer(request: Any, context: Any) -> T:
        async def requests() -> AsyncIterator[Any]:
            yield request

        [response] = [response async for response in stream(requests(), context)]
        return response

    return answer


def routed(stream: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """Wrap a gateway's way to answer requests: it names the executors of each request that names none."""

    async def answer(requests: AsyncIterator[Any], *args: Any, **options: Any) -> AsyncIterator[Any]:
        async def with_executors() -> AsyncIterator[Any]:
            async for request in requests:
                if not request.header.target_executor:
                    request.header.target_executor = ROUTES.get(request.header.exec_endpoint, "")
                yield request

        async for response in stream(with_executors(), *args, **options):
            yield response

    return answer
