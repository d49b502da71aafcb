"""How good matches are: the measures of moment retrieval, as QVHighlights defines them, and false alarms.

A moment is `(start_seconds, end_seconds)`, half-open. Predictions come best first. IoU is the length that two moments
share, divided by the length of their union. Source: J. Lei et al., "QVHighlights: Detecting Moments and Highlights in
Videos via Natural Language Queries", 2021; the interpolated average precision is that of the Pascal VOC challenge 2010.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Moment = tuple[float, float]
Floats = NDArray[np.float64]
MAP_IOUS = tuple(np.round(np.arange(0.5, 0.951, 0.05), 2).tolist())  # .5, .55, ... .95
_BOOTSTRAP_SEED = 0  # the same results give the same interval


@dataclass(frozen=True)
class Answer:
    """The predicted moments of one query, best first, and the true ones. No true moments: nothing should match."""

    predicted: Sequence[Moment]
    true: Sequence[Moment]


@dataclass(frozen=True)
class Interval:
    """A mean, the two ends of its bootstrap interval, and of how many queries."""

    mean: float
    low: float
    high: float
    queries: int


def iou(one: Moment, other: Moment) -> float:
    """Intersection over union in [0, 1]; 0 for two empty moments."""
    shared = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    together = (one[1] - one[0]) + (other[1] - other[0]) - shared
    return shared / together if together > 0 else 0.0


def first_iou(answer: Answer) -> float:
    """The best IoU of the first prediction with a true moment; 0 without a prediction."""
    if not answer.predicted:
        return 0.0
    return max((iou(answer.predicted[0], true) for true in answer.true), default=0.0)


def recall_at_1(answer: Answer, least_iou: float) -> float:
    """1 if the first prediction has at least this IoU with a true moment, else 0."""
    return float(first_iou(answer) >= least_iou)


def average_precision(answer: Answer, least_iou: float) -> float:
    """Area under the interpolated curve of precision over recall of one query.

    Best first, each prediction is paired with the free true moment of the highest IoU, and is correct if that is at
    least `least_iou`.
    """
    paired: set[int] = set()
    correct = np.zeros(len(answer.predicted))
    for place, predicted in enumerate(answer.predicted):
        fits = [(iou(predicted, true), -index) for index, true in enumerate(answer.true) if index not in paired]
        best, negative_index = max(fits, default=(0.0, 0))
        if fits and best >= least_iou:
            paired.add(-negative_index)
            correct[place] = 1.0
    precision = correct.cumsum() / np.arange(1, len(correct) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best_from_here * correct).sum() / len(answer.true)) if answer.true else 0.0


def mean_average_precision(answer: Answer) -> float:
    """The average precision of one query, averaged over IoU .5, .55, ... .95."""
    return float(np.mean([average_precision(answer, least) for least in MAP_IOUS]))


def false_alarm(answer: Answer) -> float:
    """1 if there are predictions for a query without true moments."""
    return float(bool(answer.predicted) and not answer.true)


MEASURES: Mapping[str, Callable[[Answer], float]] = MappingProxyType(
    {
        "R1@.3": lambda answer: recall_at_1(answer, 0.3),
        "R1@.5": lambda answer: recall_at_1(answer, 0.5),
        "R1@.7": lambda answer: recall_at_1(answer, 0.7),
        "mAP": mean_average_precision,
        "mAP@.5": lambda answer: average_precision(answer, 0.5),
        "mIoU": first_iou,
    }
)
"""Measures of queries with true moments, by name. Each is in [0, 1], higher is better."""

FALSE_ALARMS = "false alarms"


def evaluate(answers: Sequence[Answer]) -> dict[str, Floats]:
    """Each measure's value for each of its queries: MEASURES for those with true moments, else FALSE_ALARMS."""
    with_truth = [answer for answer in answers if answer.true]
    without = [answer for answer in answers if not answer.true]
    values = {name: np.array([measure(a) for a in with_truth]) for name, measure in MEASURES.items()}
    return values | {FALSE_ALARMS: np.array([false_alarm(answer) for answer in without])}


def bootstrap(values: Floats, share: float = 0.95, resamples: int = 2000) -> Interval:
    """The mean of values [N], and the interval that holds this share of the means of resampled values.

    Percentile bootstrap (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979), reproducible.

    Raises: ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("no values have no mean: at least one query is needed")
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    means = np.array([values[generator.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return Interval(float(values.mean()), float(low), float(high), len(values))
