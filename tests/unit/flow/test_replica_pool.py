"""Replicas that die, freeze, thaw, move and return, and what the requests on their way to them become."""

import asyncio
import contextlib
import multiprocessing
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from jina.types.request.data import DataRequest

from benchmarks.synthetic.names import NameServer
from clipseek.api.errors import RequestLost, ServerNotReady, VideoNotFound
from clipseek.client.transport import _translated
from clipseek.machine.ports import free_port
from executors.flow.gateway import replicas
from executors.flow.gateway.replicas import ReplicaPool
from tests.unit.flow import busy_server
from tests.unit.flow.replica_server import Executor, Link

LATE = 60  # seconds until a test gives up
PING_SECONDS = 0.3
BUSY_SECONDS = 4.0


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(replicas, "PING_SECONDS", PING_SECONDS)
    monkeypatch.setattr(replicas, "CONNECT_SECONDS", PING_SECONDS)
    monkeypatch.setattr(replicas, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(replicas, "PATIENCE_SECONDS", 2 * PING_SECONDS)


@asynccontextmanager
async def connected(*addresses: str):
    pool = ReplicaPool({"encoder": addresses})
    pool.connect()
    try:
        yield pool
    finally:
        await pool.close()


async def send(pool: ReplicaPool, endpoint: str = "/index") -> DataRequest:
    request = DataRequest()
    request.header.exec_endpoint = endpoint
    answer, _ = await pool.send_requests_once(requests=[request], deployment="encoder", head=True, retries=0)
    return answer


async def until_all_up(pool: ReplicaPool) -> None:
    while not all(replica.is_up for replica in pool._replicas["encoder"]):
        await asyncio.sleep(0.01)


async def until_answered(pool: ReplicaPool) -> None:
    async with asyncio.timeout(LATE):
        while True:
            with contextlib.suppress(ServerNotReady):
                await send(pool)
                return


async def is_known_to_be_down(pool: ReplicaPool) -> bool:
    with pytest.raises(ServerNotReady) as raised:
        await send(pool)
    return str(raised.value).startswith("The encoder of the server is down.")


def run(work):
    asyncio.run(asyncio.wait_for(work(), LATE))


def test_equal_replicas_take_turns_and_a_busy_one_gets_fewer_requests():
    async def work():
        free = asyncio.Event()
        busy, idle = Executor(free.wait), Executor()
        async with (
            busy.served() as one,
            idle.served() as other,
            connected(f"127.0.0.1:{one}", f"grpc://127.0.0.1:{other}") as pool,
        ):
            await until_all_up(pool)
            waiting = asyncio.gather(*(send(pool) for _ in range(9)))
            while idle.answered < 4:
                await asyncio.sleep(0)
            quick = [await send(pool) for _ in range(10)]
            assert len(quick) == 10 and busy.answered == 0
            free.set()
            await waiting
        assert (busy.answered, idle.answered) == (5, 14)

    run(work)


@pytest.mark.parametrize("ends", ["cut", "freeze"])
@pytest.mark.parametrize("endpoint", ["/index", "/health"])
def test_a_request_to_a_replica_that_dies_or_freezes_is_sent_once_more_if_that_does_no_harm(ends, endpoint):
    async def work():
        begun = asyncio.Event()

        async def hang():
            begun.set()
            await asyncio.Event().wait()

        lost, other = Executor(hang), Executor()
        async with (
            lost.served() as port,
            other.served() as other_port,
            Link(port) as link,
            connected(link.address, f"127.0.0.1:{other_port}") as pool,
        ):
            await until_all_up(pool)
            asking = asyncio.create_task(send(pool, endpoint))  # the first one takes the first turn
            await begun.wait()
            getattr(link, ends)()
            if endpoint == "/index":
                assert (await asking).header.exec_endpoint == endpoint
            else:
                with pytest.raises(RequestLost, match="The encoder of the server crashed or froze"):
                    await asking
        assert other.answered == (endpoint == "/index")

    run(work)


def test_a_request_that_kills_each_replica_is_sent_to_two_of_them():
    async def work():
        async with AsyncExitStack() as stack:
            links: list[Link] = []
            killed = []

            def kill(number):
                async def work():
                    killed.append(number)
                    links[number].cut()
                    await asyncio.Event().wait()

                return work

            for number in range(3):
                port = await stack.enter_async_context(Executor(kill(number)).served())
                links.append(await stack.enter_async_context(Link(port)))
            async with connected(*(link.address for link in links)) as pool:
                await until_all_up(pool)
                with pytest.raises(RequestLost):
                    await send(pool)
            assert len(killed) == 2

    run(work)


@pytest.mark.parametrize(("error", "sent"), [(ServerNotReady("stopping"), 1), (VideoNotFound("no such video"), 0)])
def test_what_a_replica_refuses_because_it_stops_is_sent_to_another(error, sent):
    async def work():
        stopping, other = Executor(error=error), Executor()
        async with (
            stopping.served() as port,
            other.served() as other_port,
            connected(f"127.0.0.1:{port}", f"127.0.0.1:{other_port}") as pool,
        ):
            await until_all_up(pool)
            answer = await send(pool, "/health")
        assert answer.header.status.exception.name == ("" if sent else "VideoNotFound")
        assert (stopping.answered, other.answered) == (1, sent)

    run(work)


def test_an_executor_that_is_away_is_named_at_once_and_answers_when_it_returns():
    async def work():
        port = free_port("127.0.0.1")
        async with connected(f"127.0.0.1:{port}") as pool:
            started = time.monotonic()
            with pytest.raises(ServerNotReady) as raised:
                await send(pool)
            assert time.monotonic() - started < 5
            assert type(raised.value) is ServerNotReady
            async with Executor().served(port=port):
                await until_answered(pool)

    run(work)


@pytest.mark.parametrize("kind", [ServerNotReady, RequestLost])
def test_the_name_of_the_executor_crosses_the_wire_as_data(kind):
    error = replicas._down("indexer") if kind is ServerNotReady else replicas._lost("indexer", OSError())
    answer = DataRequest()
    answer.add_exception(error)
    translated = _translated(answer.header.status)
    assert (type(translated), translated.executor) == (kind, "indexer")
    assert str(translated) == str(error) and str(translated).startswith("The indexer of the server ")


def test_a_frozen_replica_is_down_and_comes_back_by_itself():
    async def work():
        executor = Executor()
        async with executor.served() as port, Link(port) as link, connected(link.address) as pool:
            await send(pool)
            link.freeze()
            with pytest.raises(RequestLost):
                await send(pool)
            async with asyncio.timeout(LATE):
                while not await is_known_to_be_down(pool):
                    pass
            link.thaw()
            await until_answered(pool)

    run(work)


def test_a_replica_that_freezes_while_idle_is_left_out_too():
    async def work():
        frozen, other = Executor(), Executor()
        async with (
            frozen.served() as port,
            other.served() as other_port,
            Link(port) as link,
            connected(link.address, f"127.0.0.1:{other_port}") as pool,
        ):
            await until_all_up(pool)
            link.freeze()
            replica = pool._replicas["encoder"][0]
            async with asyncio.timeout(LATE):
                while replica.is_up:
                    await asyncio.sleep(0.01)
            for _ in range(4):
                await send(pool)
        assert (frozen.answered, other.answered) == (0, 4)

    run(work)


def test_a_replica_that_works_is_not_taken_for_a_frozen_one(monkeypatch):
    """Its event loop and its interpreter are held up for many pings."""
    monkeypatch.setattr(replicas, "PING_SECONDS", BUSY_SECONDS / 4)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=busy_server.serve, args=(theirs, BUSY_SECONDS))
    process.start()

    async def work():
        assert ours.poll(LATE)
        async with connected(f"127.0.0.1:{ours.recv()}") as pool:
            await until_all_up(pool)
            started = time.monotonic()
            await send(pool)
            assert time.monotonic() - started > BUSY_SECONDS / 2

    try:
        run(work)
    finally:
        process.kill()
        process.join()


def test_a_replica_is_found_at_another_address_behind_its_name():
    async def work():
        with NameServer() as names:
            port = free_port("127.0.0.1")
            async with connected(names.target("encoder-0.pods", port)) as pool:
                with pytest.raises(ServerNotReady) as raised:  # nobody has that name yet
                    await send(pool)
                assert not isinstance(raised.value, RequestLost)
                for address in ("127.0.7.1", "127.0.7.2"):
                    executor = Executor()
                    async with executor.served(address, port):
                        names.addresses["encoder-0.pods"] = address
                        await until_answered(pool)
                    assert executor.answered == 1

    run(work)
