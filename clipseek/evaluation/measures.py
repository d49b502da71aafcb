"""How good found moments are: the measures of moment retrieval, as QVHighlights defines them, and no-match alarms.

A moment is `(start_seconds, end_seconds)`, half-open. Predictions come best first. IoU is the length that two moments
share by the length of their union. Source: J. Lei et al., "QVHighlights: Detecting Moments and Highlights in Videos
via Natural Language Queries", 2021; the interpolated average precision is that of the Pascal VOC challenge 2010.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Moment = tuple[float, float]
Floats = NDArray[np.float64]
MAP_IOUS = tuple(np.round(np.arange(0.5, 0.951, 0.05), 2).tolist())  # .5, .55, ... .95
_BOOTSTRAP_SEED = 0  # the same results print the same interval


@dataclass(frozen=True)
class Answer:
    """What was found for one query, best first, and what is true. No true moments: nothing should be found."""

    predicted: Sequence[Moment]
    true: Sequence[Moment]


@dataclass(frozen=True)
class Interval:
    """A mean and the two ends of its bootstrap interval."""

    mean: float
    low: float
    high: float


def iou(one: Moment, other: Moment) -> float:
    """Intersection over union in [0, 1]; 0 for two empty moments."""
    shared = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    together = (one[1] - one[0]) + (other[1] - other[0]) - shared
    return shared / together if together > 0 else 0.0


def first_iou(answer: Answer) -> float:
    """IoU of the best prediction with the true moment that it fits best; 0 without a prediction."""
    if not answer.predicted:
        return 0.0
    return max((iou(answer.predicted[0], true) for true in answer.true), default=0.0)


def recall_at_1(answer: Answer, least_iou: float) -> float:
    """1 if the best prediction has at least this IoU with a true moment, else 0."""
    return float(first_iou(answer) >= least_iou)


def average_precision(answer: Answer, least_iou: float) -> float:
    """Area under the interpolated curve of precision over recall of one query.

    Predictions are taken best first; each takes the true moment that it fits best among those not taken yet, and is
    right if their IoU is at least `least_iou`.
    """
    taken: set[int] = set()
    right = np.zeros(len(answer.predicted))
    for place, predicted in enumerate(answer.predicted):
        fits = [(iou(predicted, true), -index) for index, true in enumerate(answer.true) if index not in taken]
        best, negative_index = max(fits, default=(0.0, 0))
        if fits and best >= least_iou:
            taken.add(-negative_index)
            right[place] = 1.0
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best_from_here * right).sum() / len(answer.true)) if answer.true else 0.0


def mean_average_precision(answer: Answer) -> float:
    """The average precision of one query, averaged over IoU .5, .55, ... .95."""
    return float(np.mean([average_precision(answer, least) for least in MAP_IOUS]))


def false_alarm(answer: Answer) -> float:
    """1 if anything was found for a query that nothing is true of."""
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
"""What is measured of a query that is true somewhere, by name, each in [0, 1], higher is better."""

FALSE_ALARMS = "false alarms"


def evaluate(answers: Sequence[Answer]) -> dict[str, Floats]:
    """Each measure's value for each query that it is about: MEASURES for those with true moments, else FALSE_ALARMS."""
    with_truth = [answer for answer in answers if answer.true]
    without = [answer for answer in answers if not answer.true]
    values = {name: np.array([measure(a) for a in with_truth]) for name, measure in MEASURES.items()}
    return values | {FALSE_ALARMS: np.array([false_alarm(answer) for answer in without])}


def bootstrap(values: Floats, share: float = 0.95, resamples: int = 2000) -> Interval:
    """The mean of values [N] and the interval that holds this share of the means of resampled values.

    Percentile bootstrap (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979), reproducible.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("the mean of no values is not defined: there must be at least one query")
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    means = np.array([values[generator.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return Interval(float(values.mean()), float(low), float(high))
