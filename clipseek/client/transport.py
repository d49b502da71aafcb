"""The way to a Flow's gateway and back: one background event loop, Jina's errors translated into ours."""

import asyncio
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from clipseek.api.base_document import BaseDoc, DocList
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
from clipseek.client.connection import Broken, Connection, DataRequest, StatusProto
from clipseek.config.settings import variable_of

logger = logging.getLogger(__name__)
D = TypeVar("D", bound=BaseDoc)
T = TypeVar("T")

# What may be done twice with the result of once, and so is asked again when a process of the server died meanwhile.
_IDEMPOTENT = frozenset(
    {
        "/upload",
        "/server_videos",
        "/videos",
        "/samples",
        "/probe",
        "/index",
        "/search",
        "/timeline",
        "/calibrate",
        "/clip",
        "/join",
        "/thumbnail",
        "/delete",
    }
)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 2.0
_MOST_LOST = 3  # to one process: a request that takes it down each time is not to take the service down


class _Background:
    """The event loop of all transports of this process, in a thread of its own: one, so that any thread may use any
    client, whose connection belongs to one loop.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._making = threading.Lock()
        self.is_lost = False  # this process was forked: thread and connections stayed in the other one

    def loop(self) -> asyncio.AbstractEventLoop:
        """Started when it is asked for first."""
        with self._making:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="clipseek-client", daemon=True).start()
            return self._loop

    def note_fork(self) -> None:
        """To be called in the new process."""
        self.is_lost, self._making = self._loop is not None, threading.Lock()


_background = _Background()
os.register_at_fork(after_in_child=_background.note_fork)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop and wait for it; an interrupt here cancels it there.

    Raises:
        InvalidRequest: this process was forked from one that had done so.
    """
    if _background.is_lost:
        work.close()
        raise InvalidRequest(
            "This process was forked from one that had used a ClipSeek client, and gRPC does not survive that. Start "
            "processes with multiprocessing's 'spawn', or use no client before they are started."
        )
    future = asyncio.run_coroutine_threadsafe(work, _background.loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


class Transport:
    """Sends documents to the Flow at `host`:`port`. Any number may be under way at once.

    While a process of the server is being started again, requests are repeated for `retry_seconds` at most.

    Args:
        timeout_seconds: how long a request may take that does not say so itself.
        token, library: who is asking, and for which library; empty, whoever is let in, and the token's first.
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

    async def close(self) -> None:
        """End the connection. A later request makes it anew."""
        await self._connection.close()

    async def _connect(self) -> None:
        """Raises: ServerUnreachable."""
        try:
            await self._connection.open()
        except OSError as error:  # a timeout is one, too
            raise self._unreachable() from error

    def _unreachable(self) -> ServerUnreachable:
        trust = " Or its certificate is not one to trust: set CLIPSEEK_TLS_CA to its authority's." if self._tls else ""
        return ServerUnreachable(
            f"No ClipSeek server answers at {self.address}. Start one with `clipseek serve`, or name another with "
            f"--host or CLIPSEEK_HOST.{trust}"
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

    async def post_one(
        self, endpoint: str, doc: D, *, executor: str | None = None, timeout_seconds: float | None = None
    ) -> D:
        """As `post`, where one document is the answer."""
        answers = await self.post(endpoint, doc, executor=executor, timeout_seconds=timeout_seconds)
        if len(answers) != 1:
            raise ServerFailed(
                f"The server at {self.address} answered {endpoint} with {len(answers)} documents, not 1."
            )
        return answers[0]

    async def post(
        self, endpoint: str, doc: D, *, executor: str | None = None, timeout_seconds: float | None = None
    ) -> DocList[D]:
        """Send one document, to one executor if named, and return what the Flow answers.

        Raises:
            ClipSeekError: what the server raised, under its own class.
            ServerUnreachable, ServerNotReady, RequestLost, ServerFailed, ServerTimeout.
        """
        begun = time.monotonic()
        timeout_seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        await self._connect()
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
        request = DataRequest()
        request.header.exec_endpoint = endpoint
        if executor:
            request.header.target_executor = f"^{executor}$"
        request.data.docs = kind([doc])
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._connection.send(request, self._metadata)
        except Broken as error:
            if "larger than max" in (error.details() or ""):
                raise LimitExceeded(
                    f"The request {endpoint} is larger than the server at {self.address} takes "
                    f"({variable_of('max_request_mb')})."
                ) from error
            if error.code().name == "UNIMPLEMENTED":
                raise InvalidSetting(
                    f"What answers at {self.address} is no ClipSeek server, but perhaps `clipseek compat`. Name the "
                    f"server with --host or CLIPSEEK_HOST."
                ) from error
            raise self._broken_off(error.details() or str(error.code())) from error
        if answer.header.status.code >= StatusProto.ERROR:
            raise _translated(answer.header.status)
        answer.document_array_cls = kind
        answers: DocList[D] = answer.docs
        return answers


def _metadata(token: str, library: str) -> tuple[tuple[str, str], ...]:
    """What the gateway knows a caller by. Raises: InvalidSetting: a token cannot look like this."""
    if not token.isascii() or not token.isprintable():
        raise InvalidSetting("CLIPSEEK_TOKEN is no token: it has characters that none has. Copy it once more.")
    said = (("authorization", f"Bearer {token}" if token else ""), ("clipseek-library", library))
    return tuple((key, value) for key, value in said if value)


def _translated(status: Any) -> ClipSeekError:
    """The error that an answer's status tells of."""
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
