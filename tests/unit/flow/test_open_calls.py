"""How many calls one caller may hold open at a real gRPC server behind the gateway's door."""

import asyncio

import grpc
import pytest
from jina.types.request.data import DataRequest

from clipseek.config.access import AccessFile
from executors.flow.gateway.door import CALL, SINGLE
from executors.flow.gateway.rates import CALLS_PER_REQUEST, Rates
from tests.unit.flow.door_server import REFLECTION, door, open_call, served

UNDER_WAY = 4
MOST = CALLS_PER_REQUEST * UNDER_WAY
FLOOD = 300


async def outcome(call) -> str:
    """How a call ended: the name of the error in its answer, or its status."""
    try:
        return DataRequest(await call.read()).header.status.exception.name
    except grpc.RpcError as error:
        return error.code().name


async def ended(calls) -> list[str]:
    """How the calls ended that the server ended: all but those that may stay open."""
    reading = {asyncio.create_task(outcome(call)) for call in calls}
    done: set = set()
    while len(done) < len(calls) - MOST:
        some, reading = await asyncio.wait(reading, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert some, f"{len(done)} of {len(calls)} were refused"
        done |= some
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    return [task.result() for task in done]


@pytest.mark.parametrize(
    ("method", "refused"), [(CALL, "TooManyRequests"), (SINGLE, "TooManyRequests"), (REFLECTION, "RESOURCE_EXHAUSTED")]
)
def test_calls_that_send_nothing_are_few_at_a_time(tmp_path, method, refused):
    access = AccessFile(tmp_path)
    alice, bob = access.add("alice", ("a",)), access.add("bob", ("b",))

    async def work():
        async with served(door(access, Rates(1000, UNDER_WAY))) as channel:
            flood = [open_call(channel, method, alice) for _ in range(FLOOD)]
            assert set(await ended(flood)) == {refused}
            other = open_call(channel, REFLECTION, bob)
            await other.write(b"")
            assert await other.read() == b""  # another caller has calls of his own
            for call in flood:
                call.cancel()
            await asyncio.gather(*(call.code() for call in flood))
            async with asyncio.timeout(30):  # the server learns a moment later that they have ended
                while await outcome_of_one(channel, alice) != "OK":
                    await asyncio.sleep(0)

    asyncio.run(work())


async def outcome_of_one(channel, token) -> str:
    call = open_call(channel, REFLECTION, token)
    try:
        await call.write(b"")
        await call.done_writing()
        return "OK" if await call.read() == b"" else "nothing"
    except grpc.RpcError as error:
        return error.code().name
    finally:
        call.cancel()


@pytest.mark.parametrize("method", [CALL, SINGLE, REFLECTION])
def test_a_strangers_calls_end_at_once(tmp_path, method):
    access = AccessFile(tmp_path)
    access.add("alice", ("a",))

    async def work():
        async with served(door(access, Rates(1000, UNDER_WAY))) as channel:
            calls = [open_call(channel, method, "wrong") for _ in range(FLOOD)]
            async with asyncio.timeout(60):
                found = await asyncio.gather(*map(outcome, calls))
                await asyncio.gather(*(call.code() for call in calls))
            assert set(found) == {"UNAUTHENTICATED" if method == REFLECTION else "AccessDenied"}

    asyncio.run(work())
