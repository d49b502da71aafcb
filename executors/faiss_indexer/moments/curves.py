"""Score curves: the score of every frame of one video for one query, and what all strategies read off them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots, cuts_of

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
N = TypeVar("N", np.float64, np.int64)
_LEAST_SIGMA_SECONDS = 1e-3  # less than any video's distance between frames: nothing to even out


@dataclass(frozen=True)
class ScoreCurve:
    """The score of each frame of one video: pts_seconds float64 [N] ascending inside `[0, duration_seconds)`, scores
    float64 [N], higher is better.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """

    pts_seconds: Floats
    scores: Floats
    duration_seconds: float

    def __post_init__(self) -> None:
        if self.pts_seconds.ndim != 1 or self.pts_seconds.shape != self.scores.shape:
            shapes = f"pts_seconds {self.pts_seconds.shape} and scores {self.scores.shape}"
            raise ValueError(f"a score curve wants two arrays [N] of one length, but got {shapes}")
        finite = np.isfinite(self.scores) & np.isfinite(self.pts_seconds)
        if not finite.all():
            index = int(np.argmin(finite))
            raise ValueError(
                f"a score curve wants finite values, but sample {index} is {self.scores[index]} at "
                f"{self.pts_seconds[index]} s"
            )

    @cached_property
    def cell_edges(self) -> Floats:
        """Sample i stands for the time from edge i to edge i + 1: half-way to its neighbours; float64 [N + 1]."""
        middles = (self.pts_seconds[1:] + self.pts_seconds[:-1]) / 2
        return np.concatenate(([0.0], middles, [self.duration_seconds]))


@dataclass(frozen=True)
class Segment:
    """A scored `[start_seconds, end_seconds)`; `peak_seconds` is the time of its best frame."""

    start_seconds: float
    end_seconds: float
    score: float
    peak_seconds: float


@dataclass(frozen=True)
class Runs:
    """Runs of samples: int64 [M] first and last index of each, inclusive, in order of time, not touching."""

    first: Indices
    last: Indices

    @classmethod
    def of(cls, inside: npt.NDArray[np.bool_]) -> "Runs":
        """The runs of True in bool [N]."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False]))))
        return cls(edges[::2], edges[1::2] - 1)


def clipped(values: npt.NDArray[N], low: Any, high: Any) -> npt.NDArray[N]:
    """As `np.clip`, which takes longer to be called than a curve takes to be clipped."""
    within: npt.NDArray[N] = np.minimum(np.maximum(values, low), high)
    return within


def evened_out(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> Floats:
    """The scores smoothed and mixed with the mean of their shot as the options say, float64 [N]."""
    cuts = cuts_of(shots)
    if not len(cuts) or not len(curve.scores):
        return smoothed(curve, options.smoothing_seconds)
    shot = np.searchsorted(cuts, curve.pts_seconds, side="right")  # the number of each sample's shot
    smooth = smoothed(curve, options.smoothing_seconds, None if options.smooth_over_cuts else shot)
    totals, counts = np.bincount(shot, curve.scores), np.bincount(shot)
    mixed: Floats = (1 - options.shot_share) * smooth + options.shot_share * totals[shot] / counts[shot]
    return mixed


def smoothed(curve: ScoreCurve, sigma_seconds: float, shot: npt.NDArray[np.intp] | None = None) -> Floats:
    """The scores averaged with Gaussian weights over time, float64 [N]; samples need not be evenly spaced.

    Weights reach three sigmas, and over no change of the number `shot` [N], ascending, where it is given. A sample's
    weight does not grow where samples are dense: it is the Gaussian alone.
    """
    if sigma_seconds < _LEAST_SIGMA_SECONDS or len(curve.scores) < 2:
        return curve.scores
    total, weight = curve.scores.copy(), np.ones(len(curve.scores))
    for shift in range(1, len(curve.scores)):
        apart = curve.pts_seconds[shift:] - curve.pts_seconds[:-shift]
        reached = apart <= 3 * sigma_seconds
        if shot is not None:
            reached &= shot[shift:] == shot[:-shift]
        if not reached.any():
            break
        gauss = np.where(reached, np.exp(-0.5 * (apart / sigma_seconds) ** 2), 0.0)
        total[shift:] += gauss * curve.scores[:-shift]
        total[:-shift] += gauss * curve.scores[shift:]
        weight[shift:] += gauss
        weight[:-shift] += gauss
    return total / weight


def otsu_threshold(values: Floats) -> float:
    """The threshold between two classes of values [N] that leaves the least variance inside the classes.

    Exact (every cut between two sorted values is tried), so it needs no histogram. A value equal to the threshold
    belongs to the upper class; for values that are all the same it is that value.
    """
    ordered = np.sort(values)
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)[:-1]
    between = below * (len(ordered) - below) * (sums / below - (ordered.sum() - sums) / (len(ordered) - below)) ** 2
    between[ordered[1:] == ordered[:-1]] = -1.0  # no cut between equal values
    if not len(between) or between.max() <= 0:
        return float(ordered[0])
    cut = int(between.argmax())
    return float((ordered[cut] + ordered[cut + 1]) / 2)
