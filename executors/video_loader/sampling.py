"""Frames for the model, picked by presentation timestamp, and the cuts between shots, in one pass and constant memory.

The rule. A frame's time t is (pts - first pts) * time base, exactly. At a rate of r frames per second the first frame
in each `[k/r, (k+1)/r)` is sampled, and more of them where much moves if sampling is adaptive (see `buckets.py`). A
shot too short for any of these is sampled, too: its frame is the last one in the first 0.3 s. A span `[start, end)`
yields the sampled frames whose t lies in it, and the cuts whose t does (see `shots.py`; the frames just outside that
both are judged by are decoded, too). So spans partition a film, nothing comes twice, and a span decoded alone gives
what a run through the whole film gives.

By keyframes the rule is that of even sampling over those frames alone that decode by themselves, and no cuts are found.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from clipseek.errors import InvalidRequest, InvalidTimeRange
from clipseek.settings import ADAPTIVE, EVEN, KEYFRAMES, SAMPLINGS
from executors.video_loader.buckets import Buckets
from executors.video_loader.media_source import MediaSource, Needs, TimedFrame, exact, open_media
from executors.video_loader.picture import Picture, PictureShape, Screen
from executors.video_loader.shots import Glimpse, GlimpseMaker, ShotDetector, is_blank

_BEFORE_SPAN = Fraction(1, 1000)


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
    """A new shot begins with the frame at this time, in seconds from the film's first frame."""

    pts_seconds: float


def read_span(
    path: Path,
    start_seconds: float,
    end_seconds: float,
    frames_per_second: float,
    shape: PictureShape,
    title: str = "",
    sampling: str = EVEN,
) -> Iterator[SampledFrame | Cut]:
    """Sample `[start_seconds, end_seconds)` of a film and find its cuts by the module's rule.

    Frames come in order of time, and so do cuts; a cut comes some frames later than its own.

    Args:
        frames_per_second: to be sampled; with `sampling` "adaptive" up to four times as many where much moves, with
            "keyframes" as many at most.

    Raises:
        InvalidTimeRange: the range is empty, negative or not a number.
        InvalidRequest: the rate is not above 0, or there is no such sampling.
        UnreadableVideo: see `open_media`.
    """
    if not 0 <= start_seconds < end_seconds < math.inf:
        raise InvalidTimeRange(
            f"[{start_seconds:g}, {end_seconds:g}) s is not a range of time: it must start at 0 or later and end after"
        )
    if not 0 < frames_per_second < math.inf:
        raise InvalidRequest(f"{frames_per_second:g} frames per second cannot be sampled: the rate must be above 0")
    if sampling not in SAMPLINGS:
        raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}")
    with open_media(path, title, needs=Needs.KEYFRAMES if sampling == KEYFRAMES else Needs.LOOKS) as source:
        screen = Screen(source.first_frame, source.stream.sample_aspect_ratio)
        buckets = Buckets(exact(frames_per_second), sampling == ADAPTIVE)
        start, end = exact(start_seconds), exact(end_seconds)

        def rendered(seen: _Seen) -> SampledFrame:
            picture = screen.render(seen.timed.frame, shape)
            return SampledFrame(float(seen.timed.time), picture, is_blank(seen.glimpse))

        if sampling == KEYFRAMES:
            yield from map(rendered, _sampled_keyframes(source, start, end, buckets))
        else:
            yield from _SpanReader(source, start, end, buckets).read(rendered)


def sample(
    path: Path, start_seconds: float, end_seconds: float, frames_per_second: float, shape: PictureShape, title: str = ""
) -> Iterator[SampledFrame]:
    """`read_span` without the cuts."""
    span = read_span(path, start_seconds, end_seconds, frames_per_second, shape, title)
    return (found for found in span if isinstance(found, SampledFrame))


@dataclass(frozen=True)
class _Seen:
    """A frame that passed by, and its glimpse."""

    timed: TimedFrame
    glimpse: Glimpse


@dataclass(frozen=True)
class _StandIn:
    """A frame that stands for the shot which begins at `shot_seconds`, if it is one and has no other sample."""

    shot_seconds: float
    sampled: SampledFrame


def _sampled_keyframes(source: MediaSource, start: Fraction, end: Fraction, buckets: Buckets) -> Iterator[_Seen]:
    glimpses = GlimpseMaker()
    # A little earlier: the keyframe before tells whether the first in the span is the first of its bucket, too. Where
    # there is none before, the first is.
    for place, timed in enumerate(source.frames(start - _BEFORE_SPAN)):
        if timed.time >= end:
            return
        seen = _Seen(timed, glimpses.glimpse(timed.frame))
        is_sample = buckets.takes(timed.time, seen.glimpse) or place == 0
        if is_sample and timed.time >= start:
            yield seen


class _SpanReader:
    """One run over the frames of a span and those around it."""

    def __init__(self, source: MediaSource, start: Fraction, end: Fraction, buckets: Buckets) -> None:
        self._source, self._start, self._end, self._buckets = source, start, end, buckets
        self._detector = ShotDetector(float(source.frame_seconds))
        self._cuts: list[float] = []
        self._sample_times: list[float] = []
        self._waiting: list[SampledFrame] = []  # what comes after an undecided stand-in waits for it
        self._stand_ins: list[_StandIn] = []

    def read(self, render: Callable[[_Seen], SampledFrame]) -> Iterator[SampledFrame | Cut]:
        detector, glimpses = self._detector, GlimpseMaker()
        context = exact(detector.context_seconds)
        before: _Seen | None = None
        begin = self._buckets.first_needed(self._start - context - exact(detector.reach_seconds))
        for timed in self._source.frames(begin):
            seconds = float(timed.time)
            seen = _Seen(timed, glimpses.glimpse(timed.frame))
            yield from self._new_cuts(detector.add(seconds, seen.glimpse))
            self._propose(before, render)
            if self._buckets.takes(timed.time, seen.glimpse):
                self._sample_times.append(seconds)
                if self._holds(timed.time):
                    self._waiting.append(render(seen))
            yield from self._decided(seconds - detector.context_seconds)
            if timed.time >= self._end + context and not self._stand_ins:
                return
            before = seen
        yield from self._new_cuts(detector.finish())
        self._propose(before, render)
        yield from self._decided(math.inf)

    def _holds(self, time: Fraction) -> bool:
        return self._start <= time < self._end

    def _new_cuts(self, found: list[float]) -> Iterator[Cut]:
        self._cuts += found
        # Of changes before the start too little is known: those cuts may be wrong.
        yield from (Cut(seconds) for seconds in found if self._holds(exact(seconds)))

    def _propose(self, before: _Seen | None, render: Callable[[_Seen], SampledFrame]) -> None:
        """`before` is the last frame within reach of what the detector has just found likely."""
        if before is not None and self._holds(before.timed.time):
            self._stand_ins += [_StandIn(seconds, render(before)) for seconds in self._detector.likely]

    def _decided(self, certain_until: float) -> Iterator[SampledFrame]:
        """Samples whose turn has come, in order of time; cuts up to `certain_until` are known."""
        undecided = []
        for stand_in in self._stand_ins:
            needed = self._is_needed(stand_in, certain_until)
            if needed is None:
                undecided.append(stand_in)
            elif needed:
                self._waiting.append(stand_in.sampled)
        self._stand_ins = undecided
        first_undecided = min((s.sampled.pts_seconds for s in undecided), default=math.inf)
        self._waiting.sort(key=lambda sampled: sampled.pts_seconds)
        while self._waiting and self._waiting[0].pts_seconds < first_undecided:
            yield self._waiting.pop(0)

    def _is_needed(self, stand_in: _StandIn, certain_until: float) -> bool | None:
        """Whether its shot has no sample; None as long as that is open."""
        begin = stand_in.shot_seconds
        if begin > certain_until:
            return None
        if begin not in self._cuts:
            return False
        end = min((cut for cut in self._cuts if cut > begin), default=math.inf)
        sample_seconds = min((time for time in self._sample_times if time >= begin), default=math.inf)
        if min(end, sample_seconds) > certain_until:
            return None
        return end <= sample_seconds and stand_in.sampled.pts_seconds < end
