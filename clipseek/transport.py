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
from pathlib import Path
from typing import Any, TypeVar

from clipseek.documents import BaseDoc, DocList
from clipseek.errors import (
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
from clipseek.settings import VARIABLES
from clipseek.tls import certificate_name

# Read on import. What gRPC logs of closed connections, the errors say better.
os.environ.setdefault("JINA_OPTOUT_TELEMETRY", "1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # jina imports pkg_resources, which warns of its own end
    import grpc
    import jina.clients.base.grpc
    from jina import Client as JinaClient
    from jina.excepts import BadServer, BadServerFlow
    from jina.serve.networking.utils import get_grpc_channel

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


_trusted: dict[str, bytes] = {}  # HOST:PORT -> PEM of the certificates that may have issued its own


def _channel(target: str, *args: Any, **kwargs: Any) -> Any:
    return get_grpc_channel(target, *args, root_certificates=_trusted.get(target), **kwargs)


jina.clients.base.grpc.get_grpc_channel = _channel  # Jina's clients have no option for it


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

    Args:
        token, library: who is asking, and for which library; empty, whoever is let in, and the token's first.
        tls: whether the server speaks TLS.
        tls_ca: PEM file of the authority to trust, instead of those that gRPC knows.
        own_certificate: PEM file of the certificate of a server on this machine, trusted whatever name is in it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        retry_seconds: float,
        token: str = "",
        library: str = "",
        tls: bool = False,
        tls_ca: str = "",
        own_certificate: str = "",
    ) -> None:
        self._host, self._port, self._retry_seconds, self._tls = host, port, retry_seconds, tls
        self._own_certificate = own_certificate
        self._options: list[tuple[str, str]] = []
        self._metadata = _metadata(token, library)
        self._checked = False
        self._waiting_since = 0.0  # monotonic; 0 while the server answers
        self.address = f"grpc{'s' if tls else ''}://{host}:{port}"
        if trusted := own_certificate or tls_ca:
            _trusted[f"{host}:{port}"] = _read_pem(trusted)
        self._client = JinaClient(host=host, port=port, protocol="grpc", tls=tls, asyncio=True, log_config="quiet")
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
                if self._own_certificate:
                    await self._take_name_of(Path(self._own_certificate))
                async with _channel(
                    f"{self._host}:{self._port}", self._options, asyncio=True, tls=self._tls
                ) as channel:
                    await channel.channel_ready()
        except OSError as error:  # a timeout is one, too
            raise self._unreachable() from error
        self._checked = True

    async def _take_name_of(self, certificate: Path) -> None:
        name = await asyncio.to_thread(certificate_name, self._host.strip("[]"), self._port, certificate)
        self._options = [("grpc.ssl_target_name_override", name)]
        self._client.client.args.grpc_channel_options = self._options

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
                    metadata=self._metadata,
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


def _read_pem(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidSetting(f"The certificates to trust cannot be read from '{path}' ({error.strerror}).") from error


def _metadata(token: str, library: str) -> tuple[tuple[str, str], ...]:
    """What the gateway knows a caller by. Raises: InvalidSetting: a token cannot look like this."""
    if not token.isascii() or not token.isprintable():
        raise InvalidSetting("CLIPSEEK_TOKEN is no token: it has characters that none has. Copy it once more.")
    said = (("authorization", f"Bearer {token}" if token else ""), ("clipseek-library", library))
    return tuple((key, value) for key, value in said if value)


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
