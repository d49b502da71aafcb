"""Asks a process of the Flow again and again whether it is healthy: one that hangs keeps its port and looks alive."""

import os
import threading
import time
from pathlib import Path
from typing import Any

from clipseek.config.tls import certificate_name

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read on import

import grpc

PROBE_SECONDS = 5.0  # in which a process must answer: its event loop does, while its threads work on requests
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"  # the gateway answers it without a token


class Probe:
    """Asks the gRPC health service at `host`:`port`, in a thread of its own, from now on until `close`.

    Args:
        certificate: PEM file with the certificate of the server, if it speaks TLS.
    """

    def __init__(self, host: str, port: int, certificate: str = "", *, seconds: float = PROBE_SECONDS) -> None:
        self._host, self._port, self._certificate, self._seconds = host, port, certificate, seconds
        self._unanswered = 0
        self._closed = threading.Event()
        threading.Thread(target=self._run, name=f"probe-{port}", daemon=True).start()

    @property
    def silent_seconds(self) -> float:
        """For how long every question was left unanswered. This counts whole questions, so that a process that was
        suspended together with this one is not blamed for it."""
        return self._unanswered * self._seconds

    def reset(self) -> None:
        """Forget the silence: another process answers now."""
        self._unanswered = 0

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            started = time.monotonic()
            self._unanswered = 0 if self._is_answered() else self._unanswered + 1
            self._closed.wait(max(0.0, started + self._seconds - time.monotonic()))

    def _is_answered(self) -> bool:
        """Whether there was any answer. A refusal is one: the process has ended, or its certificate has expired."""
        try:
            with self._channel() as channel:
                channel.unary_unary(_HEALTH_CHECK)(b"", timeout=self._seconds)
        except grpc.RpcError as error:
            return bool(error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED)
        except OSError as error:
            return not isinstance(error, TimeoutError)
        return True

    def _channel(self) -> Any:
        """A new connection each time: an old one would first have to notice that its server has restarted."""
        target = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        options: list[tuple[str, int | str]] = [("grpc.use_local_subchannel_pool", 1)]
        if not self._certificate:
            return grpc.insecure_channel(target, options)
        certificate = Path(self._certificate)
        name = certificate_name(self._host, self._port, certificate, self._seconds)
        options.append(("grpc.ssl_target_name_override", name))
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(certificate.read_bytes()), options)
