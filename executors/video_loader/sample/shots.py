"""Cuts between shots, found while a video is decoded for its samples.

Every decoded frame passes by as a glimpse, a tiny picture; its difference is the mean distance of its levels from those
of the frame before. A frame begins a new shot if its difference

- stands out: it is `LEAST_RATIO` times what is usual around it and `LEAST_DIFFERENCE` above that. Usual is the mean of
  the larger half of its neighbours' differences: pans, fades, noise and fast action raise their neighbours as well; of
  the larger half, so that repeated frames (cartoons on twos, telecine) do not make the others stand out,
- is no blink: what was on screen before does not come back, and did not just come back, within `LEAST_SHOT_SECONDS`
  (flashes, single bad frames),
- is the largest within `LEAST_SHOT_SECONDS` to both sides; a cut to a picture goes before one to a blank frame. The
  video does not begin or end within that time either.

Each rule looks at frames no further away than `ShotDetector.context_seconds` and at nothing else, so a cut does not
depend on where decoding began. Comparing the difference with its neighbourhood is the idea of PySceneDetect's
`AdaptiveDetector` (B. Castellano, scenedetect.com); the measure, the neighbourhood and the other rules are ours.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

Glimpse = NDArray[np.int16]  # [GLIMPSE_HEIGHT, GLIMPSE_WIDTH, 3], RGB 0 to 255; signed, to be subtracted

GLIMPSE_WIDTH, GLIMPSE_HEIGHT = 64, 36
# Measured on 20 real videos (5 minutes) with 20 cuts. The cuts are 33 to 89 levels above what is usual around them, all
# other frames 11 at most. Cuts are 7 times the usual or more, but one in the middle of a fast ride, which is 2.7 times;
# of other frames that differ by 15 or more none is more than 2.5 times.
LEAST_DIFFERENCE = 15.0
LEAST_RATIO = 2.6
LEAST_SHOT_SECONDS = 0.3  # shorter ones cannot be told from flashes, and nobody searches for them
NEIGHBOUR_SECONDS = 0.3  # 7 frames to both sides at 25 a second: some of them moved in a cartoon on threes, too
_SAME_STEP = 0.75  # of a step between frames: less is shorter by one frame at least, of four or fewer
_NEIGHBOUR_FRAMES = 1.5  # at least one neighbour to both sides at low rates
BLANK_DEVIATION = 4.0  # of the levels of a single colour after lossy coding, with room for some grain


@dataclass(frozen=True)
class _Change:
    """A frame and how it differs from the one before."""

    seconds: float
    step_seconds: float  # between the two
    before: Glimpse
    glimpse: Glimpse
    difference: float

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Of two changes too close together the one of higher rank is the cut."""
        return not is_blank(self.glimpse), self.difference, -self.seconds


class GlimpseMaker:
    """Makes glimpses of the frames of one video."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()  # keeps swscale's tables from frame to frame

    def glimpse(self, frame: VideoFrame) -> Glimpse:
        """The frame as stored, not turned, by the nearest pixels."""
        small = self._scaler.reformat(
            frame, GLIMPSE_WIDTH, GLIMPSE_HEIGHT, "rgb24", interpolation=Interpolation.POINT, threads=1
        )
        return small.to_ndarray().astype(np.int16)


class ShotDetector:
    """Finds cuts in a stream of glimpses.

    Args:
        frame_seconds: the video's usual distance between frames.

    Attributes:
        context_seconds: a cut is certain once every frame up to this far from it, to both sides, has been seen, and
            one before them.
        reach_seconds: a change is likely to be a cut if it is not ruled out by the frames up to this far from it.
        likely: the times of changes that became likely cuts by the last frame. Every cut was likely before.
    """

    def __init__(self, frame_seconds: float) -> None:
        self._frame_seconds = frame_seconds
        self._neighbour_seconds = max(NEIGHBOUR_SECONDS, _NEIGHBOUR_FRAMES * frame_seconds)
        self.reach_seconds = max(LEAST_SHOT_SECONDS, self._neighbour_seconds)
        self.context_seconds = LEAST_SHOT_SECONDS + self.reach_seconds
        self.likely: list[float] = []
        self._last: Glimpse | None = None
        self._last_seconds = 0.0
        self._has_ended = False
        self._seen: deque[_Change] = deque()
        self._unexamined: deque[_Change] = deque()
        self._undecided: deque[_Change] = deque()

    def add(self, seconds: float, glimpse: Glimpse) -> list[float]:
        """Take the next frame. Returns: the times of cuts that have become certain, ascending."""
        if self._last is not None:
            step = seconds - self._last_seconds
            change = _Change(seconds, step, self._last, glimpse, difference(self._last, glimpse))
            self._seen.append(change)
            if change.difference >= LEAST_DIFFERENCE:
                self._unexamined.append(change)
        self._last, self._last_seconds = glimpse, seconds
        self._examine(seconds - self.reach_seconds)
        return self._decided(seconds - self.context_seconds)

    def finish(self) -> list[float]:
        """The video has ended. Returns: the times of the remaining cuts, ascending."""
        self._has_ended = True
        self._examine(math.inf)
        return self._decided(math.inf)

    def _examine(self, until: float) -> None:
        examined: list[_Change] = []
        while self._unexamined and self._unexamined[0].seconds <= until:
            examined.append(self._unexamined.popleft())
        likely = [change for change in examined if self._stands_out(change)]
        self.likely = [change.seconds for change in likely]
        self._undecided.extend(likely)

    def _decided(self, until: float) -> list[float]:
        cuts = []
        while self._undecided and self._undecided[0].seconds <= until:
            change = self._undecided.popleft()
            if self._is_cut(change):
                cuts.append(change.seconds)
        while self._seen and self._seen[0].seconds < until - self.context_seconds:
            self._seen.popleft()
        return cuts

    def _is_cut(self, change: _Change) -> bool:
        """Whether of all that stand out around it this change is the one; it stands out itself."""
        rivals = self._near(change, LEAST_SHOT_SECONDS)
        return not any(rival.rank > change.rank and self._stands_out(rival) for rival in rivals)

    def _stands_out(self, change: _Change) -> bool:
        video_end = self._last_seconds + self._frame_seconds if self._has_ended else math.inf
        last_place = video_end - LEAST_SHOT_SECONDS
        earliest = change.seconds - max(0.0, change.step_seconds - self._frame_seconds)  # if frames were left out
        if change.difference < LEAST_DIFFERENCE or change.seconds < LEAST_SHOT_SECONDS or earliest > last_place:
            return False
        near = self._near(change, self._neighbour_seconds)
        before = [other for other in near if other.seconds < change.seconds]
        steps = chain(*(_over(change.step_seconds, side) for side in (before, near[len(before) :])))
        usual = upper_half_mean(steps)
        least = max(LEAST_RATIO * usual, LEAST_DIFFERENCE + usual)
        return change.difference >= least and not self._is_blink(change)

    def _is_blink(self, change: _Change) -> bool:
        near = self._near(change, LEAST_SHOT_SECONDS)
        returns = (difference(change.before, other.glimpse) for other in near if other.seconds > change.seconds)
        returned = (difference(other.before, change.glimpse) for other in near if other.seconds < change.seconds)
        return any(d < LEAST_DIFFERENCE for d in returns) or any(d < LEAST_DIFFERENCE for d in returned)

    def _near(self, change: _Change, seconds: float) -> list[_Change]:
        return [o for o in self._seen if o is not change and abs(o.seconds - change.seconds) < seconds]


def difference(one: Glimpse, other: Glimpse) -> float:
    """Mean distance of the levels, 0 to 255."""
    return float(np.abs(one - other).mean())


def _over(seconds: float, changes: list[_Change]) -> Iterator[float]:
    """How each frame differs from what it was so long before, as near as frames tell: more moves in more time.

    A longer step counts by its share; from shorter ones as many are taken as it needs, or as there are.
    """
    for last, change in enumerate(changes):
        first = last
        while first and change.seconds - changes[first].seconds + changes[first].step_seconds < _SAME_STEP * seconds:
            first -= 1
        whole = change.difference if first == last else difference(changes[first].before, change.glimpse)
        yield whole * min(1.0, seconds / change.step_seconds) if _SAME_STEP * change.step_seconds > seconds else whole


def upper_half_mean(values: Iterable[float]) -> float:
    """The mean of the larger half of the values, the middle one included; 0 without any."""
    ordered = sorted(values, reverse=True)
    half = ordered[: (len(ordered) + 1) // 2]
    return sum(half) / len(half) if half else 0.0


def is_blank(glimpse: Glimpse) -> bool:
    """Whether there is nothing to see: black, white or any other single colour."""
    return bool(glimpse.std(axis=(0, 1)).max() < BLANK_DEVIATION)
