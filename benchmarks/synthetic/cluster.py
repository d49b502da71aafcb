"""The parts of the service as processes on one machine, each at an address of its own behind a name, as pods have."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import grpc
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.synthetic.names import NameServer
from clipseek.api.endpoints import EXECUTORS
from clipseek.client import Client
from clipseek.machine.ports import free_port
from clipseek.service.run import PROCESS_ENVIRONMENT

GATEWAY = "gateway"
ONE_OF_EACH = dict.fromkeys((*EXECUTORS, GATEWAY), 1)
READY_SECONDS = 120.0
_ROOT = Path(__file__).parents[2]
_OPTIONS = ["--grpc-server-options", '{"grpc.http2.max_ping_strikes": 0}', "--retries", "0"]


class Cluster:
    """Parts named `KIND-NUMBER`, e.g. "image_encoder-0" and "gateway-0". None runs at first.

    Args:
        folder: of all that they keep.
        model: the folder of their model.
        counts: how many of each kind.
        store: as CLIPSEEK_STORE; empty: SQLite in the folder.
        media: as CLIPSEEK_MEDIA; with a URL, no part shares a folder with another one.
    """

    def __init__(
        self, folder: Path, model: Path, counts: Mapping[str, int] = ONE_OF_EACH, store: str = "", media: str = ""
    ) -> None:
        self.parts = [f"{kind}-{number}" for kind, count in counts.items() for number in range(count)]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder, self._model, self._store, self._media = folder, model, store, media
        self._names, self._port = NameServer(), free_port("127.0.0.1")
        self._new_addresses = (f"127.0.{high}.{low}" for high in range(80, 256) for low in range(1, 255))
        flow = yaml.safe_load((_ROOT / "flow.yml").read_text(encoding="utf-8"))
        self._executors: dict[str, dict[str, Any]] = {executor["name"]: executor for executor in flow["executors"]}

    def __enter__(self) -> Self:
        self._names.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self._names.__exit__(None, None, None)

    def start(self, *parts: str, moved: bool = False) -> None:
        """Start parts, each at the address that it had, or at a new one."""
        for part in parts:
            addresses = self._names.addresses
            if moved or _name(part) not in addresses:
                addresses[_name(part)] = next(self._new_addresses)
            with (self._folder / f"{part}.log").open("ab") as log:
                self.processes[part] = subprocess.Popen(
                    [sys.executable, "-m", "executors.flow.pod", *self._arguments(part)],
                    env={**os.environ, **PROCESS_ENVIRONMENT, **self._settings(part)},
                    cwd=_ROOT,
                    stdout=log,
                    stderr=log,
                )

    def wait_until_serving(self, parts: Iterable[str]) -> None:
        """What the probes of Kubernetes ask. Raises: RpcError: a part does not serve in time."""
        for part in parts:
            with grpc.insecure_channel(self.address(part)) as channel:
                asked = health_pb2_grpc.HealthStub(channel).Check
                asked(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=READY_SECONDS)

    def kill(self, part: str) -> None:
        self._end(part, signal.SIGKILL)

    def stop(self, part: str) -> int:
        """Ask it to end, as a cluster does, and wait. Returns: its exit code."""
        return self._end(part, signal.SIGTERM)

    def freeze(self, part: str) -> None:
        self.processes[part].send_signal(signal.SIGSTOP)

    def thaw(self, part: str) -> None:
        self.processes[part].send_signal(signal.SIGCONT)

    def address(self, part: str) -> str:
        return f"{self._names.addresses[_name(part)]}:{self._port}"

    def client(
        self, gateway: str = "gateway-0", *, retry_seconds: float = 60.0, timeout_seconds: float = 600.0
    ) -> Client:
        host = f"grpc://{self.address(gateway)}"
        return Client(host, retry_seconds=retry_seconds, timeout_seconds=timeout_seconds)

    def log(self, part: str) -> str:
        return (self._folder / f"{part}.log").read_text(encoding="utf-8")

    def _end(self, part: str, number: int) -> int:
        process = self.processes.pop(part)
        process.send_signal(number)
        return process.wait(READY_SECONDS)

    def _arguments(self, part: str) -> list[str]:
        kind = _kind(part)
        own = ["--host", self._names.addresses[_name(part)], "--port", str(self._port), *_OPTIONS]
        if kind == GATEWAY:
            chain = dict(pairwise(["start-gateway", *EXECUTORS, "end-gateway"]))
            graph = {name: [following] for name, following in chain.items()}
            modules = ["executors.flow.gateway.gateway"]
            addresses = {executor: self._targets(executor) for executor in EXECUTORS}
            described = ["--graph-description", json.dumps(graph), "--deployments-addresses", json.dumps(addresses)]
            return ["gateway", "--uses", "ClipSeekGateway", "--py-modules", *modules, *described, *own]
        executor = self._executors[kind]
        return ["executor", "--name", kind, "--uses", executor["uses"], "--py-modules", *executor["py_modules"], *own]

    def _targets(self, executor: str) -> list[str]:
        return [self._names.target(_name(part), self._port) for part in self.parts if _kind(part) == executor]

    def _settings(self, part: str) -> dict[str, str]:
        return {
            "CLIPSEEK_HOME": str(self._folder / (part if self._media else _kind(part))),
            "CLIPSEEK_CACHE": str(self._folder / f"{part}-cache"),
            "CLIPSEEK_MODEL": str(self._model),
            "CLIPSEEK_STORE": self._store,
            "CLIPSEEK_MEDIA": self._media,
            "CLIPSEEK_FLOW_SECRET": "a secret of all parts",
            "CLIPSEEK_WORDS": "off",
            "CLIPSEEK_LOG_LEVEL": "INFO",  # a line for each request
        }


def _kind(part: str) -> str:
    return part.rpartition("-")[0]


def _name(part: str) -> str:
    return f"{part.replace('_', '-')}.pods"
