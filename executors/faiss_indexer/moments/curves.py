"""Score curves: the score of every frame of one video for one query, and what all strategies read off them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Floats, Shots, list_cuts

Indices = npt.NDArray[np.int64]
N = TypeVar("N", np.float64, np.int64)
_LEAST_SIGMA_SECONDS = 1e-3  # below the distance between two frames of any video: smoothing changes nothing
_LEAST_CONTRAST = 1e-6  # below the precision of float16 vectors: such a curve is flat


@dataclass(frozen=True)
class ScoreCurve:
    """The score of each frame of one video: pts_seconds float64 [N] ascending inside `[0, duration_seconds)`, scores
    float64 [N], higher is better.

    Raises: ValueError: the shapes differ, or a value is not finite.
    """

    pts_seconds: Floats
    scores: Floats
    duration_seconds: float

    def __post_init__(self) -> None:
        if self.pts_seconds.ndim != 1 or self.pts_seconds.shape != self.scores.shape:
            shapes = f"pts_seconds {self.pts_seconds.shape} and scores {self.scores.shape}"
            raise ValueError(f"A score curve needs two arrays [N] of one length, not {shapes}.")
        finite = np.isfinite(self.scores) & np.isfinite(self.pts_seconds)
        if not finite.all():
            index = int(np.argmin(finite))
            raise ValueError(
                f"A score curve needs finite values, but sample {index} is {self.scores[index]} at "
                f"{self.pts_seconds[index]} s."
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


def clip(values: npt.NDArray[N], low: Any, high: Any) -> npt.NDArray[N]:
    """`np.clip` without its overhead, which is longer than the work on one curve."""
    clipped: npt.NDArray[N] = np.minimum(np.maximum(values, low), high)
    return clipped


def smooth_scores(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> Floats:
    """The scores smoothed over time and mixed with the mean of their shot, as the options say, float64 [N]."""
    cuts = list_cuts(shots)
    if not len(cuts) or not len(curve.scores):
        return smooth_over_time(curve, options.smoothing_seconds)
    shot = np.searchsorted(cuts, curve.pts_seconds, side="right")  # the number of each sample's shot
    means: Floats = np.bincount(shot, curve.scores)[shot] / np.bincount(shot)[shot]
    if options.shot_share == 1:
        return means
    smooth = smooth_over_time(curve, options.smoothing_seconds, None if options.smooth_over_cuts else shot)
    return (1 - options.shot_share) * smooth + options.shot_share * means


def smooth_over_time(curve: ScoreCurve, sigma_seconds: float, shot: npt.NDArray[np.intp] | None = None) -> Floats:
    """The scores averaged with Gaussian weights over time, float64 [N]; samples need not be evenly spaced.

    Weights reach three sigmas. Samples that lie densely get no extra weight.

    Args:
        shot: the number of each sample's shot [N], ascending; weights then stay inside a shot.
    """
    if sigma_seconds < _LEAST_SIGMA_SECONDS or len(curve.scores) < 2:
        return curve.scores
    step = np.diff(curve.pts_seconds)
    if step.max() - step.min() < _LEAST_SIGMA_SECONDS * step[0]:
        return _smooth_evenly(curve.scores, sigma_seconds / float(step.mean()), shot)
    total, weight = curve.scores.copy(), np.ones(len(curve.scores))
    for shift in range(1, len(curve.scores)):
        apart = curve.pts_seconds[shift:] - curve.pts_seconds[:-shift]
        is_reached = apart <= 3 * sigma_seconds
        if shot is not None:
            is_reached &= shot[shift:] == shot[:-shift]
        if not is_reached.any():
            break
        gauss = np.where(is_reached, np.exp(-0.5 * (apart / sigma_seconds) ** 2), 0.0)
        total[shift:] += gauss * curve.scores[:-shift]
        total[:-shift] += gauss * curve.scores[shift:]
        weight[shift:] += gauss
        weight[:-shift] += gauss
    return total / weight


def _smooth_evenly(scores: Floats, sigma: float, shot: npt.NDArray[np.intp] | None) -> Floats:
    """As `smooth_over_time`, of evenly spaced samples, with sigma in steps: several times faster."""
    reach = min(int(3 * sigma + 1e-6), len(scores) - 1)
    gauss = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    place = np.arange(len(scores)) if shot is None else np.arange(len(scores)) + reach * shot  # gaps part the shots
    spread = np.zeros((2, place[-1] + 1))
    spread[0, place], spread[1, place] = scores, 1.0
    smooth: Floats = np.convolve(spread[0], gauss)[place + reach] / np.convolve(spread[1], gauss)[place + reach]
    return smooth


def find_otsu_threshold(values: Floats) -> float:
    """The threshold between two classes of values [N] that leaves the least variance inside the classes.

    N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", 1979; exact, as it tries every threshold between
    two sorted values. A value equal to the threshold belongs to the upper class. Equal values have that value.
    """
    ordered = np.sort(values)
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)[:-1]
    between = below * (len(ordered) - below) * (sums / below - (ordered.sum() - sums) / (len(ordered) - below)) ** 2
    between[ordered[1:] == ordered[:-1]] = -1.0  # no threshold lies between equal values
    if not len(between) or between.max() <= 0:
        return float(ordered[0])
    best = int(between.argmax())
    return float((ordered[best] + ordered[best + 1]) / 2)


def is_flat(values: Floats, least_contrast: float = 0.0) -> bool:
    """Whether nothing stands out of values [N]: the best is less than `least_contrast` above the background, which is
    the median of Otsu's lower class."""
    if len(values) < 2 or np.ptp(values) < _LEAST_CONTRAST:
        return True
    low = np.sort(values[values < find_otsu_threshold(values)])
    background = float(low[(len(low) - 1) // 2] + low[len(low) // 2]) / 2  # the median
    return float(values.max()) - background < least_contrast
