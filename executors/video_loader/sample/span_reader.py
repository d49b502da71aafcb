"""One run over the frames of a video, which samples span after span and finds the cuts; the rule is in `sampling.py`."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from executors.video_loader.decode.picture import Picture
from executors.video_loader.decode.source import MediaSource, TimedFrame, exact, open_media
from executors.video_loader.sample.frame_picker import Buckets
from executors.video_loader.sample.shots import Glimpse, GlimpseMaker, ShotDetector, difference


@dataclass(frozen=True)
class SampledFrame:
    """A picture for the model: uint8 [height, width, 3] RGB, and its time in seconds from the first frame.

    `is_blank` says that there is nothing to see in it: a single colour.
    """

    pts_seconds: float
    picture: Picture
    is_blank: bool


@dataclass(frozen=True)
class Cut:
    """A new shot begins with the frame at this time, in seconds from the video's first frame."""

    pts_seconds: float


@dataclass(frozen=True)
class Seen:
    """A frame that passed by, and its glimpse."""

    timed: TimedFrame
    glimpse: Glimpse


@dataclass(frozen=True)
class _StandIn:
    """A frame that stands for the shot which begins at `shot_seconds`, if it is one and has no other sample."""

    shot_seconds: float
    sampled: SampledFrame


@dataclass(frozen=True)
class _Passed:
    """When a frame was shown, and the frame before it, if others were left out in between."""

    time: Fraction
    gap_start: Fraction | None


class SpanRun:
    """Reads spans that follow on one another.

    Args:
        source: of which no other frames are asked for meanwhile.
        start: of the first span, in seconds.
        buckets: which frames are samples; new.
        render: makes a sample of a frame.

    Attributes:
        end: of the last span, in seconds.
    """

    def __init__(
        self, source: MediaSource, start: Fraction, buckets: Buckets, render: Callable[[Seen], SampledFrame]
    ) -> None:
        self._source, self._start, self._buckets, self._render = source, start, buckets, render
        self.end = start
        self._detector, self._glimpses = ShotDetector(float(source.frame_seconds)), GlimpseMaker()
        context = exact(self._detector.context_seconds)
        begin = buckets.first_needed(start - context - exact(self._detector.reach_seconds))
        self._frames = source.frames(begin)
        self._before: Seen | None = None
        self._certain_until = -math.inf  # cuts up to here are known
        self._last_certain: Fraction | None = None  # the last frame of these
        self._recent: deque[_Passed] = deque()  # later ones
        # The first frame of a shot of those that were decoded, and decoded samples: what stand-ins are decided by.
        self._shots: list[float] = []
        self._sample_times: list[float] = []
        self._waiting: list[SampledFrame] = []  # for their span, or for an undecided stand-in before them
        self._stand_ins: list[_StandIn] = []
        self._cuts: deque[Cut] = deque()  # for their span

    @property
    def is_at_end(self) -> bool:
        """Whether the video has no frame that was not looked at."""
        return self._certain_until == math.inf

    def read(self, end: Fraction) -> Iterator[SampledFrame | Cut]:
        """What lies between the end of the span before and this one."""
        while not self._is_complete(end):
            timed = next(self._frames, None)
            if timed is None:
                self._finish()
            else:
                self._look(timed)
            yield from self._ready(end)
        yield from self._ready(end)
        self.end = end

    def _is_complete(self, end: Fraction) -> bool:
        """Whether nothing can come any more: a cut before the end may be in the gap before the first frame after it."""
        is_past = self.is_at_end or (self._last_certain is not None and self._last_certain >= end)
        return is_past and not any(stand_in.sampled.pts_seconds < float(end) for stand_in in self._stand_ins)

    def _look(self, timed: TimedFrame) -> None:
        seconds, before = float(timed.time), self._before
        seen = Seen(timed, self._glimpses.glimpse(timed.frame))
        gap_start = before.timed.time if before is not None and timed.follows_gap else None
        self._recent.append(_Passed(timed.time, gap_start))
        self._add_cuts(self._detector.add(seconds, seen.glimpse))
        self._propose()
        if self._buckets.takes(timed.time, seen.glimpse):
            self._sample_times.append(seconds)
            if timed.time >= self._start:
                self._waiting.append(self._render(seen))
        self._decide(seconds - self._detector.context_seconds)
        self._before = seen

    def _finish(self) -> None:
        self._add_cuts(self._detector.finish())
        self._propose()
        self._decide(math.inf)

    def _add_cuts(self, found: list[float]) -> None:
        self._shots += found
        for seconds in found:
            # Of changes before the start too little is known: those cuts may be wrong.
            passed = next(passed for passed in self._recent if float(passed.time) == seconds)
            if passed.time >= self._start:
                time = passed.time if passed.gap_start is None else self._within_gap(passed.gap_start, passed.time)
                if time >= self._start:
                    self._cuts.append(Cut(float(time)))

    def _within_gap(self, before: Fraction, after: Fraction) -> Fraction:
        """The frame that differs most from the one before it, of all frames after `before` up to `after`."""
        source = self._source
        seen: list[Seen] = []
        with open_media(source.path, source.title, source.needs, source.most_gap_seconds, source.decoder) as again:
            for timed in again.frames(before, all_from=before):
                if timed.time >= before:
                    seen.append(Seen(timed, self._glimpses.glimpse(timed.frame)))
                if timed.time >= after:
                    break
        changes = [(difference(one.glimpse, other.glimpse), -other.timed.time) for one, other in pairwise(seen)]
        return -max(changes)[1]

    def _propose(self) -> None:
        """The last frame within reach of what the detector has just found likely may stand for it."""
        if self._before is not None and self._before.timed.time >= self._start:
            self._stand_ins += [_StandIn(seconds, self._render(self._before)) for seconds in self._detector.likely]

    def _decide(self, certain_until: float) -> None:
        """Decide on stand-ins, now that cuts up to `certain_until` are known, and forget what no other needs."""
        undecided = []
        for stand_in in self._stand_ins:
            needed = self._is_needed(stand_in, certain_until)
            if needed is None:
                undecided.append(stand_in)
            elif needed:
                self._waiting.append(stand_in.sampled)
        self._stand_ins = undecided
        self._waiting.sort(key=lambda sampled: sampled.pts_seconds)
        needed_from = min((stand_in.shot_seconds for stand_in in undecided), default=certain_until)
        self._shots = [seconds for seconds in self._shots if seconds >= needed_from]
        self._sample_times = [seconds for seconds in self._sample_times if seconds >= needed_from]
        self._certain_until = certain_until
        while self._recent and float(self._recent[0].time) <= certain_until:
            self._last_certain = self._recent.popleft().time

    def _is_needed(self, stand_in: _StandIn, certain_until: float) -> bool | None:
        """Whether its shot has no sample; None as long as that is open."""
        begin = stand_in.shot_seconds
        if begin > certain_until:
            return None
        if begin not in self._shots:
            return False
        end = min((shot for shot in self._shots if shot > begin), default=math.inf)
        sample_seconds = min((time for time in self._sample_times if time >= begin), default=math.inf)
        if min(end, sample_seconds) > certain_until:
            return None
        return end <= sample_seconds and stand_in.sampled.pts_seconds < end

    def _ready(self, end: Fraction) -> Iterator[SampledFrame | Cut]:
        """What is decided and lies before the end, in order of time."""
        while self._cuts and self._cuts[0].pts_seconds < float(end):
            yield self._cuts.popleft()
        until = min((stand_in.sampled.pts_seconds for stand_in in self._stand_ins), default=math.inf)
        while self._waiting and self._waiting[0].pts_seconds < min(until, float(end)):
            yield self._waiting.pop(0)
