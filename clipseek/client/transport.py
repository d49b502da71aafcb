"""The way to a Flow's gateway and back: one background event loop, repeats after a crash, errors translated."""

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from clipseek.api.base_document import Document, dataclass_of
from clipseek.api.endpoints import ENDPOINTS
from clipseek.api.errors import (
    ClipSeekError,
    InvalidRequest,
    InvalidSetting,
    LimitExceeded,
    RequestLost,
    ServerError,
    ServerFailed,
    ServerNotReady,
    ServerTimeout,
    ServerUnreachable,
    error_from_name,
)
from clipseek.api.quirks import never_connected
from clipseek.client.connection import Broken, Connection
from clipseek.config.settings import variable_of
from clipseek.wire.document_messages import read_document, write_document
from clipseek.wire.messages import ERROR, Request

logger = logging.getLogger(__name__)
D = TypeVar("D", bound=Document)
T = TypeVar("T")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 2.0
_MAX_LOST = 3  # to one process: a request that crashes it each time must not crash the whole service


class _Background:
    """The one event loop of all transports of this process, in a thread of its own.

    A connection belongs to one loop, so with one loop any thread may use any client.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self.is_lost = False  # this process was forked: thread and connections stayed in the parent

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="clipseek-client", daemon=True).start()
            return self._loop

    def note_fork(self) -> None:
        """Call this in the new process."""
        self.is_lost, self._lock = self._loop is not None, threading.Lock()


_background = _Background()
os.register_at_fork(after_in_child=_background.note_fork)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop and wait for it; an interrupt here cancels it there.

    Raises: InvalidRequest: this process was forked from one that had used a client.
    """
    if _background.is_lost:
        work.close()
        raise InvalidRequest(
            "This process was forked from one that had used a ClipSeek client, and gRPC does not survive a fork. Start "
            "processes with multiprocessing's 'spawn', or fork before you use a client."
        )
    future = asyncio.run_coroutine_threadsafe(work, _background.loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


class Transport:
    """Sends documents to the Flow at `host`:`port`. Any number of requests may be under way at once.

    While the server restarts one of its processes, requests are repeated for `retry_seconds` at most.

    Args:
        timeout_seconds: the time limit of a request that sets none itself.
        token, library: the caller and the library; empty: no token, and the token's first library.
        tls, tls_ca, own_certificate: as of `Connection`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        retry_seconds: float,
        timeout_seconds: float = 600.0,
        token: str = "",
        library: str = "",
        tls: bool = False,
        tls_ca: str = "",
        own_certificate: str = "",
    ) -> None:
        self._timeout_seconds, self._retry_seconds, self._tls = timeout_seconds, retry_seconds, tls
        self._metadata = _metadata(token, library)
        self._waiting_since = 0.0  # monotonic; 0 while the server answers
        self.address = f"grpc{'s' if tls else ''}://{host}:{port}"
        self._connection = Connection(host, port, tls=tls, tls_ca=tls_ca, own_certificate=own_certificate)

    def work_for(self, caller: str) -> None:
        """Say from now on whose job the requests are for. The gateway listens to the service itself only."""
        self._metadata = (*self._metadata, ("clipseek-filed-by", caller))

    async def close(self) -> None:
        await self._connection.close()

    async def _connect(self) -> None:
        try:
            await self._connection.open()
        except OSError as error:  # a timeout is an OSError, too
            raise self._unreachable() from error

    def _unreachable(self) -> ServerUnreachable:
        trust = " If its certificate is not trusted, set CLIPSEEK_TLS_CA to that of its authority." if self._tls else ""
        return ServerUnreachable(
            f"No ClipSeek server answers at {self.address}. Start one with `clipseek serve`, or name another with "
            f"--host or CLIPSEEK_HOST.{trust}"
        )

    def _broken(self, error: Any, endpoint: str) -> ClipSeekError:
        code = error.code().name
        if code == "RESOURCE_EXHAUSTED":
            return LimitExceeded(
                f"The request {endpoint} is larger than the server at {self.address} allows "
                f"({variable_of('max_request_mb')}).",
                setting=variable_of("max_request_mb"),
            )
        if code == "UNIMPLEMENTED":
            return InvalidSetting(
                f"The program at {self.address} is not a ClipSeek server, but perhaps `clipseek compat`. Name the "
                f"server with --host or CLIPSEEK_HOST."
            )
        if never_connected(error.details()):
            return self._unreachable()
        return RequestLost(
            f"The gateway of the server at {self.address} crashed while it worked on the request. The server restarts "
            f"it. If this happens each time, see the server's log.",
            executor="gateway",
        )

    async def post_one(
        self, endpoint: str, doc: D, *, executor: str | None = None, timeout_seconds: float | None = None
    ) -> D:
        """As `post`, where the answer is one document."""
        answers = await self.post(endpoint, doc, executor=executor, timeout_seconds=timeout_seconds)
        if len(answers) != 1:
            raise ServerFailed(
                f"The server at {self.address} answered {endpoint} with {len(answers)} documents, not 1."
            )
        return answers[0]

    async def post(
        self, endpoint: str, doc: D, *, executor: str | None = None, timeout_seconds: float | None = None
    ) -> list[D]:
        """Send one document and return what the Flow answers, or those of its executors that `executor` names.

        Raises: ClipSeekError: what the server raised, under its own class. ServerUnreachable, ServerNotReady,
            RequestLost, ServerFailed, ServerTimeout.
        """
        started = time.monotonic()
        timeout_seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        await self._connect()
        lost: Counter[str] = Counter()  # how often, by the process that crashed
        pause, failed_at = _FIRST_PAUSE_SECONDS, 0.0
        while True:
            left = started + timeout_seconds - time.monotonic()
            try:
                answers = await self._post_once(endpoint, doc, executor, max(left, 0.0))
            except (ServerNotReady, ServerUnreachable) as error:
                now = time.monotonic()
                failed_at = failed_at or now
                if isinstance(error, RequestLost):
                    lost[error.executor] += 1
                in_time = pause <= left and now + pause - failed_at <= self._retry_seconds
                is_repeatable = endpoint in ENDPOINTS and ENDPOINTS[endpoint].repeatable
                if not is_repeatable or max(lost.values(), default=0) >= _MAX_LOST or not in_time:
                    raise
                self._log_waiting(endpoint, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except TimeoutError as error:
                raise ServerTimeout(
                    f"The server at {self.address} did not answer {endpoint} within {timeout_seconds:.0f} s."
                ) from error
            else:
                if failed_at:
                    self._log_answered(endpoint)
                return answers

    def _log_waiting(self, endpoint: str, error: ServerError) -> None:
        if not self._waiting_since:
            self._waiting_since = time.monotonic()
            logger.warning("%s Trying again for up to %.0f s (%s).", error, self._retry_seconds, endpoint)

    def _log_answered(self, endpoint: str) -> None:
        if self._waiting_since:
            waited_seconds = time.monotonic() - self._waiting_since
            logger.warning("The server answers again after %.1f s (%s).", waited_seconds, endpoint)
            self._waiting_since = 0.0

    async def _post_once(self, endpoint: str, doc: D, executor: str | None, timeout_seconds: float) -> list[D]:
        request = Request()
        request.header.exec_endpoint = endpoint
        request.header.target_executor = executor or ""
        write_document(doc, request.data.docs.docs.add())
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._connection.send(request, self._metadata)
        except Broken as error:
            raise self._broken(error, endpoint) from error
        if answer.header.status.code == ERROR:
            raise _translated(answer.header.status)
        return [read_document(message, dataclass_of(type(doc))) for message in answer.data.docs.docs]


def _metadata(token: str, library: str) -> tuple[tuple[str, str], ...]:
    """The metadata by which the gateway knows a caller. Raises: InvalidSetting: this cannot be a token."""
    if not token.isascii() or not token.isprintable():
        raise InvalidSetting("CLIPSEEK_TOKEN contains characters that no token has. Copy the token again.")
    entries = (("authorization", f"Bearer {token}" if token else ""), ("clipseek-library", library))
    return tuple((key, value) for key, value in entries if value)


def _translated(status: Any) -> ClipSeekError:
    exception = status.exception
    error = error_from_name(exception.name, *list(exception.args[:2]) or [""])
    if error:
        return error
    if exception.name == "ValidationError":  # pydantic's: the document is not one of clipseek.schema
        return InvalidRequest(
            "The request holds a document with other fields, or with values of another type, than the endpoint takes."
        )
    logger.debug("server traceback: %s", "".join(exception.stacks))
    cause = " ".join([exception.name, *exception.args]).strip()
    return ServerFailed(
        f"The server failed in {exception.executor or 'the gateway'}: {cause}. Its log has the details."
    )
