"""One gRPC connection to a Flow's gateway, kept open from one request to the next."""

import asyncio
import os
from pathlib import Path
from typing import Any

from clipseek.api.errors import InvalidSetting
from clipseek.config.tls import certificate_name
from clipseek.wire.messages import METHOD, Request

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read on import; our errors explain closed connections better

import grpc

Broken = grpc.aio.AioRpcError  # a request was not answered; see its `code()` and `details()`
_CONNECT_SECONDS = 10.0  # a busy server on the other side of the world answers sooner
_OPTIONS = {
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,  # one connection for each client
    # Find a restarted server at once, and not after gRPC's own pause of up to two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 10_000,  # the time limit of one attempt
    "grpc.max_reconnect_backoff_ms": 500,
    # Routers drop silent connections: ping while a request waits, and close the connection when none does.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.client_idle_timeout_ms": 180_000,
}


class Connection:
    """A connection to the gateway at `host`:`port`, for one event loop. The first request opens it, and after a break
    the next one does.

    Args:
        tls: whether the server speaks TLS.
        tls_ca: PEM file of the authority to trust, instead of those that gRPC trusts.
        own_certificate: PEM file with the certificate of a server on this machine, trusted for any name.

    Raises: InvalidSetting: the certificates cannot be read.
    """

    def __init__(self, host: str, port: int, *, tls: bool = False, tls_ca: str = "", own_certificate: str = "") -> None:
        self._host, self._port, self._tls, self._own_certificate = host.strip("[]"), port, tls, own_certificate
        self._target = f"{host}:{port}"
        trusted = own_certificate or tls_ca
        self._trusted = _read_pem(trusted) if trusted else None
        self._channel: Any = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect, once, to find out soon whether a gRPC server is there at all. Raises: OSError: none answers."""
        async with self._opening:
            if self._channel is None:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    self._channel = await self._open_channel()

    async def _open_channel(self) -> Any:
        _, writer = await asyncio.open_connection(
            self._host, self._port
        )  # fails at once on a port where nobody listens
        writer.close()
        options: dict[str, int | str] = dict(_OPTIONS)
        if self._own_certificate:
            options["grpc.ssl_target_name_override"] = await asyncio.to_thread(
                certificate_name, self._host, self._port, Path(self._own_certificate)
            )
        if self._tls:
            credentials = grpc.ssl_channel_credentials(root_certificates=self._trusted)
            channel = grpc.aio.secure_channel(self._target, credentials, list(options.items()))
        else:
            channel = grpc.aio.insecure_channel(self._target, list(options.items()))
        try:
            await channel.channel_ready()
        except BaseException:
            await channel.close()
            raise
        return channel

    async def send(self, request: Any, metadata: tuple[tuple[str, str], ...]) -> Any:
        """Send a `Request` and wait for its answer, another one. Cancelling the caller cancels it on the server.

        Raises: Broken: it was not answered.
        """
        call = self._channel.unary_unary(METHOD, Request.SerializeToString, Request.FromString)
        return await call(request, metadata=metadata)

    async def close(self) -> None:
        """Close the connection, and drop the requests under way. The next request opens a new one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()


def _read_pem(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidSetting(f"The certificates to trust cannot be read from '{path}' ({error.strerror}).") from error
