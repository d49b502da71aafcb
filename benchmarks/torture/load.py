"""Many callers at once: `python -m benchmarks.torture.load --minutes 10 --clients 50`.

Each caller has a token of its own and searches, looks at pictures, cuts clips, lists, uploads and indexes, and deletes,
one request after the other, on videos of its own and on shared ones. Prints what was answered, refused
by name and failed, and how long it took; what the service's processes held, in memory, open files and files on disk,
in the middle and at the end; and how evenly the callers were served. `--requests N` ends after N requests instead.

Exit code 1 if anything failed, or if memory, handles or files grew in the second half.
"""

import argparse
import contextlib
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.torture.service import Service, VideoFile, make_videos
from clipseek.api.errors import ClipSeekError, TooManyRequests
from clipseek.client import Client
from clipseek.config.access import AccessFile

_SHARED_VIDEOS = 4
_WATCH_SECONDS = 1.0
_OF_VIDEOS = re.compile(
    r"[0-9a-f]{64}\.(video.*|json)|[0-9a-f]{2}"
)  # they come and go; and the locks on them, 256 at most
_MOST_SECONDS_BACK = 180.0
_SECONDS_TO_END = 300.0
_REFUSED_REST = 0.5  # seconds that a caller waits who was told that it asks too much
# Memory may grow by so much between the third and the last quarter: what is cached is bounded, but not full at once.
_MOST_GROWTH = 0.05
# How often of a hundred requests. Deleting and uploading keep a caller's videos at about half of them.
_MIX = {"search": 60, "thumbnail": 12, "clip": 6, "videos": 6, "index": 8, "delete": 8}


@dataclass(frozen=True)
class Footprint:
    """What the service held at a moment: resident bytes, open files and sockets, files in its store.

    Videos, which come and go, are not among the files, nor are cut clips: their cache is bounded, and fills first.
    """

    at: float
    resident: int
    handles: int
    files: int


@dataclass
class Record:
    """What came of the requests; all callers write to it."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of those answered
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    answered_of: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def tried(self) -> int:
        return sum(map(len, self.seconds.values())) + self.refused.total() + self.failed.total()


class Caller(threading.Thread):
    """Asks for one thing after the other until told to stop."""

    def __init__(
        self, number: int, client: Client, own: Sequence[VideoFile], shared: Sequence[VideoFile], record: Record
    ) -> None:
        super().__init__(daemon=True)
        self._number, self._client, self._shared, self._record = number, client, shared, record
        self._away, self._there = list(own), [video.video_id for video in shared]
        self._own_there: list[VideoFile] = []
        self._dice = random.Random(number)
        self.end = threading.Event()

    def run(self) -> None:
        works: dict[str, Callable[[], object]] = {
            "search": self._search,
            "thumbnail": lambda: self._client.thumbnail(self._any_video(), self._dice.uniform(0, 20)),
            "clip": self._clip,
            "videos": self._client.videos,
            "index": self._index,
            "delete": self._delete,
        }
        while not self.end.is_set():
            [kind] = self._dice.choices(list(_MIX), list(_MIX.values()))
            begun = time.perf_counter()
            try:
                works[kind]()
            except TooManyRequests:
                with self._record.lock:
                    self._record.refused[kind] += 1
                self.end.wait(_REFUSED_REST)
            except ClipSeekError as error:
                with self._record.lock:
                    self._record.failed[kind] += 1
                    self._record.faults.append(f"{kind}: {type(error).__name__}: {error}")
            else:
                with self._record.lock:
                    self._record.seconds[kind].append(time.perf_counter() - begun)
                    self._record.answered_of[self._number] += 1

    def _any_video(self) -> str:
        return self._dice.choice([*self._there, *(video.video_id for video in self._own_there)])

    def _search(self) -> None:
        words = self._dice.sample(("a dog", "red", "a street", "snow", "at night", "two people", "a boat"), 2)
        self._client.search(" ".join(words), all_matches=True, top_k=10)

    def _clip(self) -> None:
        start = self._dice.uniform(0, 10)
        with tempfile.TemporaryDirectory() as folder:
            self._client.clip(self._any_video(), start, start + 2, Path(folder) / "clip.mp4", mode="copy")

    def _index(self) -> None:
        if self._away:
            video = self._away[0]
            self._client.index(video.path)
            self._own_there.append(self._away.pop(0))

    def _delete(self) -> None:
        if self._own_there:
            video = self._own_there[0]
            self._client.delete(video.video_id)
            self._away.append(self._own_there.pop(0))


def load(folder: Path, clients: int, minutes: float, requests: int) -> Record:
    """Have so many callers work for so long, or for so many requests, whichever ends first."""
    service, record = Service(folder), Record()
    videos = make_videos(folder, _SHARED_VIDEOS + 2 * clients, seed=0)
    shared, own = videos[:_SHARED_VIDEOS], videos[_SHARED_VIDEOS:]
    access = AccessFile(service.settings.home)
    tokens = [access.add(f"caller-{number}") for number in range(clients)]
    with contextlib.ExitStack() as stack:
        stack.callback(service.kill)  # does nothing once it has stopped
        service.start()
        service.wait_until_ready(_MOST_SECONDS_BACK, tokens[0])
        made = [stack.enter_context(service.client(token)) for token in tokens]
        for video in shared:
            made[0].index(video.path)
        callers = [Caller(i, client, own[2 * i : 2 * i + 2], shared, record) for i, client in enumerate(made)]
        for caller in callers:
            caller.start()
        deadline = time.monotonic() + 60 * minutes
        while time.monotonic() < deadline and record.tried < requests:
            record.footprints.append(_footprint(service))
            time.sleep(_WATCH_SECONDS)
        for caller in callers:
            caller.end.set()
        for caller in callers:
            caller.join(_SECONDS_TO_END)
            if caller.is_alive():
                record.faults.append("a caller waits for an answer that does not come")
        service.stop()
    return record


def _footprint(service: Service) -> Footprint:
    resident = handles = 0
    for process in service.family():
        with contextlib.suppress(psutil.Error):
            resident += process.memory_info().rss
            handles += process.num_fds()
    files = sum(not _OF_VIDEOS.fullmatch(name) for _, _, names in os.walk(service.settings.home) for name in names)
    return Footprint(time.monotonic(), resident, handles, files)


def show(record: Record) -> bool:
    """Print the tables. Returns: whether nothing failed and nothing grew."""
    columns = ("answered", "refused", "failed")
    print(f"{'':12}" + "".join(f"{name:>10}" for name in columns) + f"{'p50':>10}{'p95':>10}{'p99':>10}{'slowest':>10}")
    for kind in _MIX:
        seconds = sorted(record.seconds[kind]) or [0.0]
        counts = (len(record.seconds[kind]), record.refused[kind], record.failed[kind])
        times = [_quantile(seconds, share) for share in (0.5, 0.95, 0.99, 1.0)]
        print(f"{kind:12}" + "".join(f"{c:10d}" for c in counts) + "".join(f"{1e3 * t:7.0f} ms" for t in times))
    served = sorted(record.answered_of.values()) or [0]
    print(
        f"\nanswers per caller: {served[0]} at least, {statistics.median(served):g} in the middle, {served[-1]} at most"
    )
    grew = _show_growth(record.footprints)
    for fault, count in Counter(record.faults).most_common(20):
        print(f"FAULT ({count} x): {fault}")
    return not record.faults and not grew


def _show_growth(footprints: Sequence[Footprint]) -> bool:
    """Print what was held in the third and in the last quarter. Returns: whether it grew."""
    quarter = len(footprints) // 4
    if not quarter:
        return False
    third, last = footprints[2 * quarter : 3 * quarter], footprints[3 * quarter :]
    grew = False
    print(f"\n{'held by the service':22}{'third quarter':>15}{'last quarter':>15}{'growth':>9}")
    for name, unit in (("resident", 1e6), ("handles", 1.0), ("files", 1.0)):
        before, after = (statistics.median(getattr(each, name) for each in part) / unit for part in (third, last))
        growth = after / before - 1
        grew = grew or growth > _MOST_GROWTH
        print(f"{name + (' MB' if unit > 1 else ''):22}{before:15.0f}{after:15.0f}{100 * growth:8.1f}%")
    return grew


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after so many minutes (default: 10)")
    parser.add_argument("--clients", type=int, default=50, help="callers at once (default: 50)")
    parser.add_argument("--requests", type=int, default=10**9, help="stop after so many requests")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipseek-load-") as folder:
        record = load(Path(folder), options.clients, options.minutes, options.requests)
    sys.exit(0 if show(record) else 1)


if __name__ == "__main__":
    main()
