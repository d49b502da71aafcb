"""`/metrics` of the whole service, on one address: what its processes counted, and what is seen of them from here."""

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

from clipseek.config.libraries import libraries_below, library_folder
from clipseek.config.settings import Settings
from clipseek.config.shards import store_folders
from clipseek.service.stored_metrics import StoredMetrics
from clipseek.service.supervise import ProcessState

_SERVER = "server"  # the process that runs the others, this one
_HELPERS = "-helpers"  # follows the name of the process that started them: the loader's decoders
_LIVE = re.compile(r"gauge_live[a-z]+_(\d+)\.db")


class ProcessMetrics(Collector):
    """Whether each process is up, how often it was started again, its memory and its processor time."""

    def __init__(self, states: Callable[[], Iterable[ProcessState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """Look at the processes."""
        up = GaugeMetricFamily("clipseek_process_up", "Whether the process answers.", labels=["process"])
        restarts = CounterMetricFamily("clipseek_restarts", "Times it was started again.", labels=["process"])
        memory = GaugeMetricFamily("clipseek_process_resident_bytes", "Its memory.", labels=["process"])
        time = CounterMetricFamily("clipseek_process_cpu_seconds", "Processor time that it took.", labels=["process"])
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
    """What the processes counted in their files in a folder; of those that ended, without what was under way there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: Any = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        """Read the files."""
        for file in self._folder.iterdir():
            if (live := _LIVE.fullmatch(file.name)) and not psutil.pid_exists(int(live[1])):
                file.unlink(missing_ok=True)
        counted: Iterable[Metric] = self._all.collect()
        return counted


@contextlib.contextmanager
def metrics_served(settings: Settings, counts: Path, states: Callable[[], Iterable[ProcessState]]) -> Iterator[None]:
    """Serve `/metrics` meanwhile, where a port for it is set.

    Args:
        counts: folder where the processes keep their counts.
    """
    if not settings.metrics_port:
        yield
        return
    registry = CollectorRegistry()
    for collector in (CountedMetrics(counts), ProcessMetrics(states), StoredMetrics(lambda: _stores(settings.home))):
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


def _stores(home: Path) -> list[Path]:
    return [store for name in libraries_below(home) for store in store_folders(library_folder(home, name))]
