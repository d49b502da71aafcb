"""Fits the weights of the features of `consensus` on the tuning halves: `python -m benchmarks.quality --fit`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.cases import Case
from clipseek.evaluation.measures import MAP_IOUS, iou
from executors.faiss_indexer.moments.consensus import (
    FEATURES,
    measure_features,
    snap_edges,
)
from executors.faiss_indexer.moments.curves import smooth_scores
from executors.faiss_indexer.moments.segments import TUNED
from executors.faiss_indexer.moments.shots import Floats
from executors.faiss_indexer.moments.windows import find_window_edges, propose_windows

_STEPS, _RATE = 300, 0.05  # of Adam; the objective is flat long before the last step
_SHRINKAGE = 1e-3


@dataclass(frozen=True)
class _JudgedCase:
    """One case: the features of its windows [M, K], and how good each would be as the answer [M]."""

    features: Floats
    rewards: Floats


def fit_weights(sets: Sequence[Sequence[Case]], shares: Sequence[float]) -> Mapping[str, float]:
    """The weights with the highest expected reward, if a window is the answer with its plausibility as probability.

    The reward of a window is half whether its IoU is .5 or more, half how many of the IoUs .5 to .95 it reaches, and
    .3 of the IoU itself, so that a near miss is better than a far one.

    Args:
        shares: how much each set counts.
    """
    judged = [[_judge(case) for case in cases] for cases in sets]
    rows = np.concatenate([case.features for cases in judged for case in cases])
    scale = rows.std(axis=0) + 1e-9
    weights, mean, square = (np.zeros(len(scale)) for _ in range(3))
    for step in range(1, _STEPS + 1):
        slope = -2 * _SHRINKAGE * weights
        for cases, share in zip(judged, shares, strict=True):
            slope += share * np.mean([_find_slope(case, weights / scale) for case in cases], axis=0) / scale
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        weights += _RATE * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return dict(zip(FEATURES, (weights / scale).tolist(), strict=True))


def _find_slope(case: _JudgedCase, weights: Floats) -> Floats:
    """How the expected reward changes with each weight."""
    values = case.features @ weights
    plausibility = np.exp(values - values.max())
    plausibility /= plausibility.sum()
    gain = plausibility * (case.rewards - plausibility @ case.rewards)
    slope: Floats = gain @ case.features
    return slope


def _judge(case: Case) -> _JudgedCase:
    curve, options = case.calibrated, TUNED["consensus"]
    windows = propose_windows(curve, case.shots)
    smooth = smooth_scores(curve, case.shots, options)
    edges = snap_edges(find_window_edges(windows, smooth), case.shots, options.snap_seconds).tolist()
    best = np.array([max((iou((start, end), moment) for moment in case.moments), default=0.0) for start, end in edges])
    reached = np.mean([best >= least for least in MAP_IOUS], axis=0)
    return _JudgedCase(measure_features(windows, smooth), 0.5 * (best >= 0.5) + 0.5 * reached + 0.3 * best)
