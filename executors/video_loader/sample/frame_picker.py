"""Which frames become samples, one after another, by their time and, if asked for, by how much moves.

At a rate of r frames per second bucket k is `[k/r, (k+1)/r)`, and its first frame is sampled. If sampling is adaptive,
each bucket has four equal parts, and the first frame of the second, third and fourth is sampled, too, if it differs
from the bucket's last sample by `least_motion` or more. So what is sampled in a bucket depends on its frames alone.
"""

import math
from fractions import Fraction

from executors.video_loader.sample.shots import Glimpse, difference

PARTS = 4
# Levels between two glimpses. Of 4, 8, 12, 16 and 24 the highest mAP on the tune half of the labelled videos, see
# docs/sampling.md.
LEAST_MOTION = 12.0


class Buckets:
    """Takes the frames of a video in order of time.

    Args:
        rate: base samples per second.
        adaptive: take more where much moves,
        least_motion: by at least so many levels, the mean over a glimpse.
    """

    def __init__(self, rate: Fraction, adaptive: bool = False, least_motion: float = LEAST_MOTION) -> None:
        self._rate, self._adaptive, self._least_motion = rate, adaptive, least_motion
        self._part: int | None = None  # of the frame before, counted from the video's beginning
        self._last_sample: Glimpse | None = None  # in this bucket; None in one that was not seen from its beginning

    def first_needed(self, seconds: Fraction) -> Fraction:
        """Where the frames have to begin for `takes` to be right from `seconds` on."""
        # The bucket before may be seen in part; its last frame shows that the next one is the first of its bucket.
        return (math.floor(seconds * self._rate) - 1) / self._rate if self._adaptive else seconds

    def takes(self, seconds: Fraction, glimpse: Glimpse) -> bool:
        """Whether this frame is a sample. Right for the first frame of all only if that is the video's first."""
        before, self._part = self._part, math.floor(seconds * self._rate * PARTS)
        if seconds == 0 if before is None else before // PARTS < self._part // PARTS:
            self._last_sample = glimpse
            return True
        if not self._adaptive or self._last_sample is None or before == self._part:
            return False
        if difference(self._last_sample, glimpse) < self._least_motion:
            return False
        self._last_sample = glimpse
        return True
