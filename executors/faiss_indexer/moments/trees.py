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
DEPTH = 3
_NODES, _LEAVES = (1 << DEPTH) - 1, 1 << DEPTH


@dataclass(frozen=True, eq=False)
class Trees:
    """T complete trees of three levels, whose leaves add up to the prediction.

    Attributes:
        feature: uint8 [T, 7], what each node compares: the root, then the second level, then the third.
        threshold: float32 [T, 7]; a value above it goes right.
        leaf: float32 [T, 8], from left to right.
    """

    feature: npt.NDArray[np.uint8]
    threshold: npt.NDArray[np.float32]
    leaf: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        shapes = (self.feature.shape, self.threshold.shape, self.leaf.shape)
        count = len(self.feature)
        if shapes != ((count, _NODES), (count, _NODES), (count, _LEAVES)):
            raise ValueError(f"Trees need features and thresholds [T, 7] and leaves [T, 8], not {shapes}.")

    def predict(self, features: Floats) -> Floats:
        """Features [number of features, M] -> float64 [M]. All trees at once, level by level."""
        values, count = features.astype(np.float32), len(self.leaf)
        is_above = values[self.feature.T.ravel()] > self.threshold.T.reshape(-1, 1)
        root, left, right, *third = is_above.reshape(_NODES, count, -1).view(np.uint8)
        second = np.where(root, right, left)
        last = np.where(root, np.where(second, third[3], third[2]), np.where(second, third[1], third[0]))
        place = (root << 2 | second << 1 | last) + _LEAVES * np.arange(count, dtype=np.int32)[:, None]
        predicted: Floats = self.leaf.ravel().take(place).sum(axis=0, dtype=np.float64)
        return predicted

    def save(self, path: Path) -> None:
        """Write the arrays; the same trees always give the same bytes."""
        np.savez_compressed(path, feature=self.feature, threshold=self.threshold, leaf=self.leaf)


@cache
def load_trees(path: Path = TREES_FILE) -> Trees:
    """Read trees from a file that `save` wrote."""
    with np.load(path) as stored:
        return Trees(stored["feature"], stored["threshold"], stored["leaf"])
