"""The default of version 0.1: `consensus`, with a weighted sum of seven features in place of the trees."""

from executors.faiss_indexer.moments.consensus import find_by_judge
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.features import weigh_standing_out
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Floats, Shots
from executors.faiss_indexer.moments.windows import Windows


def find_by_standing_out(curve: ScoreCurve, shots: Shots, options: SegmentOptions) -> list[Segment]:
    """The windows that overlap best with those that stand out most, without overlaps."""
    return find_by_judge(curve, shots, options, _judge)


def _judge(_windows: Windows, _smooth: Floats, standing_out: Floats) -> Floats:
    return weigh_standing_out(standing_out)
