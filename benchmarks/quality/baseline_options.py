"""The options of the baselines, which read plain cosines, for each kind of `units.py`.

Chosen by `python -m benchmarks.quality --tune`, for each kind by itself. The rest of the strategies' options hold for
all kinds: `benchmarks.quality.strategies.catalogue.TUNED`.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.units import CLIP, MOMENT_DETR, STARTER


def _options(strategy: str, level_share: float) -> StrategyOptions:
    return StrategyOptions(
        strategy=strategy, smoothing_seconds=0.0, snap_seconds=0.0, minimum_seconds=0.0, level_share=level_share
    )


BASELINE_OPTIONS: Mapping[str, Mapping[str, StrategyOptions]] = MappingProxyType(
    {
        STARTER.name: {"peak-walk": _options("peak-walk", 0.4), "gap-merge": _options("gap-merge", 0.4)},
        CLIP.name: {"peak-walk": _options("peak-walk", 0.75), "gap-merge": _options("gap-merge", 0.75)},
        MOMENT_DETR.name: {
            "peak-walk": _options("peak-walk", 0.4),
            "gap-merge": replace(_options("gap-merge", 0.5), merge_gap_seconds=2.0, padding_seconds=1.0),
        },
    }
)
