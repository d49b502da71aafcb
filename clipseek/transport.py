"""The way to a Flow's gateway and back: one background event loop, Jina's errors translated into ours."""

import asyncio
import logging
import os
import threading
import warnings
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from clipseek.documents import BaseDoc, DocList
from clipseek.errors import (
    ClipSeekError,
    InvalidSetting,
    ServerFailed,
    ServerNotReady,
    ServerUnreachable,
    error_from_name,
)
from clipseek.tls import certificate_name

# Read on import. What gRPC logs of closed connections, the errors say better.
os.environ.setdefault("JINA_OPTOUT_TELEMETRY", "1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # jina imports pkg_resources, which warns of its own end
    import jina.clients.base.grpc
    from jina import Client as JinaClient
    from jina.excepts import BadServer
    from jina.serve.networking.utils import get_grpc_channel

logger = logging.getLogger(__name__)
D = TypeVar("D", bound=BaseDoc)
T = TypeVar("T")

_CONNECT_SECONDS = 10.0  # a busy server on the other side of the world greets sooner


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
        token: str = "",
        library: str = "",
        tls: bool = False,
        tls_ca: str = "",
        own_certificate: str = "",
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._own_certificate = own_certificate
        self._options: list[tuple[str, str]] = []
        self._metadata = _metadata(token, library)
        self._checked = False
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

    async def post(self, endpoint: str, doc: D, *, executor: str | None = None, timeout_seconds: float) -> DocList[D]:
        """Send one document, to one executor if named, and return what the Flow answers.

        Raises:
            ClipSeekError: what the server raised, under its own class.
            ServerUnreachable, ServerNotReady, ServerFailed.
        """
        await self._check()
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
        except TimeoutError as error:
            raise ServerFailed(
                f"The server at {self.address} did not answer {endpoint} within {timeout_seconds:.0f} s."
            ) from error
        except ConnectionError as error:
            raise self._unreachable() from error
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
    where = status.exception.executor or "the gateway"
    lost = status.exception.name in ("InternalNetworkError", "ConnectionError", "")
    if lost or "failed to connect" in status.description:
        what = status.description.strip() or where
        return ServerNotReady(f"An executor of the server does not answer ({what}). Restart the server: clipseek serve")
    logger.debug("server traceback: %s", "".join(status.exception.stacks))
    what = " ".join([status.exception.name, *status.exception.args]).strip()
    return ServerFailed(f"The server failed in {where}: {what}. Its log has the details.")
