"""Chooses each strategy's options on the tuning halves: `python -m benchmarks.quality --tune`.

Coordinate ascent over a grid. `fitting.py` fits the trees of `consensus`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.quality.cases import Case
from benchmarks.quality.scoring import answer_cases
from benchmarks.quality.strategies.options import StrategyOptions
from clipseek.evaluation.measures import mean_average_precision, recall_at_1

_LEAST_GAIN = 5e-4  # less is luck: 42 queries cannot show it
Grid = Mapping[str, Sequence[Any]]
_RANKING: Grid = {"score": ("top", "mean"), "snap_seconds": (0.0, 1.0)}
_FLAT: Grid = {"least_contrast": (0.0, 0.2, 0.3, 0.4, 0.5, 0.6)}
_SMOOTHING: Grid = {
    "smoothing_seconds": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    "shot_share": (0.0, 0.3, 0.5, 0.7),
    "smooth_over_cuts": (True, False),
}
_WINDOWS: Grid = {
    "surroundings": (0.5, 1.0, 2.0, np.inf),
    "length_power": (0.25, 0.35, 0.5),
    "least_share": (0.3, 0.5, 0.7),
}
_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.96)
GRIDS: Mapping[str, Grid] = {
    "peaks": {"low_share": (0.4, 0.5, 0.6, 0.65, 0.7, 0.8), **_SMOOTHING, **_RANKING, **_FLAT},
    "otsu": {**_SMOOTHING, **_RANKING, **_FLAT},
    "hysteresis": {
        "low_share": (0.3, 0.4, 0.5, 0.6, 0.7),
        "merge_gap_seconds": (0.0, 1.0, 2.0, 3.0),
        **_SMOOTHING,
        **_RANKING,
        **_FLAT,
    },
    "two-level": {"switch_seconds": (1.0, 2.0, 3.0, 4.0, 6.0), **_SMOOTHING, **_RANKING, **_FLAT},
    "contrast": {**_WINDOWS, **_SMOOTHING, **_RANKING, **_FLAT},
    "watershed": {**_WINDOWS, **_SMOOTHING, **_RANKING, **_FLAT},
    "peak-walk": {"level_share": _SHARES},
    "gap-merge": {
        "level_share": _SHARES,
        "merge_gap_seconds": (0.0, 1.0, 2.0, 4.0, 6.0),
        "padding_seconds": (0.0, 0.5, 1.0, 2.0),
    },
}


def measure_objective(name: str, options: StrategyOptions, sets: Sequence[Sequence[Case]]) -> float:
    """The mean of R1@.5 and mAP, averaged over sets of cases; large and small sets count the same."""
    values = []
    for cases in sets:
        answers = answer_cases(name, options, cases)
        values.append(np.mean([(recall_at_1(a, 0.5) + mean_average_precision(a)) / 2 for a in answers]))
    return float(np.mean(values))


def tune_options(name: str, sets: Sequence[Sequence[Case]], start: StrategyOptions) -> tuple[StrategyOptions, float]:
    """Coordinate ascent over the strategy's grid: one option at a time, until none improves the objective."""
    best, best_value = start, measure_objective(name, start, sets)
    improved = True
    while improved:
        improved = False
        for change in _changes(GRIDS[name]):
            changed = replace(best, **change)
            value = best_value if changed == best else measure_objective(name, changed, sets)
            if value > best_value + _LEAST_GAIN:
                best, best_value, improved = changed, value, True
    return best, best_value


def _changes(grid: Grid) -> Iterator[dict[str, Any]]:
    """Each value of each option, then the first two options of the grid together, as they depend on each other."""
    for key, values in grid.items():
        yield from ({key: value} for value in values)
    keys = list(grid)[:2]
    for both in itertools.product(*(grid[key] for key in keys)):
        yield dict(zip(keys, both, strict=False))
