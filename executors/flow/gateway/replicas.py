"""The gateway's connections to the executors: a request goes to a replica that is up, to another if that one dies.

A replica is up while it answers gRPC's pings. Threads of the gRPC library answer them, whatever the executor works on.
So a busy executor stays up for hours, and a frozen process or a lost machine is down after four seconds. Each attempt
to connect looks the replica's name up again: it may return at another address.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from jina.proto.jina_pb2_grpc import JinaSingleDataRequestRPCStub
from jina.serve.networking.utils import get_grpc_channel

from clipseek.api.endpoints import ENDPOINTS
from clipseek.api.errors import RequestLost, ServerNotReady
from clipseek.api.quirks import never_connected

logger = logging.getLogger(__name__)

PING_SECONDS = 2.0  # between two pings, and until the answer of one; the replica is down after both
CONNECT_SECONDS = 1.0  # of an attempt: one that is frozen accepts connections, and says nothing
PAUSE_SECONDS = 0.25  # between two attempts
PATIENCE_SECONDS = 1.5  # of a request while no replica is up: one that has just returned is connected by then
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)  # the replica is away, or ends
_READY, _WAITING = grpc.ChannelConnectivity.READY, (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)

Answer = tuple[Any, Any]  # of an executor: the request that it fills in, and its metadata


def _channel_options() -> dict[str, int]:
    ping_ms = round(1000 * PING_SECONDS)
    return {
        "grpc.keepalive_time_ms": ping_ms,
        "grpc.http2.ping_timeout_ms": ping_ms,  # grpcio 1.85 does not use `grpc.keepalive_timeout_ms`
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,  # no limit
        "grpc.client_idle_timeout_ms": 2**31 - 1,  # never: an idle connection is watched, too
        "grpc.use_local_subchannel_pool": 1,  # a new channel is a new attempt
        "grpc.min_reconnect_backoff_ms": round(1000 * CONNECT_SECONDS),  # the time limit of one attempt
    }


class Replica:
    """One process of an executor, at an address as gRPC takes it, and the connection to it."""

    def __init__(self, executor: str, address: str, interceptors: Sequence[Any] | None = None) -> None:
        self.requests = 0  # under way
        self._executor, self._address, self._interceptors = executor, address.removeprefix("grpc://"), interceptors
        self._channel: Any = None

    @property
    def is_up(self) -> bool:
        return self._channel is not None and self._channel.get_state() is _READY

    async def send(self, request: Any) -> Answer:
        """Raises: AioRpcError: it did not answer. ServerNotReady: it has not begun, because it stops."""
        self.requests += 1
        channel = self._channel  # kept open until the answer
        try:
            call = JinaSingleDataRequestRPCStub(channel).process_single_data(request)
            answer, metadata = await call, await call.trailing_metadata()
        finally:
            self.requests -= 1
        if "is-error" in metadata and answer.status.exception.name == ServerNotReady.__name__:
            raise _down(self._executor)
        return answer, metadata

    async def keep_connected(self, changed: asyncio.Condition) -> None:
        """Connect, and connect again whenever the connection breaks, until cancelled."""
        while True:
            try:
                if channel := await self._connect():
                    await self._set_channel(channel, changed)
                    await channel.wait_for_state_change(_READY)
            except Exception:  # without this task the replica would be lost forever
                logger.exception("The connection to %s at %s failed", self._executor, self._address)
            if self._channel is not None:
                await self._set_channel(None, changed)
            channel = None  # it closes with its last call: a replica that stops may still answer some
            await asyncio.sleep(PAUSE_SECONDS)

    async def _connect(self) -> Any:
        """Returns: a channel that is ready, or None."""
        channel = get_grpc_channel(
            self._address, _channel_options(), asyncio=True, aio_tracing_client_interceptors=self._interceptors
        )
        state = channel.get_state(try_to_connect=True)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while state in _WAITING:
                    await channel.wait_for_state_change(state)
                    state = channel.get_state()
        except TimeoutError:
            pass
        if state is _READY:
            return channel
        await channel.close()
        return None

    async def _set_channel(self, channel: Any, changed: asyncio.Condition) -> None:
        self._channel = channel
        logger.info("%s at %s is %s", self._executor, self._address, "up" if channel else "down")
        async with changed:
            changed.notify_all()


class ReplicaPool:
    """The replicas of every executor. For one event loop; Jina's gateway sends by the methods of these names.

    Args:
        addresses: those of each executor's replicas.
        interceptors: of the calls, for traces.
    """

    def __init__(self, addresses: Mapping[str, Sequence[str]], interceptors: Sequence[Any] | None = None) -> None:
        self._replicas = {
            executor: [Replica(executor, address, interceptors) for address in of_executor]
            for executor, of_executor in addresses.items()
        }
        self._changed = asyncio.Condition()
        self._turn = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    def connect(self) -> None:
        """Connect to all replicas, now and whenever one returns."""
        replicas = itertools.chain.from_iterable(self._replicas.values())
        self._tasks = [asyncio.create_task(replica.keep_connected(self._changed)) for replica in replicas]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send_requests_once(self, requests: Sequence[Any], deployment: str, **_: Any) -> Answer:
        """Send a request to an executor. If its replica is lost, send it once more, to another, unless that does harm.

        Raises: ServerNotReady: no replica is up. RequestLost: one was lost, and no other may or can answer.
        """
        [request] = requests
        row = ENDPOINTS.get(request.header.exec_endpoint)
        lost: ServerNotReady = _down(deployment)
        replica: Replica | None = None
        for _attempt in range(2):
            replica = await self._choose(deployment, but=replica)
            if replica is None:
                break
            try:
                return await replica.send(request)
            except ServerNotReady:
                continue
            except grpc.aio.AioRpcError as error:
                if error.code() not in _LOST:
                    raise
                if not never_connected(error.details()):
                    lost = _lost(deployment, error)
                    if row is None or not row.repeatable:
                        break
        raise lost

    async def _choose(self, executor: str, but: Replica | None) -> Replica | None:
        """The replica with the fewest requests, or None. Equal ones take turns. Waits a moment while none is up."""
        replicas = [replica for replica in self._replicas[executor] if replica is not but]

        def up() -> list[Replica]:
            return [replica for replica in replicas if replica.is_up]

        if replicas and not up():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
                    await self._changed.wait_for(up)
        found = up()
        turn = next(self._turn) % max(1, len(found))
        return min(found[turn:] + found[:turn], key=lambda replica: replica.requests, default=None)


def _down(executor: str) -> ServerNotReady:
    return ServerNotReady(
        f"The {executor} of the server is down. The server restarts it; `clipseek doctor` shows its state.",
        executor=executor,
    )


def _lost(executor: str, error: Exception) -> RequestLost:
    lost = RequestLost(
        f"The {executor} of the server crashed or froze while it worked on the request. The server restarts it. If "
        f"this happens each time, see the server's log.",
        executor=executor,
    )
    lost.__cause__ = error
    return lost
