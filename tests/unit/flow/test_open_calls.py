"""What calls may do at a real gRPC server behind the gateway's door: how many stay open, and what they send."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from jina.types.request.data import DataRequest

from clipseek.config.access import AccessFile
from executors.flow.gateway.door import CALL, INFO_METHODS, SINGLE, DoorInterceptor
from executors.flow.gateway.doorkeeper import Doorkeeper
from executors.flow.gateway.rates import CALLS_PER_REQUEST, Rates

REFLECTION = INFO_METHODS[-1]
UNDER_WAY = 4
MOST = CALLS_PER_REQUEST * UNDER_WAY
FLOOD = 300
ANYTHING = StringValue(value="anything").SerializeToString()


def serialized(answer: DataRequest | StringValue) -> bytes:
    return answer.SerializeToString() if isinstance(answer, StringValue) else answer.proto.SerializeToString()


def refusal(error: Exception) -> DataRequest:
    answer = DataRequest()
    answer.add_exception(error)
    return answer


async def echo_stream(requests, _context):
    async for request in requests:
        yield request


async def echo(request, _context):
    return request


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        read = StringValue.FromString
        if details.method in (CALL, REFLECTION):
            return grpc.stream_stream_rpc_method_handler(echo_stream, read, serialized)
        return grpc.unary_unary_rpc_method_handler(echo, read, serialized)


@asynccontextmanager
async def server(access: AccessFile, rates: Rates | None = None):
    rates = rates or Rates(1000, UNDER_WAY)
    door = DoorInterceptor(Doorkeeper(access, "5e" * 32, may_be_open=False), rates, "5e" * 32, refusal)
    running = grpc.aio.server(interceptors=[door])
    running.add_generic_rpc_handlers((Service(),))
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await running.stop(None)


def open_call(channel, method, token):
    return channel.stream_stream(method)(metadata=[("authorization", f"Bearer {token}")])


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
        async with server(access) as channel:
            flood = [open_call(channel, method, alice) for _ in range(FLOOD)]
            assert set(await ended(flood)) == {refused}
            other = open_call(channel, REFLECTION, bob)
            await other.write(ANYTHING)
            assert await other.read()  # another caller has calls of his own
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
        await call.write(ANYTHING)
        await call.done_writing()
        return "OK" if await call.read() else "nothing"
    except grpc.RpcError as error:
        return error.code().name
    finally:
        call.cancel()


@pytest.mark.parametrize("method", [CALL, SINGLE, REFLECTION])
def test_a_strangers_calls_end_at_once(tmp_path, method):
    access = AccessFile(tmp_path)
    access.add("alice", ("a",))

    async def work():
        async with server(access) as channel:
            calls = [open_call(channel, method, "wrong") for _ in range(FLOOD)]
            async with asyncio.timeout(60):
                found = await asyncio.gather(*map(outcome, calls))
                await asyncio.gather(*(call.code() for call in calls))
            assert set(found) == {"UNAUTHENTICATED" if method == REFLECTION else "AccessDenied"}

    asyncio.run(work())


@pytest.mark.parametrize("method", [CALL, SINGLE, *INFO_METHODS])
def test_what_is_no_message_of_its_method_is_called_invalid(tmp_path, method, caplog):
    async def send() -> str:
        async with server(access) as channel:
            call = open_call(channel, method, token)
            await call.write(b"\xff\xff\xff")
            await call.done_writing()
            return await outcome(call)

    access = AccessFile(tmp_path)
    token = access.add("alice")
    expected = "InvalidRequest" if method in (CALL, SINGLE) else "INVALID_ARGUMENT"
    assert asyncio.run(send()) == expected
    assert [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


def test_the_messages_of_one_open_call_are_counted_like_requests(tmp_path):
    async def send() -> tuple[int, str]:
        async with server(access, Rates(5, UNDER_WAY)) as channel:
            call = open_call(channel, REFLECTION, token)
            answered = 0
            try:
                while answered < FLOOD:
                    await call.write(ANYTHING)
                    assert await call.read() != grpc.aio.EOF
                    answered += 1
            except (grpc.RpcError, AssertionError, asyncio.InvalidStateError):
                pass
            return answered, (await call.code()).name

    access = AccessFile(tmp_path)
    token = access.add("alice")
    answered, status = asyncio.run(send())
    assert status == "RESOURCE_EXHAUSTED" and answered < FLOOD
