"""The options that all segment strategies share, and what each strategy adds to them."""

import math
from dataclasses import dataclass, replace
from typing import Self

SCORES = ("top", "peak", "mean", "contrast")


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How a score curve is divided into segments. A strategy reads what its description names and leaves the rest.

    The defaults are those of the default strategy, chosen on the tuning halves of benchmarks/quality/__main__.py.

    What holds for all of them:
        strategy: a name in `segments.STRATEGIES`.
        smoothing_seconds: sigma of the Gaussian that evens out single frames; 0 leaves the scores as they are.
        smooth_over_cuts: False keeps the scores of one shot out of the next one's average.
        minimum_seconds: shorter segments are dropped, unless there is no longer one.
        maximum_seconds: longer segments are cut down to this around their peak.
        merge_gap_seconds: segments no further apart than this become one.
        snap_seconds: an edge moves to the nearest cut between two shots, if that is no further away.
        padding_seconds: added at both ends, as far as the video and half the gap to the neighbour reach.
        most_per_video: no more segments than this, the best ones.
        score: "top" is the best score inside, "peak" the best smoothed one, "mean" the mean, "contrast" the mean less
            that of the rest of the video. All are in the unit of the curve.

    What all but the baselines read:
        shot_share: how much of a sample's score is its shot's mean score, in [0, 1].
        least_contrast: where the best score is no further than this above the background, the median of Otsu's lower
            class, nothing stands out and the whole video is the segment. In the unit of the curve; calibrated
            scores have the same one for every model.

    What some of them read:
        low_share: hysteresis ends a segment at this share of the way from the background up to the best score of the
            video, peaks at this share of the way up to the segment's own peak.
        switch_seconds: two-level gives up a dip or a bump of full height that is shorter than this.
        surroundings: contrast and watershed compare a window with this many window lengths on either side of it.
        length_power: contrast and watershed weigh a window's contrast by its length to this power.
        least_share: contrast and watershed drop windows below this share of the best one's value.
        level_share: peak-walk and gap-merge keep frames above this share of the best score.
    """

    strategy: str = "consensus"
    smoothing_seconds: float = 1.0
    smooth_over_cuts: bool = False
    minimum_seconds: float = 0.5
    maximum_seconds: float = math.inf
    merge_gap_seconds: float = 0.0
    snap_seconds: float = 1.0
    padding_seconds: float = 0.0
    most_per_video: int = 10
    score: str = "top"
    shot_share: float = 0.0
    least_contrast: float = 0.4
    low_share: float = 0.5
    switch_seconds: float = 2.0
    surroundings: float = math.inf
    length_power: float = 0.5
    least_share: float = 0.3
    level_share: float = 0.8

    def __post_init__(self) -> None:
        lengths = (self.smoothing_seconds, self.minimum_seconds, self.merge_gap_seconds, self.snap_seconds)
        shares = (self.shot_share, self.low_share, self.least_share, self.level_share)
        sizes = (self.padding_seconds, self.switch_seconds, self.length_power, self.least_contrast)
        if not all(0 <= value < math.inf for value in (*lengths, *sizes)):
            raise ValueError(f"seconds and powers must be 0 or more and finite: {self}")
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"shares must lie in [0, 1]: {self}")
        if not (self.maximum_seconds > 0 and self.maximum_seconds >= self.minimum_seconds and self.surroundings > 0):
            raise ValueError(f"maximum_seconds must be above 0 and minimum_seconds, surroundings above 0: {self}")
        if self.most_per_video < 1 or self.score not in SCORES:
            raise ValueError(f"most_per_video must be 1 or more, score one of {', '.join(SCORES)}: {self}")

    def of(self, strategy: str) -> Self:
        """The same options for another strategy."""
        return replace(self, strategy=strategy)
