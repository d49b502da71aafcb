"""The options of the segment strategies."""

import math
from dataclasses import dataclass

SCORES = ("top", "mean")


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How a score curve is divided into segments.

    The defaults are those of `consensus`, chosen on the tuning halves of benchmarks/quality/__main__.py.

    Attributes:
        strategy: a name in `segments.STRATEGIES`.
        smoothing_seconds: sigma of the Gaussian that smooths the scores; 0 leaves them as they are.
        smooth_over_cuts: False keeps the scores of one shot out of the next one's average.
        shot_share: how much of a sample's score is its shot's mean score, in [0, 1].
        least_contrast: a curve whose best score is less than this above the background (the median of Otsu's lower
            class) is one segment, the whole video. In units of calibrated scores, the same for every model.
        minimum_seconds: shorter segments are dropped, unless no segment is longer.
        merge_gap_seconds: gap merging: `hysteresis` merges segments that are no further apart than this.
        low_share: `hysteresis` ends a segment at this share of the way from the background up to the best score.
        snap_seconds: an edge moves to the nearest cut between two shots, if that is at most this far away.
        most_per_video: the number of segments, at most; the best ones stay.
        score: "top" is the best score inside, "mean" the mean. Both are in the unit of the curve.

    Raises: ValueError: a value is outside its range.
    """

    strategy: str = "consensus"
    smoothing_seconds: float = 1.0
    smooth_over_cuts: bool = False
    shot_share: float = 0.0
    least_contrast: float = 0.4
    minimum_seconds: float = 0.5
    merge_gap_seconds: float = 0.0
    low_share: float = 0.5
    snap_seconds: float = 1.0
    most_per_video: int = 10
    score: str = "top"

    def __post_init__(self) -> None:
        seconds = (self.smoothing_seconds, self.minimum_seconds, self.merge_gap_seconds, self.snap_seconds)
        if not all(0 <= value < math.inf for value in (*seconds, self.least_contrast)):
            raise ValueError(f"seconds and least_contrast must be finite and not below 0: {self}")
        if not all(0 <= share <= 1 for share in (self.shot_share, self.low_share)):
            raise ValueError(f"shares must lie in [0, 1]: {self}")
        if self.most_per_video < 1 or self.score not in SCORES:
            raise ValueError(f"most_per_video must be 1 or more, score one of {', '.join(SCORES)}: {self}")
