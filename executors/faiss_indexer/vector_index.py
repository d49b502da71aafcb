"""The Faiss index over all frames: a cache of the store that answers which frames are nearest to a query."""

import logging
import threading
import time
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from executors.durable import sync
from executors.faiss_indexer.spans import MAX_SPAN_FRAMES
from executors.faiss_indexer.store import Frames, Store

logger = logging.getLogger(__name__)

_MEAN_FRAMES = 100_000  # that the mean frame is taken over at most
_MEAN_TOLERANCE = 0.1  # it is taken anew once this share of the frames has come or gone

# Faiss knows a frame by one int64: span id times MAX_SPAN_FRAMES plus the frame's place in its span.


class VectorIndex:
    """Exact inner-product search over the frames of a store, held in memory and saved beside it.

    It is read from `folder` if the file there was made from the store's present revision, and rebuilt from the store
    if not. Safe for threads: a search waits at most for one span being added.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store
        self._lock = threading.Lock()
        self._saved_revision = -1
        self._mean, self._mean_of = np.zeros(0, np.float32), 0
        self._index: faiss.Index | None = self._load()
        self._moved = len(self)  # frames that have come or gone since the mean was taken
        self._span_videos = store.span_videos()
        if self._index is None:
            self._rebuild()

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Of the frames' vectors; 0 where there are no frames."""
        return int(self._index.d) if self._index is not None and len(self) else 0

    def add(self, span_id: int, video_id: str, frames: Frames) -> None:
        """Make the frames of a stored span findable."""
        with self._lock:
            self._add(span_id, video_id, frames)

    def remove(self, span_ids: list[int]) -> None:
        """Forget the frames of spans; unknown ones are no error."""
        with self._lock:
            for span_id in span_ids:
                if self._span_videos.pop(span_id, None) and self._index is not None:
                    first = span_id * MAX_SPAN_FRAMES
                    self._moved += self._index.remove_ids(faiss.IDSelectorRange(first, first + MAX_SPAN_FRAMES))

    def nearest_videos(self, vector: npt.NDArray[np.float32], least_videos: int) -> list[str]:
        """The videos of the frames nearest to a unit vector [D], best first.

        As many frames are looked at as it takes to find `least_videos` videos, so a long film full of matches does not
        hide the others.
        """
        with self._lock:
            if self._index is None:
                return []
            wanted, total = 64 * least_videos, int(self._index.ntotal)
            while True:
                _, ids = self._index.search(vector[np.newaxis], min(wanted, total))
                found = dict.fromkeys(self._span_videos[span] for span in (ids[0] // MAX_SPAN_FRAMES).tolist())
                if len(found) >= least_videos or wanted >= total:
                    return list(found)
                wanted *= 8

    def mean_frame(self) -> npt.NDArray[np.float32]:
        """The mean of the frames' vectors, float32 [D], to within what a tenth of the frames can move; [0] for none."""
        with self._lock:
            if self._moved > _MEAN_TOLERANCE * self._mean_of:
                self._mean, self._mean_of, self._moved = self._taken_mean(len(self)), len(self), 0
            return self._mean

    def _taken_mean(self, total: int) -> npt.NDArray[np.float32]:
        if self._index is None or not total:
            return np.zeros(0, np.float32)
        flat: Any = faiss.downcast_index(cast(Any, self._index).index)
        vectors = faiss.rev_swig_ptr(flat.get_xb(), total * flat.d).reshape(total, flat.d)
        return np.asarray(vectors[:: 1 + total // _MEAN_FRAMES].mean(axis=0), np.float32)

    def save(self) -> None:
        """Write the index under a temporary name, then rename it, if it has changed since it was last read or saved.

        It is a cache: one that cannot be written, as on a full disk, is made anew at the next start.
        """
        with self._lock:
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
        if not np.array_equal(np.sort(faiss.vector_to_array(cast(Any, index).id_map)), self._stored_ids()):
            logger.warning("The index cache %s does not fit the store; it is rebuilt.", path)
            return None
        self._saved_revision = self._store.revision
        return index

    def _stored_ids(self) -> npt.NDArray[np.int64]:
        """The numbers of all stored frames, int64 [N] ascending."""
        counts = self._store.span_frames()
        ids = [span_id * MAX_SPAN_FRAMES + np.arange(counts[span_id], dtype=np.int64) for span_id in sorted(counts)]
        return np.concatenate([np.empty(0, np.int64), *ids])

    def _rebuild(self) -> None:
        started = time.monotonic()
        for span in self._store.spans():
            self._add(span.span_id, span.video_id, span.frames)
        logger.info("rebuilt the index of %d frames in %.1f s", len(self), time.monotonic() - started)

    def _add(self, span_id: int, video_id: str, frames: Frames) -> None:
        self._span_videos[span_id] = video_id
        if not len(frames.vectors):
            return
        if self._index is None or (self._index.ntotal == 0 and self._index.d != frames.vectors.shape[1]):
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(frames.vectors.shape[1]))
        first = span_id * MAX_SPAN_FRAMES
        ids = np.arange(first, first + len(frames.vectors), dtype=np.int64)
        self._index.add_with_ids(frames.vectors.astype(np.float32), ids)
        self._moved += len(ids)
