"""The way in: a score curve becomes segments by one of the strategies.

A strategy says where it sees moments in a curve; snapping, minimum length, scores and order are the same for all, see
`edges.py`. Strategies that measured worse are in benchmarks/quality/strategies, all results in docs/quality.md.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from executors.faiss_indexer.moments.consensus import find_by_consensus
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.hysteresis import find_by_hysteresis
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Shots

__all__ = ["STRATEGIES", "TUNED", "ScoreCurve", "Segment", "SegmentOptions", "find_segments"]

Strategy = Callable[[ScoreCurve, Shots, SegmentOptions], list[Segment]]
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {"consensus": find_by_consensus, "hysteresis": find_by_hysteresis}
)
TUNED: Mapping[str, SegmentOptions] = MappingProxyType(
    {
        "consensus": SegmentOptions(),
        "hysteresis": SegmentOptions(
            strategy="hysteresis", merge_gap_seconds=1.0, score="mean", least_contrast=0.5, low_share=0.4
        ),
    }
)
"""Each strategy's options for calibrated scores, whatever the model, chosen by `python -m benchmarks.quality --tune
--cases 240`."""


def find_segments(curve: ScoreCurve, options: SegmentOptions | None = None, shots: Shots = ()) -> list[Segment]:
    """Divide a curve into segments by the strategy that the options name, best first.

    Segments are half-open, inside `[0, duration_seconds)`, never overlap, and each holds its peak. Edges lie between
    samples where the curve crosses a level, or on a cut at most `snap_seconds` away. A curve in which nothing stands
    out is one segment, the whole video; a curve without samples has none.

    Args:
        curve: finite, calibrated scores: 0 is the query's background in the library, 1 what a right frame gets.
        options: by default those of `consensus`.
        shots: the `[start, end)` of every shot, in order of time; without them edges stay between samples.

    Returns: at most `most_per_video` segments; their scores are in the unit of the curve and comparable between videos.
        n log n in the number of samples.

    Raises: ValueError: there is no such strategy.
    """
    options = options or SegmentOptions()
    if options.strategy not in STRATEGIES:
        names = ", ".join(STRATEGIES)
        raise ValueError(f"There is no segment strategy {options.strategy!r}. Choose one of: {names}.")
    if not len(curve.scores):
        return []
    return STRATEGIES[options.strategy](curve, shots, options)
