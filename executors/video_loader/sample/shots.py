"""Finds the cuts between shots while a video is decoded for its samples.

Every decoded frame becomes a preview, a tiny picture. A frame's difference is the mean distance of its levels from
those of the previous frame. A frame begins a new shot if its difference

- stands out: it is `LEAST_RATIO` times the usual difference around it, and `LEAST_DIFFERENCE` above that. The usual
  difference is the mean of the larger half of its neighbours' differences. Neighbours, because pans, fades, noise and
  fast action raise them too; the larger half, so that repeated frames (cartoons on twos, telecine) do not make the
  others stand out. After a picture that stayed for `STILL_SECONDS`, `LEAST_DIFFERENCE` is enough,
- is no blink: the earlier picture does not return, and has not just returned, within `LEAST_SHOT_SECONDS` (flashes,
  single bad frames),
- is the largest within `LEAST_SHOT_SECONDS` on both sides, where a cut to a picture outranks a cut to a blank frame.
  The video neither begins nor ends within that time.

Each rule uses only frames within `ShotDetector.context_seconds`, so a cut does not depend on where decoding began.
Comparing a difference with its neighbourhood is the idea of PySceneDetect's `AdaptiveDetector` (B. Castellano,
scenedetect.com); the measure, the neighbourhood and the other rules are ours.
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

Preview = NDArray[np.int16]  # [PREVIEW_HEIGHT, PREVIEW_WIDTH, 3], RGB 0 to 255; signed, for subtraction

PREVIEW_WIDTH, PREVIEW_HEIGHT = 64, 36
# Measured on 20 real videos (5 minutes) with 20 cuts. Cuts are 33 to 89 levels above the usual around them, all other
# frames 11 at most. Cuts are 7 times the usual or more, except one in the middle of a fast ride, at 2.7 times. Of other
# frames that differ by 15 or more, none exceeds 2.5 times.
LEAST_DIFFERENCE = 15.0
LEAST_RATIO = 2.6
LEAST_SHOT_SECONDS = 0.3  # shorter shots look like flashes, and nobody searches for them
NEIGHBOUR_SECONDS = 0.3  # 7 frames on both sides at 25 per second: some of them move even in a cartoon on threes
STILL_SECONDS = 2.0  # a picture that stays so long is a slide, or one of a time-lapse: no motion to compare with
_SAME_STEP = 0.75  # of a step between frames; a smaller share means at least one frame less, of four or fewer
_NEIGHBOUR_FRAMES = 1.5  # gives at least one neighbour on both sides at low rates
BLANK_DEVIATION = 4.0  # levels: a single colour after lossy coding stays below, even with some grain


@dataclass(frozen=True)
class _Change:
    seconds: float
    step_seconds: float  # between the two
    before: Preview
    preview: Preview
    difference: float

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Of two changes too close together, the higher rank is the cut."""
        return not is_blank(self.preview), self.difference, -self.seconds


class PreviewMaker:
    """Makes previews of the frames of one video."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()  # reused: it keeps swscale's tables from frame to frame

    def make(self, frame: VideoFrame) -> Preview:
        """Scale the stored frame, not turned, by its nearest pixels."""
        small = self._scaler.reformat(
            frame, PREVIEW_WIDTH, PREVIEW_HEIGHT, "rgb24", interpolation=Interpolation.POINT, threads=1
        )
        return small.to_ndarray().astype(np.int16)


class ShotDetector:
    """Finds cuts in a stream of previews.

    Args:
        frame_seconds: the video's usual distance between frames.

    Attributes:
        context_seconds: a cut is certain once every frame within this distance on both sides is known, and one before
            them.
        reach_seconds: a change is a likely cut if no frame within this distance rules it out.
        likely: times of the changes that the last frame made likely cuts. Every cut was likely before.
    """

    def __init__(self, frame_seconds: float) -> None:
        self._frame_seconds = frame_seconds
        self._neighbour_seconds = max(NEIGHBOUR_SECONDS, _NEIGHBOUR_FRAMES * frame_seconds)
        self.reach_seconds = max(LEAST_SHOT_SECONDS, self._neighbour_seconds)
        self.context_seconds = LEAST_SHOT_SECONDS + self.reach_seconds
        self.likely: list[float] = []
        self._last: Preview | None = None
        self._last_seconds = 0.0
        self._has_ended = False
        self._changes: deque[_Change] = deque()
        self._unexamined: deque[_Change] = deque()
        self._undecided: deque[_Change] = deque()

    def add(self, seconds: float, preview: Preview) -> list[float]:
        """Take the next frame. Returns: times of the cuts that are certain now, ascending."""
        if self._last is not None:
            step = seconds - self._last_seconds
            change = _Change(seconds, step, self._last, preview, difference(self._last, preview))
            self._changes.append(change)
            if change.difference >= LEAST_DIFFERENCE:
                self._unexamined.append(change)
        self._last, self._last_seconds = preview, seconds
        self._examine(seconds - self.reach_seconds)
        return self._decide(seconds - self.context_seconds)

    def finish(self) -> list[float]:
        """Call it at the end of the video. Returns: times of the remaining cuts, ascending."""
        self._has_ended = True
        self._examine(math.inf)
        return self._decide(math.inf)

    def _examine(self, until: float) -> None:
        examined: list[_Change] = []
        while self._unexamined and self._unexamined[0].seconds <= until:
            examined.append(self._unexamined.popleft())
        likely = [change for change in examined if self._stands_out(change)]
        self.likely = [change.seconds for change in likely]
        self._undecided.extend(likely)

    def _decide(self, until: float) -> list[float]:
        cuts = []
        while self._undecided and self._undecided[0].seconds <= until:
            change = self._undecided.popleft()
            if self._is_cut(change):
                cuts.append(change.seconds)
        while self._changes and self._changes[0].seconds < until - self.context_seconds:
            self._changes.popleft()
        return cuts

    def _is_cut(self, change: _Change) -> bool:
        rivals = self._near(change, LEAST_SHOT_SECONDS)
        return not any(rival.rank > change.rank and self._stands_out(rival) for rival in rivals)

    def _stands_out(self, change: _Change) -> bool:
        video_end = self._last_seconds + self._frame_seconds if self._has_ended else math.inf
        last_place = video_end - LEAST_SHOT_SECONDS
        earliest = change.seconds - max(0.0, change.step_seconds - self._frame_seconds)  # if frames were skipped
        if change.difference < LEAST_DIFFERENCE or change.seconds < LEAST_SHOT_SECONDS or earliest > last_place:
            return False
        if change.step_seconds >= STILL_SECONDS:
            return True
        near = self._near(change, self._neighbour_seconds)
        before = [other for other in near if other.seconds < change.seconds]
        steps = chain(*(_scale_to_step(change.step_seconds, side) for side in (before, near[len(before) :])))
        usual = upper_half_mean(steps)
        least = max(LEAST_RATIO * usual, LEAST_DIFFERENCE + usual)
        return change.difference >= least and not self._is_blink(change)

    def _is_blink(self, change: _Change) -> bool:
        near = self._near(change, LEAST_SHOT_SECONDS)
        later = (difference(change.before, other.preview) for other in near if other.seconds > change.seconds)
        earlier = (difference(other.before, change.preview) for other in near if other.seconds < change.seconds)
        return any(d < LEAST_DIFFERENCE for d in later) or any(d < LEAST_DIFFERENCE for d in earlier)

    def _near(self, change: _Change, seconds: float) -> list[_Change]:
        return [o for o in self._changes if o is not change and abs(o.seconds - change.seconds) < seconds]


def difference(one: Preview, other: Preview) -> float:
    """Mean distance of the two previews' levels, 0 to 255."""
    return float(np.abs(one - other).mean())


def _scale_to_step(seconds: float, changes: list[_Change]) -> Iterator[float]:
    """Each frame's difference from the picture about `seconds` earlier: more moves in more time.

    A longer step counts by its share. Shorter steps are joined until they are long enough, or none is left.
    """
    for last, change in enumerate(changes):
        first = last
        while first and change.seconds - changes[first].seconds + changes[first].step_seconds < _SAME_STEP * seconds:
            first -= 1
        whole = change.difference if first == last else difference(changes[first].before, change.preview)
        yield whole * min(1.0, seconds / change.step_seconds) if _SAME_STEP * change.step_seconds > seconds else whole


def upper_half_mean(values: Iterable[float]) -> float:
    """The mean of the larger half of the values, with the middle one; 0 without values."""
    ordered = sorted(values, reverse=True)
    half = ordered[: (len(ordered) + 1) // 2]
    return sum(half) / len(half) if half else 0.0


def is_blank(preview: Preview) -> bool:
    """Whether the picture is a single colour: black, white or another."""
    return bool(preview.std(axis=(0, 1)).max() < BLANK_DEVIATION)
