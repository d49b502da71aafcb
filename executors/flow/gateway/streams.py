"""How the gateway answers requests: it cancels them with their caller.

Jina's gateway finishes what it has begun, whether anyone waits for it or not. Here the gateway notes the tasks of
each request, and cancels them when gRPC cancels the request. An executor then drops the work that it has not begun yet.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

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


def asked_once(ask: Callable[[Any, Any], Awaitable[T]]) -> Callable[[Any, Any], Awaitable[T]]:
    """The same answer for every question: Jina describes its endpoints for each, 300 ms of the event loop."""
    answers: list[T] = []

    async def answer(question: Any, context: Any) -> T:
        if not answers:
            answers.append(await ask(question, context))
        return answers[0]

    return answer
