"""How long a search takes, in libraries of any size: `python -m benchmarks.search [--full]`.

Libraries are generated, see `synthetic/library.py`: no video is decoded. Two tables:

- indices: Faiss' own flat index of float32 beside the two kinds that ClipSeek uses (`kinds.py`), for one query at a
  time on one thread. Recall is that of the ten nearest frames. "search" is all that the indexer does.
- the Flow: `clipseek serve` with a tiny model, so the text tower is not measured; texts go through the whole chain.
  At rest, while a video is being indexed, and with many clients at once; the last column names the busy processes.

By default libraries of 10,000 and 100,000 frames, in about six minutes; --full adds a million, in about twenty.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import psutil

from benchmarks.indexing import processor
from benchmarks.synthetic.labelled_videos import looped_video, toys
from benchmarks.synthetic.library import SyntheticFrames, Vectors, fill
from benchmarks.torture.service import Service
from clipseek.api.score_scale import ScoreScale
from clipseek.client import Client
from executors.faiss_indexer.index import kinds, recall
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.queries import Part, SearchOptions

SIZES, FULL_SIZE = (10_000, 100_000), 1_000_000
DIMENSIONS = 512
_QUERIES = 100
_SCALE = ScoreScale(0.03, 0.12, above_background=True)  # about what CLIP's is
_CLIENTS = (1, 4, 16, 64)
_CLIENT_SECONDS = 8.0
_START_SECONDS = 300.0
_WORDS = ("red", "car", "dog", "beach", "woman", "street", "night", "boat", "snow", "dance", "child", "tree", "goal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=f"also {FULL_SIZE:,} frames")
    parser.add_argument("--frames", type=int, nargs="+", help="libraries of these sizes instead")
    options = parser.parse_args()
    sizes = options.frames or (*SIZES, *((FULL_SIZE,) if options.full else ()))
    print(f"{DIMENSIONS} dimensions, one frame a second; {os.cpu_count()} x {processor()}\n")
    print(f"{'frames':>9}  {'index':32}{'ms p50':>8}{'p95':>8}{'recall@10':>11}{'made in':>9}{'memory':>9}")
    for size in sizes:
        indices(size)
    print("\nThrough the Flow, one client; each text is new")
    print(f"{'frames':>9}  {'':32}{'ms p50':>8}{'p95':>8}{'start':>9}")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="clipseek-search-") as folder:
            through_the_flow(Path(folder), size)


# Indices


def indices(size: int) -> None:
    """Print one row for each kind of index, and one for a whole search in the indexer."""
    library = SyntheticFrames(size, DIMENSIONS)
    vectors = np.concatenate([video.vectors for video in library.videos()])
    ids = np.arange(len(vectors), dtype=np.int64)
    queries = library.queries(_QUERIES)
    batches = [(vectors[first : first + 50_000], ids[first : first + 50_000]) for first in range(0, size, 50_000)]
    truth = recall.find_truth(queries, batches)
    for name, make in (
        ("Faiss flat, float32", lambda: _flat32(vectors)),
        ("ClipSeek exact, float16", lambda: _filled(kinds.make_flat_index(DIMENSIONS), batches)),
        ("ClipSeek partitioned, float16", lambda: _partitioned(vectors, batches)),
    ):
        _index_row(name, size, make, queries, truth)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), SyntheticFrames(size, DIMENSIONS))
        with Library(Path(folder)) as filled:
            while filled.index.is_being_replaced:
                time.sleep(0.1)
            parts = [Part(query, scale=_SCALE) for query in queries]
            seconds = timed([partial(filled.search, [part], SearchOptions()) for part in parts])
            print(f"{size:9,}  {'search: ' + filled.index.kind:32}{milliseconds(seconds)}", flush=True)


def _index_row(name: str, size: int, make: Callable[[], faiss.Index], queries: Vectors, truth: recall.Truth) -> None:
    before, begun = psutil.Process().memory_info().rss, time.perf_counter()
    index = make()
    seconds, memory = time.perf_counter() - begun, psutil.Process().memory_info().rss - before
    faiss.omp_set_num_threads(1)
    times = timed([partial(kinds.find_nearest, index, query, 64) for query in queries])
    share = recall.measure_recall(index, queries, truth)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    facts = f"{share:11.3f}{seconds:7.1f} s{memory / 1e6:6.0f} MB   {kinds.describe(index)}"
    print(f"{size:9,}  {name:32}{milliseconds(times)}{facts}", flush=True)


def _flat32(vectors: np.ndarray) -> faiss.Index:
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(vectors.astype(np.float32))
    return index


def _filled(index: faiss.Index, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> faiss.Index:
    for vectors, ids in batches:
        kinds.add(index, vectors, ids)
    return index


def _partitioned(vectors: np.ndarray, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> faiss.Index:
    """Built and tuned as the service does it: with generated queries, not with those that are measured."""
    random = np.random.default_rng(1)
    chosen = random.choice(len(vectors), kinds.sample_size(len(vectors)), replace=False)
    sample = vectors[np.sort(chosen)].astype(np.float32)
    index = _filled(kinds.make_partitioned_index(sample, len(vectors), lambda: False), batches)
    likely = recall.make_queries(sample[: recall.QUERIES], sample.mean(axis=0), random)
    recall.tune(index, likely, recall.find_truth(likely, batches))
    return index


# The Flow


def through_the_flow(folder: Path, size: int) -> None:
    """Print how long searches take at rest, beside indexing, and with many clients."""
    service = filled_service(folder, size)
    with running(service) as (client, start_seconds):
        asked = texts()
        for _ in range(10):
            client.search(next(asked))
        rest = timed([lambda: client.search(next(asked)) for _ in range(_QUERIES)])
        print(f"{size:9,}  {'at rest':32}{milliseconds(rest)}{start_seconds:7.1f} s", flush=True)
        video = looped_video(folder / "video.mp4", toys(), 1.0)
        with _indexing(client, video):
            beside = timed([lambda: client.search(next(asked)) for _ in range(_QUERIES)])
        ratio = np.quantile(beside, 0.95) / np.quantile(rest, 0.95)
        print(f"{'':9}  {'while 1080p is being indexed':32}{milliseconds(beside)}   p95 x {ratio:.1f}", flush=True)
        for clients in _CLIENTS:
            many_clients(service, client, clients, asked)


def filled_service(folder: Path, size: int) -> Service:
    """A service, not running, whose library has so many frames and an index of the kind for as many."""
    service = Service(folder, DIMENSIONS)
    with running(service) as (client, _):
        model_id = next(c.facts["model_id"] for c in client.health() if c.name == "text_encoder")
    fill(service.settings.home, SyntheticFrames(size, DIMENSIONS), model_id)
    make_index(service, size)
    return service


def make_index(service: Service, size: int) -> None:
    """Start a service with so many frames once, until it has built and saved its index."""
    with running(service) as (client, _):
        while size > service.settings.exact_frames and "exact" in client.recall().facts["index"]:
            time.sleep(1.0)


def many_clients(service: Service, client: Client, clients: int, asked: Iterator[str]) -> None:
    """Print how many searches a second so many clients get, how long each takes, and which processes are busy."""
    processes = {process: process.cpu_times() for process in service.processes()}
    until, lock = time.monotonic() + _CLIENT_SECONDS, threading.Lock()

    def ask() -> list[float]:
        taken = []
        while time.monotonic() < until:
            with lock:
                text = next(asked)
            taken += timed([partial(client.search, text)])
        return taken

    begun = time.monotonic()
    with ThreadPoolExecutor(clients) as threads:
        taken = [seconds for times in threads.map(lambda _: ask(), range(clients)) for seconds in times]
    seconds = time.monotonic() - begun
    busy = {}
    for process, was in processes.items():
        now = process.cpu_times()
        busy[role(process)] = (now.user + now.system - was.user - was.system) / seconds
    busiest = ", ".join(f"{name} {100 * share:.0f} %" for name, share in sorted(busy.items(), key=lambda x: -x[1])[:3])
    name = f"{clients} clients, {len(taken) / seconds:.0f} searches/s"
    print(f"{'':9}  {name:32}{milliseconds(taken)}   {busiest}", flush=True)


def role(process: psutil.Process) -> str:
    """The role of a process of the Flow, by the packages that it has loaded."""
    loaded = {Path(file.path).name.split(".")[0].split("-")[0] for file in process.memory_maps()}
    if "libtorch_cpu" in loaded or any(name.startswith("libopenvino") for name in loaded):
        return "encoder"
    if any(name.startswith("_swigfaiss") for name in loaded):
        return "indexer"
    return "loader" if any(name.startswith("libavcodec") for name in loaded) else "gateway"


@contextmanager
def running(service: Service) -> Iterator[tuple[Client, float]]:
    """A running service: its client, and how many seconds the start took."""
    service.start()
    try:
        seconds = service.wait_until_ready(_START_SECONDS)
        with service.client() as client:
            yield client, seconds
    finally:
        service.stop()


@contextmanager
def _indexing(client: Client, video: Path) -> Iterator[None]:
    """Index a video again and again in the background."""
    begun, over = threading.Event(), threading.Event()

    def index() -> None:
        while not over.is_set():
            done = client.index(video, progress=lambda _: begun.set())
            client.delete(done.video.video_id)

    with ThreadPoolExecutor(1) as threads:
        indexing = threads.submit(index)
        try:
            begun.wait(_START_SECONDS)
            yield
        finally:
            over.set()
            indexing.result()


def texts() -> Iterator[str]:
    """Texts without end, each of them new."""
    random = np.random.default_rng(0)
    number = 0
    while True:
        number += 1
        yield " ".join(random.choice(_WORDS, 3)) + f" {number}"


def timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    """How many seconds each call takes."""
    times = []
    for call in calls:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times


def milliseconds(seconds: Sequence[float]) -> str:
    """Median and 95th percentile, for a table."""
    return f"{1e3 * np.median(seconds):8.1f}{1e3 * np.quantile(seconds, 0.95):8.1f}"


if __name__ == "__main__":
    main()
