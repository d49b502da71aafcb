"""From a score curve to segments: the moments `[start, end)` of one video that stand out for one query.

`find_segments` is the way in, for the library and for the benchmark. What differs between strategies is where they see
moments in a curve; merging, minimum length, snapping, padding, maximum length, scoring and order are the same for all
(`finishing.py`). Sources of the strategies are named in their modules: `consensus.py`, `thresholds.py` (otsu,
hysteresis, two-level), `peaks.py`, `proposals.py` (contrast, watershed), `baselines.py` (peak-walk, gap-merge).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from executors.faiss_indexer.moments.baselines import find_by_gap_merge, find_by_peak_walk
from executors.faiss_indexer.moments.consensus import find_by_consensus
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.peaks import find_by_peaks
from executors.faiss_indexer.moments.proposals import find_by_contrast, find_by_watershed
from executors.faiss_indexer.moments.shots import Shots
from executors.faiss_indexer.moments.thresholds import find_by_hysteresis, find_by_otsu, find_by_two_levels

__all__ = ["STRATEGIES", "TUNED", "ScoreCurve", "Segment", "SegmentOptions", "find_segments"]

Strategy = Callable[[ScoreCurve, Shots, SegmentOptions], list[Segment]]
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "consensus": find_by_consensus,
        "peaks": find_by_peaks,
        "otsu": find_by_otsu,
        "hysteresis": find_by_hysteresis,
        "two-level": find_by_two_levels,
        "contrast": find_by_contrast,
        "watershed": find_by_watershed,
        "peak-walk": find_by_peak_walk,
        "gap-merge": find_by_gap_merge,
    }
)


def find_segments(curve: ScoreCurve, options: SegmentOptions | None = None, shots: Shots = ()) -> list[Segment]:
    """Divide a curve into segments by the strategy that the options name, best first.

    Segments are half-open, inside `[0, duration_seconds)`, never overlap, and each holds its peak. Edges lie between
    samples where the curve crosses a level, or on a cut no further away than `snap_seconds`. A curve in which nothing
    stands out is one segment, the whole video; a curve without samples has none.

    Args:
        curve: finite scores. All strategies but the baselines want them calibrated for `least_contrast`, consensus for
            all that it judges by: 0 is the query's background in the library, 1 what a right frame gets.
        options: by default those of the strategy that measured best, see docs/quality.md.
        shots: the `[start, end)` of every shot, in order of time; without them edges stay between samples.

    Returns: at most `most_per_video` segments; their scores are in the unit of the curve and comparable between videos.
        n log n in the number of samples.

    Raises:
        ValueError: there is no such strategy.
    """
    options = options or SegmentOptions()
    if options.strategy not in STRATEGIES:
        raise ValueError(f"there is no segment strategy {options.strategy!r}; there are {', '.join(STRATEGIES)}")
    if not len(curve.scores):
        return []
    return STRATEGIES[options.strategy](curve, shots, options)


_PLAIN = SegmentOptions(smoothing_seconds=0.0, snap_seconds=0.0, minimum_seconds=0.0, level_share=0.5)
TUNED: Mapping[str, SegmentOptions] = MappingProxyType(
    {
        name: options.of(name)
        for name, options in {
            "consensus": SegmentOptions(),
            "peaks": SegmentOptions(smoothing_seconds=1.5, score="mean", low_share=0.4),
            "otsu": SegmentOptions(smoothing_seconds=0.5, score="mean"),
            "hysteresis": SegmentOptions(merge_gap_seconds=1.0, score="mean", least_contrast=0.5, low_share=0.4),
            "two-level": SegmentOptions(smoothing_seconds=1.5, score="mean", switch_seconds=1.0),
            "contrast": SegmentOptions(length_power=0.35, least_contrast=0.5),
            "watershed": SegmentOptions(shot_share=0.7, length_power=0.35, least_contrast=0.5),
            "peak-walk": _PLAIN,
            "gap-merge": _PLAIN,
        }.items()
    }
)
"""Each strategy's options for calibrated scores, whatever the model, chosen by `python -m benchmarks.quality --tune
--cases 240`. Those of the two baselines are not tuned: the benchmark gives them plain cosines and options for these."""
