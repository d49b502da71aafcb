"""The two kinds of Faiss index: which one suits how many frames, and how each is made and read.

Both keep the store's own float16 vectors, so every frame they return has its exact cosine:

- flat: every frame is compared. Exact, and as fast as the memory is.
- partitioned: frames lie in the cells of their nearest centroids, and only the cells nearest to a query are compared
  (J. Sivic and A. Zisserman, "Video Google", 2003, known as an inverted file). How many cells to compare is measured
  when it is made (recall.py): texts lie far from all pictures, and need many more cells than pictures do.

Product quantisation is not used: at 64 bytes a frame it lost four in ten of the nearest frames.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.store.spans import Ids

Vectors = npt.NDArray[np.float32]
StoredVectors = npt.NDArray[np.float16]

_TRAINING_FRAMES = 48  # for each centroid
_TRAINING_ROUNDS = 10  # of k-means
_CELLS_PER_ROOT = 2.0  # 2 sqrt(N): 2000 for a million frames
_BATCH_FRAMES = 50_000
_GROWTH = 4  # a partition is replaced once it holds so many times the frames that it was made for


def make_flat_index(dimensions: int) -> faiss.Index:
    """An empty index that compares every frame."""
    scalar = faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexIDMap2(scalar)


def is_partitioned(index: faiss.Index) -> bool:
    return isinstance(faiss.downcast_index(cast(Any, index)), faiss.IndexIVF)


def is_known(index: faiss.Index) -> bool:
    """Whether it is of one of the two kinds: those of earlier versions were not."""
    if is_partitioned(index):
        return True
    inner = getattr(faiss.downcast_index(cast(Any, index)), "index", None)
    return isinstance(faiss.downcast_index(inner), faiss.IndexScalarQuantizer) if inner is not None else False


def describe(index: faiss.Index | None) -> str:
    """The kind of an index, for people."""
    if index is None:
        return "empty"
    if is_partitioned(index):
        partitioned = cast(Any, index)
        return f"partitioned: {partitioned.nprobe} of {partitioned.nlist} cells"
    return "exact"


def fits(index: faiss.Index, exact_frames: float) -> bool:
    """Whether an index is of the right kind for the number of its frames.

    Args:
        exact_frames: up to this number the flat kind is used. A partitioned index stays down to half of it, so that the
            kind does not change back and forth.
    """
    total = index.ntotal
    if not is_partitioned(index):
        return bool(total <= exact_frames)
    made_for = cast(Any, index).nlist ** 2 / _CELLS_PER_ROOT**2
    return bool(exact_frames / 2 < total <= _GROWTH * max(made_for, exact_frames))


class Cancelled(Exception):
    """The making of an index was cancelled."""


def make_partitioned_index(sample: Vectors, total: int, is_cancelled: Callable[[], bool]) -> Any:
    """An empty partitioned index for about `total` frames, its centroids found by k-means on a sample of them.

    Args:
        sample: float32 [M, D], unit rows; M is `sample_size(total)`.
        is_cancelled: called between two rounds.

    Raises: Cancelled: `is_cancelled` returned True.
    """
    dimensions = sample.shape[1]
    centroids = faiss.IndexFlatIP(dimensions)
    clustering: Any = faiss.Clustering(dimensions, _cells(total))
    clustering.niter = 1
    clustering.spherical = True
    clustering.min_points_per_centroid = 1
    clustering.max_points_per_centroid = _TRAINING_FRAMES
    for _ in range(_TRAINING_ROUNDS):  # each continues from the centroids of the one before
        if is_cancelled():
            raise Cancelled
        centroids.reset()
        clustering.train(sample, centroids)
    index: Any = faiss.IndexIVFScalarQuantizer(
        centroids,
        dimensions,
        centroids.ntotal,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # by_residual: the vectors themselves are stored
    )
    cast(Any, centroids).this.disown()
    index.own_fields = True
    index.train(sample[:1])  # the centroids are known; float16 needs no training
    index.set_direct_map_type(cast(Any, faiss).DirectMap.Hashtable)  # frames are removed and read by their ids
    return index


def sample_size(total: int) -> int:
    """How many frames k-means needs to find the centroids."""
    return min(total, _TRAINING_FRAMES * _cells(total))


def _cells(total: int) -> int:
    return max(1, round(_CELLS_PER_ROOT * math.sqrt(total)))


def add(index: faiss.Index, vectors: StoredVectors, ids: Ids) -> None:
    """Add frames, float16 [N, D], with their numbers."""
    for first in range(0, len(ids), _BATCH_FRAMES):
        batch = slice(first, first + _BATCH_FRAMES)
        index.add_with_ids(vectors[batch].astype(np.float32), ids[batch])


def remove(index: faiss.Index, ids: Ids) -> None:
    """Remove frames; all of them must be in the index.

    A partitioned index is never wrapped in an IndexIDMap2: removing would mix up the ids of those that stay.
    """
    index.remove_ids(faiss.IDSelectorArray(ids) if is_partitioned(index) else faiss.IDSelectorBatch(ids))


def list_ids(index: faiss.Index) -> Ids:
    """The ids of all frames, int64 [N], ascending."""
    if not is_partitioned(index):
        return np.sort(faiss.vector_to_array(cast(Any, index).id_map))
    lists: Any = cast(Any, index).invlists
    cells = [faiss.rev_swig_ptr(lists.get_ids(c), lists.list_size(c)) for c in range(lists.nlist) if lists.list_size(c)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *cells]))


def find_nearest(index: faiss.Index, vector: Vectors, count: int, growth: int = 1) -> tuple[Vectors, Ids]:
    """The `count` frames with the highest inner product with a vector [D]: products, float32 [K], and ids, int64 [K].

    Args:
        growth: how many times as many cells to compare as the nearest few need; a flat index compares every frame.
    """
    parameters = None
    if is_partitioned(index):
        cells = min(cast(Any, index).nlist, cast(Any, index).nprobe * growth)
        parameters = cast(Any, faiss).SearchParametersIVF(nprobe=cells)
    products, ids = index.search(vector[np.newaxis], min(count, index.ntotal), params=parameters)
    is_frame = ids[0] >= 0
    return products[0][is_frame], ids[0][is_frame]


def covers_all(index: faiss.Index, count: int, growth: int) -> bool:
    """Whether `find_nearest` returns every frame with these arguments."""
    every_cell = not is_partitioned(index) or cast(Any, index).nprobe * growth >= cast(Any, index).nlist
    return bool(every_cell and count >= index.ntotal)
