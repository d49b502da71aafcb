"""The index over all frames: a cache of the store that answers which videos are near to a query."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from clipseek.config.settings import EXACT_FRAMES, LEAST_RECALL
from executors.faiss_indexer.index import kinds, recall
from executors.faiss_indexer.index.cache import IndexCache
from executors.faiss_indexer.index.frame_sample import NO_FRAMES, FrameSample
from executors.faiss_indexer.index.kinds import Cancelled, StoredVectors, Vectors
from executors.faiss_indexer.index.recall import QUERIES, Recall
from executors.faiss_indexer.index.shared_lock import SharedLock
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES, Ids, number_frames
from executors.faiss_indexer.store.store import Store

logger = logging.getLogger(__name__)

_FIRST_FRAMES, _MORE = 512, 8  # how many frames are compared first, and the factor by which that grows
_SAMPLE_FRAMES = 2048  # a spread is measured to some 3 %, in less than a millisecond
_SAMPLE_AGES = 0.1  # with such a share of the frames added or removed
_SPANS_AT_A_TIME = 1000  # 30,000 frames at one a second


class VectorIndex:
    """Inner-product search over the frames of a store, held in memory and saved beside it.

    It is read from `folder` if the file there belongs to the store's present revision, and otherwise rebuilt from the
    store. Safe for threads: searches run side by side and wait at most for one span being added.

    Up to `exact_frames` every frame is compared. Beyond, an index that compares only a share of them replaces this one;
    it is built in the background, while this one goes on answering. See `kinds.py`.
    """

    def __init__(self, folder: Path, store: Store, exact_frames: float = EXACT_FRAMES) -> None:
        self._store = store
        self._cache = IndexCache(folder)
        self._exact_frames = exact_frames
        self._lock = SharedLock()
        self._spans = store.span_facts()
        self._frames_of = Counter[str]()
        for video_id, count in self._spans.values():
            self._frames_of[video_id] += count
        self._index: faiss.Index | None = None
        self._sum = np.zeros(0)
        self._saved_revision = -1
        self._sample = NO_FRAMES
        self._last_queries = deque[Vectors](maxlen=QUERIES)
        # Spans added, with their vectors, or removed since a replacement was begun.
        self._changes: list[tuple[int, StoredVectors | None]] | None = None
        self._builder: threading.Thread | None = None
        self._has_failed = False  # to build a replacement: not tried again with every span
        self._is_closing = threading.Event()
        if not self._load():
            self._rebuild()
        with self._lock.writing():
            self._replace_if_outgrown()

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Of the frames' vectors; 0 where there are no frames."""
        return int(self._index.d) if self._index is not None and len(self) else 0

    @property
    def frames_of(self) -> dict[str, int]:
        """The number of frames of each video that has any."""
        with self._lock.reading():
            return {video_id: count for video_id, count in self._frames_of.items() if count}

    @property
    def kind(self) -> str:
        """How frames are compared, for people."""
        with self._lock.reading():
            return kinds.describe(self._index)

    @property
    def is_being_replaced(self) -> bool:
        """Whether an index of another kind is being built in the background."""
        return self._changes is not None

    def close(self) -> None:
        """Cancel the work in the background, and save."""
        self._is_closing.set()
        if self._builder is not None:
            self._builder.join()
        self.save()

    def add(self, span_id: int, video_id: str, frames: Frames) -> None:
        with self._lock.writing():
            self._spans[span_id] = (video_id, len(frames.vectors))
            self._frames_of[video_id] += len(frames.vectors)
            if len(frames.vectors):
                self._add(frames.vectors, number_frames(span_id, len(frames.vectors)))
                self._note(span_id, frames.vectors)
                self._replace_if_outgrown()

    def remove(self, span_ids: list[int]) -> None:
        """Remove the frames of spans; unknown ones are no error."""
        with self._lock.writing():
            removed = [(span_id, *self._spans.pop(span_id)) for span_id in span_ids if span_id in self._spans]
            for span_id, video_id, count in removed:
                self._frames_of[video_id] -= count
                self._note(span_id, None)
            numbers = [number_frames(span_id, count) for span_id, _, count in removed if count]
            if numbers and self._index is not None:
                ids = np.concatenate(numbers)
                self._sum -= self._index.reconstruct_batch(ids).sum(axis=0, dtype=np.float64)
                kinds.remove(self._index, ids)
                self._replace_if_outgrown()

    def nearest_videos(self, vector: Vectors) -> Iterator[tuple[str, float]]:
        """Every video by the highest inner product of its frames with a vector [D], best first, with that product.

        Lazy: more frames are compared only as the caller reads on. A partitioned index may return a video later than it
        should.
        """
        self._last_queries.append(vector)
        seen = set[str]()
        frames, growth = _FIRST_FRAMES, 1
        while True:
            with self._lock.reading():
                if self._index is None or not self._index.ntotal:
                    return
                products, ids = kinds.find_nearest(self._index, vector, frames, growth)
                is_complete = kinds.covers_all(self._index, frames, growth)
                videos = [self._spans[span_id][0] for span_id in (ids // MAX_SPAN_FRAMES).tolist()]
            for video_id, product in zip(videos, products.tolist(), strict=True):
                if video_id not in seen:
                    seen.add(video_id)
                    yield video_id, product
            if is_complete:
                return
            frames, growth = frames * _MORE, growth * _MORE

    def frame_sum(self) -> tuple[npt.NDArray[np.float64], int]:
        """The sum of the frames' vectors, float64 [D], and their number; [0] and 0 for none."""
        with self._lock.reading():
            return (self._sum.copy(), len(self)) if len(self) else (np.zeros(0), 0)

    def mean_frame(self) -> Vectors:
        """The mean of the frames' vectors, float32 [D]; [0] for none."""
        total, count = self.frame_sum()
        return (total / max(count, 1)).astype(np.float32)

    def sample(self) -> FrameSample:
        """Some of the frames, taken again where the library has grown or shrunk by a tenth since."""
        with self._lock.reading():
            taken = self._sample
            is_current = taken.vectors.shape[1:] == (self.dimensions,) and (
                abs(len(self) - taken.frame_count) <= _SAMPLE_AGES * taken.frame_count
            )
            if not is_current:
                taken = self._sample = FrameSample(self._sample_frames(_SAMPLE_FRAMES), len(self))
        return taken

    def recall(self) -> Recall:
        """Compare what the index finds with what is truly nearest, for the last queries and for generated ones.

        Reads all of the store. An index that finds too little compares more of its cells from now on.
        """
        with self._lock.reading():
            queries = self._sample_queries()
        truth = recall.find_truth(queries, self._read_store())
        with self._lock.reading():
            if self._index is None or not len(queries):
                return Recall(1.0, 1.0, 0, kinds.describe(self._index))
            before = share = recall.measure_recall(self._index, queries, truth)
        if before < LEAST_RECALL:
            with self._lock.writing():
                if kinds.is_partitioned(self._index):
                    recall.tune(self._index, queries, truth)
                    self._saved_revision = -1
            with self._lock.reading():
                share = recall.measure_recall(self._index, queries, truth)
        return Recall(before, share, len(queries), self.kind)

    # The cache on disk

    def save(self) -> None:
        """Save the index, if it has changed since it was last read or saved.

        It is a cache: where it cannot be written, as on a full disk, the next start rebuilds it.
        """
        with self._lock.reading():
            revision = self._store.revision
            if self._index is None or revision == self._saved_revision:
                return
            if self._cache.save(revision, self._index, self._sum):
                self._saved_revision = revision

    def _load(self) -> bool:
        revision = self._store.revision
        numbers = [number_frames(span_id, self._spans[span_id][1]) for span_id in sorted(self._spans)]
        saved = self._cache.load(revision, np.concatenate([np.empty(0, np.int64), *numbers]))
        if saved is None:
            return False
        self._index, self._sum = saved
        self._saved_revision = revision
        return True

    def _rebuild(self) -> None:
        started = time.monotonic()
        for vectors, ids in self._read_store():
            self._add(vectors, ids)
        logger.info("rebuilt the index of %d frames in %.1f s", len(self), time.monotonic() - started)

    def _add(self, vectors: StoredVectors, ids: Ids) -> None:
        if self._index is None or (self._index.ntotal == 0 and self._index.d != vectors.shape[1]):
            self._index = kinds.make_flat_index(vectors.shape[1])
        if not self._index.ntotal:
            self._sum = np.zeros(vectors.shape[1])
        kinds.add(self._index, vectors, ids)
        self._sum += vectors.sum(axis=0, dtype=np.float64)

    def _read_store(self) -> Iterator[tuple[StoredVectors, Ids]]:
        """All stored frames in batches: float16 [N, D] and their ids, int64 [N]."""
        stored = iter(self._store.spans())
        while spans := list(islice(stored, _SPANS_AT_A_TIME)):
            vectors = np.concatenate([span.frames.vectors for span in spans])
            yield vectors, np.concatenate([number_frames(span.span_id, len(span.frames.vectors)) for span in spans])

    # An index of another kind, built while this one answers

    def _note(self, span_id: int, vectors: StoredVectors | None) -> None:
        if self._changes is not None:
            self._changes.append((span_id, vectors))

    def _replace_if_outgrown(self) -> None:
        index = self._index
        is_busy = self._changes is not None or self._has_failed
        if index is None or is_busy or kinds.fits(index, self._exact_frames):
            return
        self._changes = []
        self._builder = threading.Thread(target=self._replace, name="build-index", daemon=True)
        self._builder.start()

    def _replace(self) -> None:
        started = time.monotonic()
        faiss.omp_set_num_threads(1)  # of this thread: searches need the others
        try:
            index, spans = self._build()
        except Cancelled:
            return
        except Exception:  # the present index goes on answering
            logger.exception("The index could not be replaced; searches stay slow until the next start.")
            with self._lock.writing():
                self._changes, self._has_failed = None, True
            return
        with self._lock.writing():
            for span_id, vectors in self._changes or ():
                if vectors is None:
                    kinds.remove(index, number_frames(span_id, spans.pop(span_id, 0)))
                elif span_id not in spans:
                    kinds.add(index, vectors, number_frames(span_id, len(vectors)))
                    spans[span_id] = len(vectors)
            self._index, self._changes, self._saved_revision = index, None, -1
        seconds = time.monotonic() - started
        logger.info("the index of %d frames was replaced in %.0f s; it is now %s", len(self), seconds, self.kind)

    def _build(self) -> tuple[faiss.Index, Counter[int]]:
        with self._lock.reading():
            total, queries, sample = len(self), self._sample_queries(), np.empty((0, self.dimensions), np.float32)
            is_flat = total <= self._exact_frames
            if not is_flat:
                sample = self._sample_frames(kinds.sample_size(total))
        if is_flat:
            index = kinds.make_flat_index(sample.shape[1])
        else:
            index = kinds.make_partitioned_index(sample, total, self._is_closing.is_set)
        spans = Counter[int]()

        def fill_index() -> Iterator[tuple[StoredVectors, Ids]]:
            for vectors, ids in self._read_store():
                if self._is_closing.is_set():
                    raise Cancelled
                kinds.add(index, vectors, ids)
                spans.update((ids // MAX_SPAN_FRAMES).tolist())
                yield vectors, ids

        truth = recall.find_truth(queries, fill_index())  # reads the store once for both
        if not is_flat:
            recall.tune(index, queries, truth)
        return index, spans

    def _sample_queries(self) -> Vectors:
        """The last queries, and generated ones for the rest, float32 [QUERIES, D]; none where there are no frames."""
        if not len(self):
            return np.empty((0, 0), np.float32)
        last = [vector[np.newaxis] for vector in list(self._last_queries) if len(vector) == self.dimensions]
        frames = self._sample_frames(QUERIES - len(last))
        mean = (self._sum / len(self)).astype(np.float32)
        return np.concatenate([*last, recall.make_queries(frames, mean, np.random.default_rng(len(self)))])

    def _sample_frames(self, count: int) -> Vectors:
        """Vectors of random frames, float32 [M, D]; M is less than `count` where there are fewer frames."""
        if self._index is None or not len(self) or count <= 0:
            return np.empty((0, self.dimensions), np.float32)
        ids = kinds.list_ids(self._index)
        chosen = np.random.default_rng(len(ids)).choice(ids, min(count, len(ids)), replace=False)
        return np.asarray(self._index.reconstruct_batch(np.sort(chosen)), np.float32)
