"""The options of the product's strategies, and what the others read beside them."""

import math
from dataclasses import dataclass

from executors.faiss_indexer.moments.options import SegmentOptions


@dataclass(frozen=True, kw_only=True)
class StrategyOptions(SegmentOptions):
    """A strategy reads what its description names and ignores the rest.

    Attributes:
        low_share: `peaks`, too: it ends a segment at this share of the way up to the segment's own peak.
        merge_gap_seconds: `gap-merge`, too.
        padding_seconds: `gap-merge` adds this at both ends, up to half-way to the neighbour.
        switch_seconds: `two-level` ignores a dip or a bump of full height that is shorter than this.
        surroundings: `contrast` and `watershed` compare a window with so many window lengths on either side of it.
        length_power: `contrast` and `watershed` weigh a window's contrast by its length to this power.
        least_share: `contrast` and `watershed` drop windows below this share of the best one's value.
        level_share: `peak-walk` and `gap-merge` keep frames above this share of the best score.

    Raises:
        ValueError: a value is outside its range.
    """

    padding_seconds: float = 0.0
    switch_seconds: float = 2.0
    surroundings: float = math.inf
    length_power: float = 0.5
    least_share: float = 0.3
    level_share: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0 <= value < math.inf for value in (self.padding_seconds, self.switch_seconds, self.length_power)):
            raise ValueError(f"seconds and powers must be finite and not below 0: {self}")
        if not all(0 <= share <= 1 for share in (self.least_share, self.level_share)):
            raise ValueError(f"shares must lie in [0, 1]: {self}")
        if not self.surroundings > 0:
            raise ValueError(f"surroundings must be above 0: {self}")
