"""A caller who hangs up cancels the work for them, and nobody else's."""

import asyncio
import gc
import weakref

import pytest

from executors.flow.gateway.streams import cancelled_with_caller, note_tasks, one_by_one


def run(work):
    async def noted():
        note_tasks(asyncio.get_running_loop())
        return await work()

    return asyncio.run(noted())


@pytest.mark.parametrize("hangs_up", [True, False])
def test_the_tasks_of_a_request_end_with_its_caller(hangs_up):
    async def work():
        begun: dict[str, asyncio.Task] = {}

        async def answer(name):
            begun[name] = asyncio.create_task(asyncio.Event().wait())
            yield name
            await asyncio.sleep(0)

        async def ask(name):
            stream = cancelled_with_caller(answer)(name)
            assert await anext(stream) == name
            if name == "gone":
                await stream.aclose()
            else:
                assert [each async for each in stream] == []

        names = ["gone" if hangs_up else "answered", "other"]
        await asyncio.gather(*(asyncio.create_task(ask(name)) for name in names))
        await asyncio.sleep(0)
        found = [begun[name].cancelled() for name in names]
        for task in begun.values():
            task.cancel()
        return found

    assert run(work) == [hangs_up, False]


def test_a_request_that_is_cancelled_cancels_its_tasks():
    async def work():
        begun: list[asyncio.Task] = []

        async def answer():
            begun.append(asyncio.create_task(asyncio.Event().wait()))
            await asyncio.wait(begun)
            yield

        async def ask():
            return [each async for each in cancelled_with_caller(answer)()]

        asking = asyncio.create_task(ask())
        while not begun:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking, *begun])
        return asking.cancelled(), begun[0].cancelled()

    assert run(work) == (True, True)


def test_a_task_that_is_done_is_forgotten_while_its_stream_goes_on():
    async def work():
        async def answer():
            task = asyncio.create_task(asyncio.sleep(0))
            await task
            done = weakref.ref(task)
            del task
            await asyncio.sleep(0)  # the step that woke this up ends
            yield done

        stream = cancelled_with_caller(answer)()
        done = await anext(stream)
        gc.collect()
        is_kept = done() is not None
        await stream.aclose()
        return is_kept

    assert not run(work)


def test_a_single_request_gets_its_answer_by_the_same_way():
    async def echo(requests, context):
        async for request in requests:
            yield request, context

    assert run(lambda: one_by_one(echo)("a request", "its context")) == ("a request", "its context")
