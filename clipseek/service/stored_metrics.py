"""What the stores hold, for Prometheus: read again whenever one of them has changed since the last scrape."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clipseek.api.errors import ClipSeekError, StoreError
from clipseek.config.libraries import libraries_below, library_folder
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module

_DATABASE_SECONDS = 60.0  # between two looks into a store in PostgreSQL, which does not show that it has changed
State = tuple[object, ...]


class StoredMetrics(Collector):
    """Videos, hours and frames of the stores of some libraries, by default of all. Without stores: no metrics."""

    def __init__(self, settings: Settings, libraries: Callable[[], list[str]] | None = None) -> None:
        self._settings = settings
        self._libraries = libraries or (lambda: self._report("libraries"))
        self._state: State = ()
        self._totals: list[dict[str, Any]] = []

    def describe(self) -> list[Metric]:
        """Nothing: a registry would otherwise read the stores to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the stores. Those that cannot be read are left out, and counted."""
        state = self._find_state()  # before the stores are read: a later change is seen next time
        if state != self._state or any(store["problem"] for store in self._totals):
            self._totals, self._state = self._read_totals(), state
        if not self._totals:
            return
        readable = [store for store in self._totals if not store["problem"]]
        unreadable = len(self._totals) - len(readable)
        videos, seconds, frames = (sum(store[name] for store in readable) for name in ("videos", "seconds", "frames"))
        yield GaugeMetricFamily("clipseek_stored_videos", "Videos in all libraries.", videos)
        yield GaugeMetricFamily("clipseek_stored_hours", "Their length in hours.", seconds / 3600)
        yield GaugeMetricFamily("clipseek_stored_frames", "Their frames that are in the index.", frames)
        yield GaugeMetricFamily("clipseek_unreadable_stores", "Stores that could not be read.", unreadable)

    def _read_totals(self) -> list[dict[str, Any]]:
        names: list[str] = []
        try:
            names = self._libraries()
            return self._report("totals", *names) if names else []
        except ClipSeekError as error:
            return [{"problem": str(error)}] * max(1, len(names))

    def _report(self, *arguments: str) -> list[Any]:
        report = "executors.faiss_indexer.store.report"
        answers: list[Any] = call_module(report, *arguments, failure=StoreError, environ=self._settings.to_env())
        return answers

    def _find_state(self) -> State:
        """What changes whenever a store does: size and time of each SQLite file and of its log."""
        if self._settings.store:
            return (time.monotonic() // _DATABASE_SECONDS,)
        states = []
        for library in libraries_below(self._settings.home):
            for name in ("index.db", "index.db-wal"):
                with contextlib.suppress(FileNotFoundError):
                    stat = (library_folder(self._settings.home, library) / name).stat()
                    states.append((library, name, stat.st_size, stat.st_mtime_ns))
        return tuple(states)
