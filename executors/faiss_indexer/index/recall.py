"""Recall: what share of the truly nearest frames an index finds, and how many cells it must compare for that."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from executors.faiss_indexer.index.kinds import StoredVectors, Vectors, find_nearest, list_ids
from executors.faiss_indexer.store.spans import Ids

RECALL_AT = 10
QUERIES = 256  # that recall is measured with
_ROUNDING = 1e-5  # of products that are summed in another order
_AIM = 0.995  # for a new index: its recall must last while frames come and go
_TEXT_ALIGNMENT = 0.25  # the cosine of a text with the difference of its picture from others


@dataclass(frozen=True)
class Recall:
    """What share of the truly nearest frames was found for so many queries, is found now, and how they are compared."""

    before: float
    share: float
    queries: int
    kind: str


@dataclass(frozen=True)
class Truth:
    """The `RECALL_AT` frames nearest to each query: their ids, int64 [M, RECALL_AT], -1 for none, and the product of
    the last one, float32 [M]. Still frames have the same product: which of them are listed is arbitrary."""

    ids: Ids
    least: Vectors


def find_truth(queries: Vectors, batches: Iterable[tuple[StoredVectors, Ids]]) -> Truth:
    """Compare queries, float32 [M, D], with all frames."""
    best = np.full((len(queries), RECALL_AT), -np.inf, np.float32)
    ids = np.full((len(queries), RECALL_AT), -1, np.int64)
    for vectors, numbers in batches:
        products = np.concatenate([best, queries @ vectors.astype(np.float32).T], axis=1)
        candidates = np.concatenate([ids, np.broadcast_to(numbers, (len(queries), len(numbers)))], axis=1)
        top = np.argpartition(-products, RECALL_AT - 1, axis=1)[:, :RECALL_AT]
        best, ids = np.take_along_axis(products, top, axis=1), np.take_along_axis(candidates, top, axis=1)
    return Truth(ids, best.min(axis=1))


def measure_recall(index: faiss.Index, queries: Vectors, truth: Truth) -> float:
    """What share of the nearest frames an index finds, over all queries; 1.0 without frames."""
    hits = 0
    for query, least in zip(queries, truth.least, strict=True):
        products, _ = find_nearest(index, query, RECALL_AT)
        hits += int((products >= least - _ROUNDING * np.linalg.norm(query)).sum())
    total = int((truth.ids >= 0).sum())
    return min(1.0, hits / total) if total else 1.0


def tune(index: Any, queries: Vectors, truth: Truth) -> None:
    """Set how many cells a partitioned index compares, such that it finds enough of the truly nearest frames.

    Frames that were removed from it in the meantime do not count.
    """
    _, order = index.quantizer.search(queries, index.nlist)
    ranks = np.argsort(order, axis=1)  # [M, cells]: how many cells a query compares before this one
    is_held = np.isin(truth.ids, list_ids(index))
    cells = np.array([index.direct_map.get(int(number)) >> 32 for number in truth.ids[is_held]], np.int64)
    needed = np.sort(ranks[np.nonzero(is_held)[0], cells])
    index.nprobe = int(needed[math.ceil(_AIM * len(needed)) - 1]) + 1 if len(needed) else 1


def make_queries(frames: Vectors, mean_frame: Vectors, random: np.random.Generator) -> Vectors:
    """Queries as far from pictures as texts are. float32 [M, D], unit rows.

    With CLIP a text has a cosine of about .3 with its picture and .17 with others, pictures one of .5 with one another.
    So a query lies a quarter of the way from a picture's surroundings to the picture.

    Args:
        frames: float32 [M, D].
        mean_frame: of the library, float32 [D].
    """
    shown = _normalise(frames - mean_frame)
    other = _normalise(random.standard_normal(frames.shape, np.float32))
    return _normalise(_TEXT_ALIGNMENT * shown + math.sqrt(1 - _TEXT_ALIGNMENT**2) * other)


def _normalise(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
