"""Decides which frames become samples, by their time and, if sampling is adaptive, by motion.

At a rate of r frames per second, step k is `[k/r, (k+1)/r)`, and its first frame is sampled. Adaptive sampling divides
each step into quarters: the first frame of the second, third and fourth quarter is sampled too, if it differs from the
step's last sample by `least_motion` or more. So the samples of a step depend on its own frames alone.
"""

import math
from fractions import Fraction

from executors.video_loader.sample.shots import Preview, difference

QUARTERS = 4
# Levels between two previews. Highest mAP of 4, 8, 12, 16 and 24 on the tune half of the labelled videos, see
# docs/sampling.md.
LEAST_MOTION = 12.0


class FramePicker:
    """Picks samples among the frames of a video, which it gets in order of time.

    Args:
        rate: base samples per second.
        adaptive: take more samples where much moves.
        least_motion: the motion that counts, in levels, the mean over a preview.
        first_seconds: when the video's first frame is shown.
    """

    def __init__(
        self,
        rate: Fraction,
        adaptive: bool = False,
        least_motion: float = LEAST_MOTION,
        first_seconds: Fraction = Fraction(0),
    ) -> None:
        self._first_seconds = first_seconds
        self._rate, self._adaptive, self._least_motion = rate, adaptive, least_motion
        self._quarter: int | None = None  # of the previous frame, counted from the beginning of the video
        self._last_sample: Preview | None = None  # in this step; None in a step not seen from its beginning

    def first_needed(self, seconds: Fraction) -> Fraction:
        """Where frames must begin so that `picks` is right from `seconds` on."""
        # The step before may be seen in part; its last frame shows that the next one is the first of its step.
        return (math.floor(seconds * self._rate) - 1) / self._rate if self._adaptive else seconds

    def picks(self, seconds: Fraction, preview: Preview) -> bool:
        """Whether this frame is a sample. The answer for the first call is right only for the video's first frame."""
        before, self._quarter = self._quarter, math.floor(seconds * self._rate * QUARTERS)
        if seconds == self._first_seconds if before is None else before // QUARTERS < self._quarter // QUARTERS:
            self._last_sample = preview
            return True
        if not self._adaptive or self._last_sample is None or before == self._quarter:
            return False
        if difference(self._last_sample, preview) < self._least_motion:
            return False
        self._last_sample = preview
        return True
