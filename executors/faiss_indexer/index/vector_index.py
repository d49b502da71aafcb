"""The index over all frames: a cache of the store that answers which videos are near to a query."""

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from clipseek.config.settings import EXACT_FRAMES, LEAST_RECALL
from executors.faiss_indexer.index import kinds
from executors.faiss_indexer.index.kinds import Cancelled, Ids, Vectors
from executors.faiss_indexer.store.shared_lock import SharedLock
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES
from executors.faiss_indexer.store.store import Frames, Store
from executors.machine.durable import sync

logger = logging.getLogger(__name__)

_FIRST_FRAMES, _MORE = 512, 8  # asked for at first, and so many times as many whenever they do not suffice
_SPANS_AT_A_TIME = 1000  # 30,000 frames at one a second

# Faiss knows a frame by one int64: span id times MAX_SPAN_FRAMES plus the frame's place in its span.


@dataclass(frozen=True)
class Recall:
    """What share of the truly nearest frames was found for so many queries, is found now, and how they are compared."""

    before: float
    share: float
    queries: int
    kind: str


@dataclass(frozen=True)
class _Change:
    """A span that came, with its vectors, or went."""

    span_id: int
    vectors: npt.NDArray[np.float16] | None


class VectorIndex:
    """Inner-product search over the frames of a store, held in memory and saved beside it.

    It is read from `folder` if the file there was made from the store's present revision, and rebuilt from the store
    if not. Safe for threads: searches run side by side and wait at most for one span being added.

    Up to `exact_frames` every frame is compared. Beyond, an index that compares a part of them is made in the
    background while this one goes on answering; see `index_kinds`.
    """

    def __init__(self, folder: Path, store: Store, exact_frames: float = EXACT_FRAMES) -> None:
        self._folder = folder
        self._store = store
        self._exact_frames = exact_frames
        self._lock = SharedLock()
        self._saved_revision = -1
        self._spans = store.span_facts()
        self._frames_of = Counter[str]()
        for video_id, count in self._spans.values():
            self._frames_of[video_id] += count
        self._sum = np.zeros(0)
        self._index: faiss.Index | None = self._load()
        self._asked = deque[Vectors](maxlen=kinds.QUERIES)
        self._meanwhile: list[_Change] | None = None  # since the making of another index began
        self._maker: threading.Thread | None = None
        self._has_failed = False  # to make another index: not to be tried with each span anew
        self._closing = threading.Event()
        if self._index is None:
            self._rebuild()
        with self._lock.writing():
            self._exchange_if_outgrown()

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Of the frames' vectors; 0 where there are no frames."""
        return int(self._index.d) if self._index is not None and len(self) else 0

    @property
    def frames_of(self) -> dict[str, int]:
        """How many frames there are of each video that has any."""
        with self._lock.reading():
            return {video_id: count for video_id, count in self._frames_of.items() if count}

    @property
    def kind(self) -> str:
        """How frames are compared, for people."""
        with self._lock.reading():
            return self._described()

    @property
    def is_being_exchanged(self) -> bool:
        """Whether an index of another kind is being made in the background."""
        return self._meanwhile is not None

    def close(self) -> None:
        """Call off what is under way in the background, and save."""
        self._closing.set()
        if self._maker is not None:
            self._maker.join()
        self.save()

    def add(self, span_id: int, video_id: str, frames: Frames) -> None:
        """Make the frames of a stored span findable."""
        with self._lock.writing():
            self._spans[span_id] = (video_id, len(frames.vectors))
            self._frames_of[video_id] += len(frames.vectors)
            if len(frames.vectors):
                self._add(frames.vectors, _ids(span_id, len(frames.vectors)))
                self._note(_Change(span_id, frames.vectors))
                self._exchange_if_outgrown()

    def remove(self, span_ids: list[int]) -> None:
        """Forget the frames of spans; unknown ones are no error."""
        with self._lock.writing():
            gone = [(span_id, *self._spans.pop(span_id)) for span_id in span_ids if span_id in self._spans]
            for span_id, video_id, count in gone:
                self._frames_of[video_id] -= count
                self._note(_Change(span_id, None))
            ids = [_ids(span_id, count) for span_id, _, count in gone if count]
            if ids and self._index is not None:
                every = np.concatenate(ids)
                self._sum -= self._index.reconstruct_batch(every).sum(axis=0, dtype=np.float64)
                kinds.remove(self._index, every)
                self._exchange_if_outgrown()

    def nearest_videos(self, vector: Vectors) -> Iterator[tuple[str, float]]:
        """Every video by the highest inner product of its frames with a vector [D], best first, and that product.

        Lazily: more is asked for only as the caller reads on. Where not every frame is compared, a video may come later
        than it should.
        """
        self._asked.append(vector)
        told = set[str]()
        frames, growth = _FIRST_FRAMES, 1
        while True:
            with self._lock.reading():
                if self._index is None or not self._index.ntotal:
                    return
                products, ids = kinds.nearest(self._index, vector, frames, growth)
                is_all = kinds.looks_everywhere(self._index, frames, growth)
                videos = [self._spans[span_id][0] for span_id in (ids // MAX_SPAN_FRAMES).tolist()]
            for video_id, product in zip(videos, products.tolist(), strict=True):
                if video_id not in told:
                    told.add(video_id)
                    yield video_id, product
            if is_all:
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

    def recall(self) -> Recall:
        """Compare what the index finds with what is truly nearest, for the last queries and for made ones.

        Reads all of the store. An index that finds too little looks at more of its cells from now on.
        """
        with self._lock.reading():
            queries = self._queries()
        truth = kinds.truly_nearest(queries, self._stored())
        with self._lock.reading():
            if self._index is None or not len(queries):
                return Recall(1.0, 1.0, 0, self._described())
            before = share = kinds.recall(self._index, queries, truth)
        if before < LEAST_RECALL:
            with self._lock.writing():
                if kinds.is_partitioned(self._index):
                    kinds.tune(self._index, queries, truth)
                    self._saved_revision = -1
            with self._lock.reading():
                share = kinds.recall(self._index, queries, truth)
        return Recall(before, share, len(queries), self._described())

    # As a cache

    def save(self) -> None:
        """Write the index under a temporary name, then rename it, if it has changed since it was last read or saved.

        It is a cache: one that cannot be written, as on a full disk, is made anew at the next start.
        """
        with self._lock.reading():
            revision = self._store.revision
            if self._index is None or revision == self._saved_revision:
                return
            path = self._path(revision)
            try:
                self._write(self._index, path)
            except (OSError, RuntimeError) as error:  # faiss raises the latter
                logger.warning("The index cache %s cannot be written (%s).", path, error)
                return
            self._drop_all_but(path)
            self._saved_revision = revision

    def _write(self, index: faiss.Index, path: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:  # given a name, faiss would not say that the disk is full
            faiss.write_index(index, cast(Any, faiss).PyCallbackIOWriter(file.write))
            file.write(self._sum.tobytes())
        sync(temporary)
        temporary.replace(path)
        sync(self._folder)

    def _drop_all_but(self, path: Path) -> None:
        """Remove caches of other revisions, and what was left of writing one.

        A store that is restored from a backup comes to the same revision numbers again, with other frames.
        """
        for old in self._folder.glob("frames-*"):
            if old != path:
                old.unlink()

    def _path(self, revision: int) -> Path:
        return self._folder / f"frames-{revision}.faiss"

    def _load(self) -> faiss.Index | None:
        path = self._path(self._store.revision)
        self._drop_all_but(path)
        if not path.exists():
            return None
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            logger.warning("The index cache %s cannot be read (%s); it is rebuilt from the store.", path, error)
            return None
        stored = [_ids(span_id, self._spans[span_id][1]) for span_id in sorted(self._spans)]
        every = np.concatenate([np.empty(0, np.int64), *stored])
        if not kinds.is_known(index) or not np.array_equal(kinds.held_ids(index), every):
            logger.warning("The index cache %s does not fit the store; it is rebuilt.", path)
            return None
        with path.open("rb") as file:
            file.seek(-8 * index.d, os.SEEK_END)
            self._sum = np.frombuffer(file.read()).copy()
        self._saved_revision = self._store.revision
        return index

    def _rebuild(self) -> None:
        started = time.monotonic()
        for vectors, ids in self._stored():
            self._add(vectors, ids)
        logger.info("rebuilt the index of %d frames in %.1f s", len(self), time.monotonic() - started)

    def _add(self, vectors: npt.NDArray[np.float16], ids: Ids) -> None:
        if self._index is None or (self._index.ntotal == 0 and self._index.d != vectors.shape[1]):
            self._index = kinds.flat_index(vectors.shape[1])
        if not self._index.ntotal:
            self._sum = np.zeros(vectors.shape[1])
        kinds.add(self._index, vectors, ids)
        self._sum += vectors.sum(axis=0, dtype=np.float64)

    def _stored(self) -> Iterator[tuple[npt.NDArray[np.float16], Ids]]:
        """All stored frames, many at a time: float16 [N, D] and their ids, int64 [N]."""
        stored = iter(self._store.spans())
        while spans := list(islice(stored, _SPANS_AT_A_TIME)):
            vectors = np.concatenate([span.frames.vectors for span in spans])
            yield vectors, np.concatenate([_ids(span.span_id, len(span.frames.vectors)) for span in spans])

    # Another kind of index, made while this one answers

    def _note(self, change: _Change) -> None:
        if self._meanwhile is not None:
            self._meanwhile.append(change)

    def _exchange_if_outgrown(self) -> None:
        """Begin to make an index of the right kind, if this one is not and none is being made."""
        index = self._index
        is_busy = self._meanwhile is not None or self._has_failed
        if index is None or is_busy or kinds.fits(index, self._exact_frames):
            return
        self._meanwhile = []
        self._maker = threading.Thread(target=self._exchange, name="make-index", daemon=True)
        self._maker.start()

    def _exchange(self) -> None:
        started = time.monotonic()
        faiss.omp_set_num_threads(1)  # of this thread: searches want the others
        try:
            made, held = self._made_anew()
        except Cancelled:
            return
        except Exception:  # what there is goes on to answer
            logger.exception(
                "The index could not be made anew; until the next start searches stay as slow as they are."
            )
            with self._lock.writing():
                self._meanwhile, self._has_failed = None, True
            return
        with self._lock.writing():
            for change in self._meanwhile or ():
                if change.vectors is None:
                    kinds.remove(made, _ids(change.span_id, held.pop(change.span_id, 0)))
                elif change.span_id not in held:
                    kinds.add(made, change.vectors, _ids(change.span_id, len(change.vectors)))
                    held[change.span_id] = len(change.vectors)
            self._index, self._meanwhile, self._saved_revision = made, None, -1
        seconds = time.monotonic() - started
        logger.info("%s of %d frames, made in %.0f s, answers from now on", self.kind, len(self), seconds)

    def _made_anew(self) -> tuple[faiss.Index, dict[int, int]]:
        """An index of the right kind with the stored frames, and how many of which span it holds.

        Raises:
            Cancelled: the index is being closed.
        """
        with self._lock.reading():
            dimensions, total = self.dimensions, len(self)
            is_flat = total <= self._exact_frames
            sample = np.empty((0, dimensions), np.float32) if is_flat else self._sample(kinds.sample_size(total))
        made = kinds.flat_index(dimensions)
        if not is_flat:
            made = kinds.partitioned_index(sample, total, self._closing.is_set)
        held: dict[int, int] = {}
        with self._lock.reading():
            queries = self._queries()

        def added() -> Iterator[tuple[npt.NDArray[np.float16], Ids]]:
            for vectors, ids in self._stored():
                if self._closing.is_set():
                    raise Cancelled
                kinds.add(made, vectors, ids)
                spans, counts = np.unique(ids // MAX_SPAN_FRAMES, return_counts=True)
                held.update(zip(spans.tolist(), counts.tolist(), strict=True))
                yield vectors, ids

        truth = kinds.truly_nearest(queries, added())
        if not is_flat:
            kinds.tune(made, queries, truth)
        return made, held

    def _described(self) -> str:
        return kinds.described(self._index)

    def _queries(self) -> Vectors:
        """What was asked last, and made queries for the rest, float32 [QUERIES, D]; none where there are no frames."""
        if not len(self):
            return np.empty((0, 0), np.float32)
        asked = [vector[np.newaxis] for vector in list(self._asked) if len(vector) == self.dimensions]
        frames = self._sample(kinds.QUERIES - len(asked))
        mean = (self._sum / len(self)).astype(np.float32)
        return np.concatenate([*asked, kinds.text_like(frames, mean, np.random.default_rng(len(self)))])

    def _sample(self, count: int) -> Vectors:
        """Vectors of frames chosen at random, float32 [M, D]; M is less than `count` where there are fewer frames."""
        if self._index is None or not len(self) or count <= 0:
            return np.empty((0, self.dimensions), np.float32)
        ids = kinds.held_ids(self._index)
        chosen = np.random.default_rng(len(ids)).choice(ids, min(count, len(ids)), replace=False)
        return np.asarray(self._index.reconstruct_batch(np.sort(chosen)), np.float32)


def _ids(span_id: int, count: int) -> Ids:
    """Faiss' numbers of the frames of a span, int64 [count]."""
    return span_id * MAX_SPAN_FRAMES + np.arange(count, dtype=np.int64)
