"""What the stores hold, for Prometheus: read from their databases whenever the metrics are asked for."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_BUSY_SECONDS = 1.0


class StoredMetrics(Collector):
    """Videos, hours and frames of several stores together.

    Args:
        folders: of the stores, each with an `index.db`. None: nothing is told.
    """

    def __init__(self, folders: Callable[[], list[Path]]) -> None:
        self._folders = folders

    def collect(self) -> Iterator[Metric]:
        """Read the stores. One that cannot be read is left out, and counted."""
        folders = self._folders()
        if not folders:
            return
        videos, seconds, frames, unreadable = 0, 0.0, 0, 0
        for folder in folders:
            try:
                of_videos, of_seconds, of_frames = _read(folder)
            except sqlite3.Error:
                unreadable += 1
                continue
            videos, seconds, frames = videos + of_videos, seconds + of_seconds, frames + of_frames
        yield GaugeMetricFamily("clipseek_stored_videos", "Videos in all libraries.", videos)
        yield GaugeMetricFamily("clipseek_stored_hours", "Their length in hours.", seconds / 3600)
        yield GaugeMetricFamily("clipseek_stored_frames", "Their frames that are in the index.", frames)
        yield GaugeMetricFamily("clipseek_unreadable_stores", "Stores that could not be read just now.", unreadable)


def _read(folder: Path) -> tuple[int, float, int]:
    """Videos, seconds and frames of a store. Raises: sqlite3.Error."""
    uri = f"{(folder / 'index.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as db:
        videos, seconds = db.execute("SELECT COUNT(*), COALESCE(SUM(duration_seconds), 0) FROM videos").fetchone()
        [frames] = db.execute("SELECT COALESCE(SUM(frames), 0) FROM spans").fetchone()
    return videos, seconds, frames
