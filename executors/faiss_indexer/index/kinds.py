"""The Faiss indices that frames are held in: which one for how many, how it is made, and how well it finds.

Both keep the store's own float16 vectors, so a frame that is found has its exact cosine:

- flat: every frame is compared. Exact, and as fast as the memory is.
- partitioned: frames lie in the cells of their nearest centroids, and only the cells nearest to a query are compared
  (J. Sivic and A. Zisserman, "Video Google", 2003, known as an inverted file). How many cells that takes is measured
  when it is made: texts lie far from all pictures, and want many more cells than pictures do.

Product quantisation is not used: at 64 bytes a frame it lost four in ten of the nearest frames.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

RECALL_AT = 10
_ROUNDING = 1e-5  # of products that are summed up in another order
_AIM = 0.995  # when it is made: it has to last while frames come and go
QUERIES = 256  # that recall is measured with
_TRAINED_ON = 48  # frames for each centroid
_ROUNDS = 10  # of k-means
_CELLS_PER_ROOT = 2.0  # 2 sqrt(N): 2000 for a million frames
_TEXT_ALIGNMENT = 0.25  # the cosine of a text with what sets its picture apart from others
_ADDED_AT_A_TIME = 50_000
_GROWTH = 4  # a partition is made anew once it holds so many times what it was made for


def flat_index(dimensions: int) -> faiss.Index:
    """An empty index that compares every frame."""
    scalar = faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexIDMap2(scalar)


def is_partitioned(index: faiss.Index) -> bool:
    return isinstance(faiss.downcast_index(cast(Any, index)), faiss.IndexIVF)


def is_known(index: faiss.Index) -> bool:
    """Whether it is an index as they are made here: those of earlier versions were not."""
    if is_partitioned(index):
        return True
    inner = getattr(faiss.downcast_index(cast(Any, index)), "index", None)
    return isinstance(faiss.downcast_index(inner), faiss.IndexScalarQuantizer) if inner is not None else False


def described(index: faiss.Index | None) -> str:
    """The kind of an index, for people."""
    if index is None:
        return "empty"
    if is_partitioned(index):
        partitioned = cast(Any, index)
        return f"partitioned: {partitioned.nprobe} of {partitioned.nlist} cells"
    return "exact"


def fits(index: faiss.Index, exact_frames: float) -> bool:
    """Whether an index is of the kind for as many frames as it holds.

    Args:
        exact_frames: up to how many the flat one is used. It is gone back to at half of that, not at once.
    """
    total = index.ntotal
    if not is_partitioned(index):
        return bool(total <= exact_frames)
    made_for = cast(Any, index).nlist ** 2 / _CELLS_PER_ROOT**2
    return bool(exact_frames / 2 < total <= _GROWTH * max(made_for, exact_frames))


class Cancelled(Exception):
    """The making of an index was called off."""


def partitioned_index(sample: Vectors, total: int, cancelled: Callable[[], bool]) -> Any:
    """An empty partitioned index for about `total` frames, its centroids found by k-means on a sample of them.

    Args:
        sample: float32 [M, D], unit rows; as many as `sample_size` says, or all there are.
        cancelled: asked between two rounds; if so, `Cancelled` is raised.
    """
    dimensions = sample.shape[1]
    centroids = faiss.IndexFlatIP(dimensions)
    clustering: Any = faiss.Clustering(dimensions, _cells(total))
    clustering.niter = 1
    clustering.spherical = True
    clustering.min_points_per_centroid = 1
    clustering.max_points_per_centroid = _TRAINED_ON
    for _ in range(_ROUNDS):  # each goes on from the centroids of the one before
        if cancelled():
            raise Cancelled
        centroids.reset()
        clustering.train(sample, centroids)
    made: Any = faiss.IndexIVFScalarQuantizer(
        centroids,
        dimensions,
        centroids.ntotal,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # by_residual: the vectors themselves are kept
    )
    cast(Any, centroids).this.disown()
    made.own_fields = True
    made.train(sample[:1])  # the centroids are there; float16 needs nothing
    made.set_direct_map_type(cast(Any, faiss).DirectMap.Hashtable)  # frames are removed and read by their ids
    return made


def sample_size(total: int) -> int:
    """How many frames to find the centroids with."""
    return min(total, _TRAINED_ON * _cells(total))


def _cells(total: int) -> int:
    return max(1, round(_CELLS_PER_ROOT * math.sqrt(total)))


def add(index: faiss.Index, vectors: npt.NDArray[np.float16], ids: Ids) -> None:
    for first in range(0, len(ids), _ADDED_AT_A_TIME):
        part = slice(first, first + _ADDED_AT_A_TIME)
        index.add_with_ids(vectors[part].astype(np.float32), ids[part])


def remove(index: faiss.Index, ids: Ids) -> None:
    """Take out frames; all of them must be in it.

    A partitioned index is never wrapped in an IndexIDMap2: removing would mix up the ids of those that stay.
    """
    index.remove_ids(faiss.IDSelectorArray(ids) if is_partitioned(index) else faiss.IDSelectorBatch(ids))


def held_ids(index: faiss.Index) -> Ids:
    """The ids of all frames, int64 [N], ascending."""
    if not is_partitioned(index):
        return np.sort(faiss.vector_to_array(cast(Any, index).id_map))
    lists: Any = cast(Any, index).invlists
    cells = [faiss.rev_swig_ptr(lists.get_ids(c), lists.list_size(c)) for c in range(lists.nlist) if lists.list_size(c)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *cells]))


def nearest(index: faiss.Index, vector: Vectors, count: int, growth: int = 1) -> tuple[Vectors, Ids]:
    """The `count` frames with the highest inner product with a vector [D]: those, float32 [K], and the ids, int64 [K].

    Args:
        growth: how many times as many cells to look at as it takes for the nearest few; in a flat index all are.
    """
    parameters = None
    if is_partitioned(index):
        cells = min(cast(Any, index).nlist, cast(Any, index).nprobe * growth)
        parameters = cast(Any, faiss).SearchParametersIVF(nprobe=cells)
    products, ids = index.search(vector[np.newaxis], min(count, index.ntotal), params=parameters)
    there = ids[0] >= 0
    return products[0][there], ids[0][there]


def looks_everywhere(index: faiss.Index, count: int, growth: int) -> bool:
    """Whether `nearest` with these would have named every frame."""
    every_cell = not is_partitioned(index) or cast(Any, index).nprobe * growth >= cast(Any, index).nlist
    return bool(every_cell and count >= index.ntotal)


# Recall


def text_like(frames: Vectors, mean_frame: Vectors, random: np.random.Generator) -> Vectors:
    """Queries as far from pictures as texts are. float32 [M, D], unit rows.

    With CLIP a text has a cosine of about .3 with its picture and .17 with others, pictures one of .5 with one another:
    so a quarter of the way from a picture's surroundings to it.

    Args:
        frames: float32 [M, D].
        mean_frame: of the library, float32 [D].
    """
    shown = _unit(frames - mean_frame)
    other = _unit(random.standard_normal(frames.shape, np.float32))
    return _unit(_TEXT_ALIGNMENT * shown + math.sqrt(1 - _TEXT_ALIGNMENT**2) * other)


def _unit(vectors: Vectors) -> Vectors:
    made: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return made


@dataclass(frozen=True)
class Truth:
    """The `RECALL_AT` frames nearest to each query: their ids, int64 [M, RECALL_AT], -1 for none, and the product of
    the last one, float32 [M]. Frames that stand still have the same product: which of them are meant is arbitrary."""

    ids: Ids
    least: Vectors


def truly_nearest(queries: Vectors, batches: Iterable[tuple[npt.NDArray[np.float16], Ids]]) -> Truth:
    """Compare queries, float32 [M, D], with all frames."""
    best = np.full((len(queries), RECALL_AT), -np.inf, np.float32)
    ids = np.full((len(queries), RECALL_AT), -1, np.int64)
    for vectors, numbers in batches:
        products = np.concatenate([best, queries @ vectors.astype(np.float32).T], axis=1)
        every = np.concatenate([ids, np.broadcast_to(numbers, (len(queries), len(numbers)))], axis=1)
        top = np.argpartition(-products, RECALL_AT - 1, axis=1)[:, :RECALL_AT]
        best, ids = np.take_along_axis(products, top, axis=1), np.take_along_axis(every, top, axis=1)
    return Truth(ids, best.min(axis=1))


def recall(index: faiss.Index, queries: Vectors, truth: Truth) -> float:
    """What share of the nearest frames an index finds, over all queries; 1.0 where there are no frames."""
    found = 0
    for query, least in zip(queries, truth.least, strict=True):
        products, _ = nearest(index, query, RECALL_AT)
        found += int((products >= least - _ROUNDING * np.linalg.norm(query)).sum())
    wanted = int((truth.ids >= 0).sum())
    return min(1.0, found / wanted) if wanted else 1.0


def tune(index: Any, queries: Vectors, truth: Truth) -> None:
    """Have a partitioned index look at as many cells as find enough of the truly nearest frames of queries.

    Frames that it does not hold, as they went meanwhile, do not count.
    """
    _, order = index.quantizer.search(queries, index.nlist)
    ranks = np.argsort(order, axis=1)  # [M, cells]: after how many others a query looks at a cell
    wanted = np.isin(truth.ids, held_ids(index))
    cells = np.array([index.direct_map.get(int(number)) >> 32 for number in truth.ids[wanted]], np.int64)
    needed = np.sort(ranks[np.nonzero(wanted)[0], cells])
    index.nprobe = int(needed[math.ceil(_AIM * len(needed)) - 1]) + 1 if len(needed) else 1
