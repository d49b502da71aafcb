"""What a library costs as it grows: `python -m benchmarks.scale [--full]`.

Libraries are generated, see `synthetic/library.py`, and served by `clipseek serve` with a tiny model: this measures the
indexer and the way to it. The table has, by size: what is on disk, what the indexer holds in memory, how long a start
and a search take. The costs of a frame follow, and of an hour of video at one frame a second. Rows with ~ are not
measured but extrapolated from the two largest libraries.

By default up to 100,000 frames, in about three minutes; --full goes to a million, in about eight.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.indexing import processor
from benchmarks.search import DIMENSIONS, filled_service, milliseconds, role, running, texts, timed
from benchmarks.torture.service import Service

_SIZES, _FULL_SIZES = (10_000, 30_000, 100_000), (10_000, 100_000, 1_000_000)
_EXTENDED = (10_000_000,)
_QUERIES = 60
_FRAMES_PER_HOUR = 3600  # at one frame a second


@dataclass(frozen=True)
class Cost:
    """Bytes on disk, bytes that the indexers hold in memory, seconds of a start, and of each search."""

    disk_bytes: float
    memory_bytes: float
    start_seconds: float
    search_seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="up to a million frames")
    parser.add_argument("--frames", type=int, nargs="+", help="libraries of these sizes instead, ascending")
    options = parser.parse_args()
    sizes = options.frames or (_FULL_SIZES if options.full else _SIZES)
    print(f"{DIMENSIONS} dimensions, one frame a second; {os.cpu_count()} x {processor()}\n")
    print(f"{'frames':>11}{'hours':>8}{'on disk':>11}{'in memory':>11}{'start':>9}{'search ms':>10}{'p95':>8}")
    costs = []
    with tempfile.TemporaryDirectory(prefix="clipseek-scale-") as folder:
        for size in sizes:
            service = filled_service(Path(folder) / str(size), size)
            costs.append(measured(service))
            _row(size, costs[-1])
        if len(sizes) > 1:
            _extend(sizes, costs)


def measured(service: Service) -> Cost:
    """Start a service, search it, stop it."""
    with running(service) as (client, start_seconds):
        asked = texts()
        for _ in range(10):
            client.search(next(asked))
        taken = timed([lambda: client.search(next(asked)) for _ in range(_QUERIES)])
        memory = sum(process.memory_full_info().uss for process in service.processes() if role(process) == "indexer")
    disk = sum(file.stat().st_size for file in service.settings.home.rglob("*") if file.is_file())
    return Cost(disk, memory, start_seconds, taken)


def _row(count: int, cost: Cost) -> None:
    hours = f"{count / _FRAMES_PER_HOUR:.0f}"
    sizes = f"{cost.disk_bytes / 1e6:8.0f} MB{cost.memory_bytes / 1e6:8.0f} MB"
    print(f"{count:11,}{hours:>8}{sizes}{cost.start_seconds:7.1f} s{milliseconds(cost.search_seconds)}", flush=True)


def _extend(sizes: Sequence[int], costs: list[Cost]) -> None:
    """Extrapolate from the last two libraries to larger ones, and print the costs of one frame."""
    (low, high), (few, many) = sizes[-2:], costs[-2:]

    def per_frame(name: str) -> float:
        return float((getattr(many, name) - getattr(few, name)) / (high - low))

    for size in _EXTENDED:
        disk, memory = (
            getattr(many, name) + per_frame(name) * (size - high) for name in ("disk_bytes", "memory_bytes")
        )
        hours = size / _FRAMES_PER_HOUR
        print(f"{'~' + format(size, ','):>11}{hours:8.0f}{disk / 1e6:8.0f} MB{memory / 1e6:8.0f} MB")
    disk, memory = per_frame("disk_bytes"), per_frame("memory_bytes")
    print(f"\na frame: {disk:.0f} bytes on disk, {memory:.0f} in memory;", end=" ")
    hour = _FRAMES_PER_HOUR / 1e6
    print(f"an hour at one frame a second: {disk * hour:.1f} MB, {memory * hour:.1f} MB")
    hours = 16e9 / memory / _FRAMES_PER_HOUR
    print(f"16 GB of memory hold ~{hours:,.0f} hours; this machine has {psutil.virtual_memory().total / 1e9:.0f} GB")


if __name__ == "__main__":
    main()
