"""The index over all frames: a cache that follows the store, and answers which videos are near to a query."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

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
from executors.faiss_indexer.store.records import StoredSpan
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES, Ids, number_frames
from executors.faiss_indexer.store.store import SpanChange, Store

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FIRST_FRAMES, _MORE = 512, 8  # how many frames are compared first, and the factor by which that grows
_SAMPLE_FRAMES = 2048  # a spread is measured to some 3 %, in less than a millisecond
_SAMPLE_AGES = 0.1  # with such a share of the frames added or removed
_MOST_ROUNDS = 20  # of following a store that changes all the time, or lost spans in another way
_SPANS_AT_A_TIME = 1000  # 30,000 frames at one a second


class VectorIndex:
    """Inner-product search over the frames of a store, held in memory and saved in `folder`.

    It is read from there if the file belongs to the store's present revision, and otherwise rebuilt from the store.
    `follow` then adds and removes what has changed since, whichever process did it. Safe for threads: searches run side
    by side and wait at most for one span being added.

    Up to `exact_frames` every frame is compared. Beyond, an index that compares only a share of them replaces this one;
    it is built in the background, while this one goes on answering. See `kinds.py`.
    """

    def __init__(self, folder: Path, store: Store, exact_frames: float = EXACT_FRAMES) -> None:
        self._store = store
        self._cache = IndexCache(folder)
        self._exact_frames = exact_frames
        self._lock = SharedLock()
        self._following = threading.Lock()
        self._revision = -1  # of the store, as far as it was followed
        self._spans: dict[int, tuple[str, int]] = {}  # with frames: the video, and how many
        self._frames_of = Counter[str]()
        self._index: faiss.Index | None = None
        self._sum = np.zeros(0)
        self._saved_revision = -1
        self._sample = NO_FRAMES
        self._last_queries = deque[Vectors](maxlen=QUERIES)
        self._builder: threading.Thread | None = None
        self.is_being_replaced = False  # by an index of another kind, which is being built in the background
        self._is_filling = True  # from the store; then it is soon enough to look at its size
        self._has_failed = False  # to build a replacement: not tried again with every span
        self._is_closing = threading.Event()
        self._load()
        self._is_filling = False
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

    def close(self) -> None:
        """Cancel the work in the background, and save."""
        self._is_closing.set()
        if self._builder is not None:
            self._builder.join()
        self.save()

    # Following the store

    def follow(self, revision: int, on_change: Callable[[set[str]], None] = lambda _: None) -> None:
        """Add and remove what has changed in the store; `revision` is that of the store.

        Args:
            on_change: takes the ids of the videos whose spans have changed, before they do so here.
        """
        if revision == self._revision:
            return
        with self._following:
            rounds = 0
            while revision != self._revision:
                rounds += 1
                present, changes = self._store.changes_since(self._revision)
                if changes is None:
                    present, changes = self._compare_spans()
                on_change({change.video_id for change in changes})
                if self._apply(changes, anyway=rounds == _MOST_ROUNDS):
                    revision = self._revision = present

    def _compare_spans(self) -> tuple[int, list[SpanChange]]:
        """The store's revision, and how its spans differ from those here. For changes that nobody knows any more."""
        revision, facts = self._store.span_facts()
        kept = self._spans.keys() & facts.keys()
        if revision < self._revision:
            kept = set()  # an earlier state of the store was restored: its spans may be others with the same ids
        removed = [SpanChange(span_id, self._spans[span_id][0], 0) for span_id in self._spans.keys() - kept]
        return revision, removed + [SpanChange(span_id, *facts[span_id]) for span_id in facts.keys() - kept]

    def _apply(self, changes: Sequence[SpanChange], *, anyway: bool) -> bool:
        """Apply changes in their order. Those that were applied before do no harm: a span's id is never used again.

        Returns: False if the store lacks one of the new spans. Then it has changed again, and the present spans stay
        until that is known, too: a video whose span is replaced is never without it. With `anyway` they do not stay.
        """
        removed, added = [], dict[int, None]()
        for change in changes:
            if change.frames:
                added[change.span_id] = None
            else:
                removed.append(change.span_id)
                added.pop(change.span_id, None)
        for span_ids in batched(added, _SPANS_AT_A_TIME):
            spans = list(self._store.spans(span_ids))
            if len(spans) < len(span_ids) and not anyway:
                return False
            self._exchange(removed, spans)
            removed = []
        if removed:
            self._exchange(removed, [])
        return True

    def _exchange(self, removed: Sequence[int], added: Sequence[StoredSpan]) -> None:
        """Remove spans and add others in one step, so that searches find a replaced span before or after."""
        with self._lock.writing():
            self._remove(removed)
            self._add(added)
            self._replace_if_outgrown()

    def _add(self, spans: Sequence[StoredSpan]) -> None:
        """Add the frames of spans; those that are here already stay."""
        spans = [span for span in spans if span.span_id not in self._spans]
        if not spans:
            return
        vectors, ids = _join(spans)
        if self._index is None or (self._index.ntotal == 0 and self._index.d != vectors.shape[1]):
            self._index = kinds.make_flat_index(vectors.shape[1])
        if not self._index.ntotal:
            self._sum = np.zeros(vectors.shape[1])
        kinds.add(self._index, vectors, ids)
        self._sum += vectors.sum(axis=0, dtype=np.float64)
        for span in spans:
            self._spans[span.span_id] = span.video_id, len(span.frames.vectors)
            self._frames_of[span.video_id] += len(span.frames.vectors)

    def _remove(self, span_ids: Sequence[int]) -> None:
        """Remove the frames of spans; unknown ones are no error."""
        removed = [(span_id, *self._spans.pop(span_id)) for span_id in span_ids if span_id in self._spans]
        for _, video_id, count in removed:
            self._frames_of[video_id] -= count
        if removed and self._index is not None:
            ids = np.concatenate([number_frames(span_id, count) for span_id, _, count in removed])
            self._sum -= self._index.reconstruct_batch(ids).sum(axis=0, dtype=np.float64)
            kinds.remove(self._index, ids)

    # Reading

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

    def nearest_frames(self, vector: Vectors, count: int) -> list[tuple[int, float]]:
        """The numbers of the frames with the highest inner products with a vector [D], best first, each with it."""
        with self._lock.reading():
            if self._index is None or not self._index.ntotal:
                return []
            products, ids = kinds.find_nearest(self._index, vector, count)
        return list(zip(ids.tolist(), products.tolist(), strict=True))

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
        truth = recall.find_truth(queries, (_join(spans) for spans in self._read_store()))
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
        with self._following, self._lock.reading():
            if self._index is None or self._revision == self._saved_revision:
                return
            if self._cache.save(self._revision, self._index, self._sum):
                self._saved_revision = self._revision

    def _load(self) -> None:
        """Read the saved index, or make it from the store."""
        self._revision, facts = self._store.span_facts()
        numbers = [number_frames(span_id, facts[span_id][1]) for span_id in sorted(facts)]
        saved = self._cache.load(self._revision, np.concatenate([np.empty(0, np.int64), *numbers]))
        if saved is None:
            self._rebuild()
            return
        self._index, self._sum = saved
        self._saved_revision = self._revision
        self._spans = facts
        for video_id, count in facts.values():
            self._frames_of[video_id] += count

    def _rebuild(self) -> None:
        started = time.monotonic()
        for spans in self._read_store():
            self._exchange([], spans)
        if len(self):
            logger.info("rebuilt the index of %d frames in %.1f s", len(self), time.monotonic() - started)

    def _read_store(self) -> Iterator[Sequence[StoredSpan]]:
        """All stored spans with frames, in batches."""
        return batched(self._store.spans(), _SPANS_AT_A_TIME)

    # An index of another kind, built while this one answers

    def _replace_if_outgrown(self) -> None:
        index = self._index
        is_busy = self.is_being_replaced or self._is_filling or self._has_failed
        if index is None or is_busy or kinds.fits(index, self._exact_frames):
            return
        self.is_being_replaced = True
        self._builder = threading.Thread(target=self._replace, name="build-index", daemon=True)
        self._builder.start()

    def _replace(self) -> None:
        started = time.monotonic()
        faiss.omp_set_num_threads(1)  # of this thread: searches need the others
        try:
            index, counts = self._build()
            with self._lock.writing():
                self._catch_up(index, counts)
                self._index, self._saved_revision = index, -1
        except Cancelled:
            return
        except Exception:  # the present index goes on answering
            logger.exception("The index could not be replaced; searches stay slow until the next start.")
            self._has_failed = True
            return
        finally:
            self.is_being_replaced = False
        seconds = time.monotonic() - started
        logger.info("the index of %d frames was replaced in %.0f s; it is now %s", len(self), seconds, self.kind)

    def _catch_up(self, index: faiss.Index, counts: Counter[int]) -> None:
        """Give a new index the same spans as the present one; the store may be ahead of both."""
        for span_id in counts.keys() - self._spans.keys():
            kinds.remove(index, number_frames(span_id, counts[span_id]))
        for span_id in self._spans.keys() - counts.keys():
            ids = number_frames(span_id, self._spans[span_id][1])
            kinds.add(index, cast(faiss.Index, self._index).reconstruct_batch(ids).astype(np.float16), ids)

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
        counts = Counter[int]()

        def fill_index() -> Iterator[tuple[StoredVectors, Ids]]:
            for spans in self._read_store():
                if self._is_closing.is_set():
                    raise Cancelled
                vectors, ids = _join(spans)
                kinds.add(index, vectors, ids)
                counts.update({span.span_id: len(span.frames.vectors) for span in spans})
                yield vectors, ids

        truth = recall.find_truth(queries, fill_index())  # reads the store once for both
        if not is_flat:
            recall.tune(index, queries, truth)
        return index, counts

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


def _join(spans: Sequence[StoredSpan]) -> tuple[StoredVectors, Ids]:
    """The vectors of spans, float16 [N, D], and their frames' ids, int64 [N]."""
    vectors = np.concatenate([span.frames.vectors for span in spans])
    return vectors, np.concatenate([number_frames(span.span_id, len(span.frames.vectors)) for span in spans])


def batched(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of so many things each, the last one shorter."""
    iterator = iter(things)
    while batch := list(islice(iterator, size)):
        yield batch
