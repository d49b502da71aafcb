"""`/metrics` of the whole service at one address: what its processes counted, and what this process sees of them."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from clipseek.config.settings import Settings
from clipseek.service.stored_metrics import StoredMetrics
from clipseek.service.supervise import ProcessState

_SERVER = "server"  # the process that runs the others, this one
_HELPERS = "-helpers"  # appended to the name of the process that started them, such as the loader for its decoders
_LIVE = re.compile(r"gauge_live[a-z]+_(\d+)\.db")


class ProcessMetrics(Collector):
    """Whether each process is up, how often it was restarted, its memory and its processor time."""

    def __init__(self, states: Callable[[], Iterable[ProcessState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("clipseek_process_up", "Whether the process answers.", labels=["process"])
        restarts = CounterMetricFamily("clipseek_restarts", "Times it was restarted.", labels=["process"])
        memory = GaugeMetricFamily("clipseek_process_resident_bytes", "Its memory.", labels=["process"])
        time = CounterMetricFamily("clipseek_process_cpu_seconds", "Processor time it used.", labels=["process"])
        for state in self._states():
            up.add_metric([state.name], float(state.is_up))
            restarts.add_metric([state.name], state.restarts)
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(state.pid)
                _add_use(memory, time, state.name, [process])
                if helpers := process.children(recursive=True):
                    _add_use(memory, time, state.name + _HELPERS, helpers)
        _add_use(memory, time, _SERVER, [psutil.Process()])
        yield from (up, restarts, memory, time)


class CountedMetrics(Collector):
    """What the processes counted, from their files in a folder. Gauges of processes that ended are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: Any = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        for file in self._folder.iterdir():
            if (live := _LIVE.fullmatch(file.name)) and not psutil.pid_exists(int(live[1])):
                file.unlink(missing_ok=True)
        yield from self._all.collect()


@contextlib.contextmanager
def serve_metrics(settings: Settings, counts: Path, states: Callable[[], Iterable[ProcessState]]) -> Iterator[None]:
    """Serve `/metrics` inside the context, if a port for it is set. The processes count in the folder `counts`."""
    if not settings.metrics_port:
        yield
        return

    registry = CollectorRegistry()
    for collector in (CountedMetrics(counts), ProcessMetrics(states), StoredMetrics(settings)):
        registry.register(collector)
    server, _ = start_http_server(settings.metrics_port, settings.metrics_bind, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _add_use(memory: GaugeMetricFamily, time: CounterMetricFamily, name: str, processes: list[psutil.Process]) -> None:
    used_bytes, used_seconds = 0, 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            used_bytes += process.memory_info().rss
            times = process.cpu_times()
            used_seconds += times.user + times.system
    memory.add_metric([name], used_bytes)
    time.add_metric([name], used_seconds)
