"""All strategies by their names: those of the product, and those that measured worse."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType

from benchmarks.quality.strategies.baselines import find_by_gap_merge, find_by_peak_walk
from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.strategies.peaks import find_by_peaks
from benchmarks.quality.strategies.proposals import find_by_contrast, find_by_watershed
from benchmarks.quality.strategies.standing_out import find_by_standing_out
from benchmarks.quality.strategies.thresholds import find_by_otsu, find_by_two_levels
from executors.faiss_indexer.moments import segments
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.shots import Shots

Strategy = Callable[[ScoreCurve, Shots, StrategyOptions], list[Segment]]
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "consensus": segments.STRATEGIES["consensus"],
        "standing-out": find_by_standing_out,
        "peaks": find_by_peaks,
        "otsu": find_by_otsu,
        "hysteresis": segments.STRATEGIES["hysteresis"],
        "two-level": find_by_two_levels,
        "contrast": find_by_contrast,
        "watershed": find_by_watershed,
        "peak-walk": find_by_peak_walk,
        "gap-merge": find_by_gap_merge,
    }
)
_PLAIN = StrategyOptions(smoothing_seconds=0.0, snap_seconds=0.0, minimum_seconds=0.0, level_share=0.5)
_TUNED = {name: StrategyOptions(**asdict(options)) for name, options in segments.TUNED.items()} | {
    "standing-out": StrategyOptions(),
    "peaks": StrategyOptions(smoothing_seconds=1.5, score="mean", low_share=0.4),
    "otsu": StrategyOptions(smoothing_seconds=0.5, score="mean"),
    "two-level": StrategyOptions(smoothing_seconds=1.5, score="mean", switch_seconds=1.0),
    "contrast": StrategyOptions(length_power=0.35, least_contrast=0.5),
    "watershed": StrategyOptions(shot_share=0.7, length_power=0.35, least_contrast=0.5),
    "peak-walk": _PLAIN,
    "gap-merge": _PLAIN,
}
TUNED: Mapping[str, StrategyOptions] = MappingProxyType(
    {name: replace(_TUNED[name], strategy=name) for name in STRATEGIES}
)
"""Each strategy's options for calibrated scores, whatever the model, chosen by `python -m benchmarks.quality --tune
--cases 240`. Those of the two baselines are not tuned: the benchmark gives them plain cosines and options for these."""


def find_segments(curve: ScoreCurve, options: StrategyOptions, shots: Shots = ()) -> list[Segment]:
    """As the product's `find_segments`, by any of these strategies. The baselines read plain cosines."""
    if not len(curve.scores):
        return []
    return STRATEGIES[options.strategy](curve, shots, options)
