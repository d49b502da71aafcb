"""Gradient boosted regression trees: how well a window is expected to overlap a moment.

J. Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", 2001. `benchmarks/quality/fitting.py` fits
the trees and writes `trees.npz`; docs/quality.md says on what.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.moments.shots import Floats

TREES_FILE = Path(__file__).with_name("trees.npz")
DEPTH = 4
_NODES, _LEAVES = (1 << DEPTH) - 1, 1 << DEPTH


@dataclass(frozen=True, eq=False)
class Trees:
    """T complete trees of DEPTH levels, whose leaves add up to the prediction.

    Attributes:
        feature: uint8 [T, 15], what each node compares: level by level, each from left to right.
        threshold: float32 [T, 15]; a value above it goes right.
        leaf: float32 [T, 16], from left to right.
    """

    feature: npt.NDArray[np.uint8]
    threshold: npt.NDArray[np.float32]
    leaf: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        shapes = (self.feature.shape, self.threshold.shape, self.leaf.shape)
        count = len(self.feature)
        if shapes != ((count, _NODES), (count, _NODES), (count, _LEAVES)):
            raise ValueError(
                f"Trees need features and thresholds [T, {_NODES}] and leaves [T, {_LEAVES}], not {shapes}."
            )

    def predict(self, features: Floats) -> Floats:
        """Features [number of features, M] -> float64 [M]. All trees at once, level by level."""
        values, count = features.astype(np.float32), len(self.leaf)
        is_above = (values[self.feature.T.ravel()] > self.threshold.T.reshape(-1, 1)).reshape(_NODES, count, -1)
        place: npt.NDArray[np.intp] = np.arange(count)[:, None]
        turns: list[npt.NDArray[np.bool_]] = []
        for level in range(DEPTH):
            nodes = is_above[(1 << level) - 1 : (2 << level) - 1]
            for turn in turns:  # keep the right half of the nodes where it was turned right, else the left one
                left, right = nodes[: len(nodes) // 2], nodes[len(nodes) // 2 :]
                nodes = left ^ ((left ^ right) & turn)  # `np.where` takes several times as long
            turns.append(nodes[0])
            place = place << 1 | nodes[0]
        predicted: Floats = self.leaf.ravel().astype(np.float64).take(place).sum(axis=0)
        return predicted

    def save(self, path: Path) -> None:
        """Write the arrays; the same trees always give the same bytes."""
        np.savez_compressed(path, feature=self.feature, threshold=self.threshold, leaf=self.leaf)


@cache
def load_trees(path: Path = TREES_FILE) -> Trees:
    """Read trees from a file that `save` wrote."""
    with np.load(path) as stored:
        return Trees(stored["feature"], stored["threshold"], stored["leaf"])
