"""The way to a Flow's gateway and back: one background event loop, Jina's errors translated into ours."""

import asyncio
import logging
import os
import re
import threading
import time
import warnings
from collections import Counter
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

from clipseek.documents import BaseDoc, DocList
from clipseek.errors import (
    ClipSeekError,
    InvalidRequest,
    LimitExceeded,
    RequestLost,
    ServerError,
    ServerFailed,
    ServerNotReady,
    ServerTimeout,
    ServerUnreachable,
    error_from_name,
)
from clipseek.settings import VARIABLES

# Read on import. What gRPC logs of closed connections, the errors say better.
os.environ.setdefault("JINA_OPTOUT_TELEMETRY", "1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # jina imports pkg_resources, which warns of its own end
    import grpc
    from jina import Client as JinaClient
    from jina.excepts import BadServer, BadServerFlow

logger = logging.getLogger(__name__)
D = TypeVar("D", bound=BaseDoc)
T = TypeVar("T")

_CONNECT_SECONDS = 10.0  # a busy server on the other side of the world greets sooner
# What may be done twice with the result of once, and so is asked again when a process of the server died meanwhile.
_IDEMPOTENT = frozenset(
    {
        "/upload",
        "/films",
        "/samples",
        "/probe",
        "/index",
        "/search",
        "/timeline",
        "/calibrate",
        "/clip",
        "/join",
        "/thumbnail",
        "/videos",
        "/delete",
    }
)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 2.0
_MOST_LOST = 3  # to one process: a request that takes it down each time is not to take the service down


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all transports of this process, in a thread of its own.

    One for all: Jina's clients hold a lock of their class while they wait, so several loops would block one another.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="clipseek-client", daemon=True).start()
    return loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop and wait for it; an interrupt here cancels it there."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


class Transport:
    """Sends documents to the Flow at `host`:`port`. Any number may be under way at once.

    While a process of the server is being started again, requests are repeated for `retry_seconds` at most.
    """

    def __init__(self, host: str, port: int, retry_seconds: float) -> None:
        self._host, self._port, self._retry_seconds = host, port, retry_seconds
        self._checked = False
        self._waiting_since = 0.0  # monotonic; 0 while the server answers
        self.address = f"grpc://{host}:{port}"
        self._client = JinaClient(host=host, port=port, protocol="grpc", asyncio=True, log_config="quiet")
        self._client.client.logger.logger.addHandler(logging.NullHandler())  # what fails is raised, not logged

    async def _check(self) -> None:
        """Find out, once and soon, whether a gRPC server is there at all.

        Raises:
            ServerUnreachable.
        """
        if self._checked:
            return
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(self._host.strip("[]"), self._port)
                writer.close()
                async with grpc.aio.insecure_channel(f"{self._host}:{self._port}") as channel:
                    await channel.channel_ready()
        except OSError as error:  # a timeout is one, too
            raise self._unreachable() from error
        self._checked = True

    def _unreachable(self) -> ServerUnreachable:
        return ServerUnreachable(
            f"No ClipSeek server answers at {self.address}. Start one with `clipseek serve`, or name another with "
            f"--host or CLIPSEEK_HOST."
        )

    def _broken_off(self, told: str) -> ServerError:
        """The error for a request that was not answered, out of what gRPC and the gateway tell of it."""
        executor = re.search(r"deployment (\w+) at", told)
        if "failed to connect" not in told:
            who = executor[1] if executor else "gateway"
            return RequestLost(
                f"The {who} of the server at {self.address} ended while it worked on the request. The server starts it "
                f"again. If it happens each time, the server's messages tell more."
            )
        if executor:
            return ServerNotReady(
                f"The {executor[1]} of the server at {self.address} is down; the server starts it again. `clipseek "
                f"doctor` tells more."
            )
        return self._unreachable()

    async def post(self, endpoint: str, doc: D, *, executor: str | None = None, timeout_seconds: float) -> DocList[D]:
        """Send one document, to one executor if named, and return what the Flow answers.

        Raises:
            ClipSeekError: what the server raised, under its own class.
            ServerUnreachable, ServerNotReady, RequestLost, ServerFailed, ServerTimeout.
        """
        begun = time.monotonic()
        await self._check()
        lost: Counter[str] = Counter()  # how often, by what ended
        pause, failed_at = _FIRST_PAUSE_SECONDS, 0.0
        while True:
            left = begun + timeout_seconds - time.monotonic()
            try:
                answers = await self._post_once(endpoint, doc, executor, max(left, 0.0))
            except (ServerNotReady, ServerUnreachable) as error:
                now = time.monotonic()
                failed_at = failed_at or now
                lost[str(error)] += isinstance(error, RequestLost)
                in_time = pause <= left and now + pause - failed_at <= self._retry_seconds
                if endpoint not in _IDEMPOTENT or lost[str(error)] >= _MOST_LOST or not in_time:
                    raise
                self._say_waiting(endpoint, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except TimeoutError as error:
                raise ServerTimeout(
                    f"The server at {self.address} did not answer {endpoint} within {timeout_seconds:.0f} s."
                ) from error
            else:
                if failed_at:
                    self._say_answered(endpoint)
                return answers

    def _say_waiting(self, endpoint: str, error: ServerError) -> None:
        """Log, once for all requests that wait, that the server is asked again."""
        if not self._waiting_since:
            self._waiting_since = time.monotonic()
            logger.warning("%s Asking again for up to %.0f s (%s).", error, self._retry_seconds, endpoint)

    def _say_answered(self, endpoint: str) -> None:
        if self._waiting_since:
            logger.warning("It answers again after %.1f s (%s).", time.monotonic() - self._waiting_since, endpoint)
            self._waiting_since = 0.0

    async def _post_once(self, endpoint: str, doc: D, executor: str | None, timeout_seconds: float) -> DocList[D]:
        kind: type[DocList[D]] = DocList.__class_getitem__(type(doc))
        answers = kind()
        try:
            async with asyncio.timeout(timeout_seconds):
                async for part in self._client.post(
                    on=endpoint,
                    inputs=kind([doc]),
                    target_executor=f"^{executor}$" if executor else None,
                    return_type=kind,
                ):
                    answers.extend(part)
        except BadServer as error:
            raise _translated(error) from error
        except (ConnectionError, BadServerFlow, grpc.aio.AioRpcError) as error:
            if "larger than max" in str(error):
                raise LimitExceeded(
                    f"The request {endpoint} is larger than the server at {self.address} takes "
                    f"({VARIABLES['max_request_mb'][0]})."
                ) from error
            raise self._broken_off(str(error)) from error
        return answers


def _translated(error: BadServer) -> ClipSeekError:
    status = error.args[0].status
    known = error_from_name(status.exception.name, status.exception.args[0] if status.exception.args else "")
    if known:
        return known
    if status.exception.name == "ValidationError":  # pydantic's, of a document that is none of clipseek.schema
        return InvalidRequest(
            "The request holds a document with other fields, or values of another type, than it takes."
        )
    where = status.exception.executor or "the gateway"
    logger.debug("server traceback: %s", "".join(status.exception.stacks))
    what = " ".join([status.exception.name, *status.exception.args]).strip()
    return ServerFailed(f"The server failed in {where}: {what}. Its log has the details.")
