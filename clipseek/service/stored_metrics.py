"""What the stores hold, for Prometheus: read again whenever one of them has changed since the last scrape."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clipseek.api.errors import ClipSeekError, StoreError
from clipseek.machine.module_call import call_module

FileStates = tuple[tuple[str, int, int], ...]


class StoredMetrics(Collector):
    """Videos, hours and frames of the stores in all `folders()`, each with an `index.db`. None: no metrics."""

    def __init__(self, folders: Callable[[], list[Path]]) -> None:
        self._folders = folders
        self._states: FileStates = ()
        self._totals: list[dict[str, Any]] = []

    def describe(self) -> list[Metric]:
        """Nothing: a registry would otherwise read the stores to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the stores. Those that cannot be read are left out, and counted."""
        folders = self._folders()
        if not folders:
            return
        states = _file_states(folders)  # before the stores are read: a later change is seen next time
        if states != self._states or any(store["problem"] for store in self._totals):
            self._totals, self._states = _read_totals(folders), states
        readable = [store for store in self._totals if not store["problem"]]
        unreadable = len(self._totals) - len(readable)
        videos, seconds, frames = (sum(store[name] for store in readable) for name in ("videos", "seconds", "frames"))
        yield GaugeMetricFamily("clipseek_stored_videos", "Videos in all libraries.", videos)
        yield GaugeMetricFamily("clipseek_stored_hours", "Their length in hours.", seconds / 3600)
        yield GaugeMetricFamily("clipseek_stored_frames", "Their frames that are in the index.", frames)
        yield GaugeMetricFamily("clipseek_unreadable_stores", "Stores that could not be read.", unreadable)


def _read_totals(folders: list[Path]) -> list[dict[str, Any]]:
    try:
        totals: list[dict[str, Any]] = call_module(
            "executors.faiss_indexer.store.report", "totals", *map(str, folders), failure=StoreError
        )
    except ClipSeekError as error:
        return [{"problem": str(error)}] * len(folders)
    return totals


def _file_states(folders: list[Path]) -> FileStates:
    """Size and time of each database and of its log; every write changes one of them."""
    states = []
    for file in (folder / name for folder in folders for name in ("index.db", "index.db-wal")):
        with contextlib.suppress(FileNotFoundError):
            stat = file.stat()
            states.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(states)
