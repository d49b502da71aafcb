"""The options of the strategies for scores like CLIP's.

Chosen by `python -m benchmarks.quality --no-films --units clip --tune --cases 500`: on the tuning halves of made curves
alone, since no CLIP weights were at hand. With real ones they must be chosen anew.
"""

from collections.abc import Mapping
from types import MappingProxyType

from executors.faiss_indexer.strategy_options import StrategyOptions

CLIP_OPTIONS: Mapping[str, StrategyOptions] = MappingProxyType(
    {
        "peaks": StrategyOptions(
            smooth_over_cuts=False, snap_seconds=1.0, score="mean", least_contrast=0.03, low_share=0.4
        ),
        "otsu": StrategyOptions(snap_seconds=1.0, score="mean", least_contrast=0.05),
        "hysteresis": StrategyOptions(
            smooth_over_cuts=False, snap_seconds=1.0, score="mean", least_contrast=0.05, low_share=0.3
        ),
        "two-level": StrategyOptions(snap_seconds=1.0, score="mean", least_contrast=0.03, switch_seconds=1.0),
        "contrast": StrategyOptions(
            smoothing_seconds=0.5, smooth_over_cuts=False, snap_seconds=1.0, least_contrast=0.03
        ),
        "watershed": StrategyOptions(
            smoothing_seconds=2.0,
            smooth_over_cuts=False,
            snap_seconds=1.0,
            score="mean",
            least_contrast=0.03,
            length_power=0.35,
        ),
        "peak-walk": StrategyOptions(level_share=0.75),
        "gap-merge": StrategyOptions(level_share=0.75),
    }
)
