"""Reads consecutive spans in one run over a video's frames, samples them and finds cuts; `sampler.py` has the rule."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from executors.video_loader.decode.picture import Picture
from executors.video_loader.decode.source import TimedFrame, VideoSource, exact_seconds, open_video
from executors.video_loader.sample.frame_picker import FramePicker
from executors.video_loader.sample.gaps import mark_gaps
from executors.video_loader.sample.shots import Preview, PreviewMaker, ShotDetector, difference


@dataclass(frozen=True)
class SampledFrame:
    """A picture for the model: uint8 [height, width, 3] RGB, and its time in seconds from the first frame.

    `is_blank`: the picture is a single colour.
    """

    pts_seconds: float
    picture: Picture
    is_blank: bool


@dataclass(frozen=True)
class Cut:
    """A new shot begins with the frame at this time, in seconds from the video's first frame."""

    pts_seconds: float


@dataclass(frozen=True)
class PreviewedFrame:
    timed: TimedFrame
    preview: Preview


@dataclass(frozen=True)
class _StandIn:
    """The sample for the shot that begins at `shot_seconds`, if that is a shot and has no other sample."""

    shot_seconds: float
    sampled: SampledFrame


class SpanReader:
    """Reads spans that follow on one another.

    Args:
        source: nobody else may ask it for frames meanwhile.
        start: of the first span, in seconds.
        picker: chooses the samples; a new one.
        render: makes a sample of a frame.

    Attributes:
        end: of the last span, in seconds.
    """

    def __init__(
        self,
        source: VideoSource,
        start: Fraction,
        picker: FramePicker,
        render: Callable[[PreviewedFrame], SampledFrame],
    ) -> None:
        self._source, self._start, self._picker, self._render = source, start, picker, render
        self.end = start
        self._detector, self._previews = ShotDetector(float(source.frame_seconds)), PreviewMaker()
        context = exact_seconds(self._detector.context_seconds)
        begin = picker.first_needed(start - context - exact_seconds(self._detector.reach_seconds))
        self._frames = mark_gaps(source.frames(begin), source)
        self._before: PreviewedFrame | None = None
        self._certain_until = -math.inf  # cuts up to here are known
        self._last_certain: Fraction | None = None  # time of the last frame up to there
        # When each later frame is shown, and the time of the frame before if others between the two were skipped.
        self._recent: deque[tuple[Fraction, Fraction | None]] = deque()
        # First decoded frame of each shot, and times of decoded samples: they decide about stand-ins.
        self._shots: list[float] = []
        self._sample_times: list[float] = []
        self._waiting: list[SampledFrame] = []  # for their span, or for an undecided stand-in before them
        self._stand_ins: list[_StandIn] = []
        self._cuts: deque[Cut] = deque()  # waiting for their span

    @property
    def is_at_end(self) -> bool:
        """Whether every frame of the video was read."""
        return self._certain_until == math.inf

    @property
    def last_seconds(self) -> float:
        """Time of the last frame that was read; 0 before the first."""
        return 0.0 if self._before is None else float(self._before.timed.time)

    def read(self, end: Fraction) -> Iterator[SampledFrame | Cut]:
        """The samples and cuts from the end of the previous span to this one."""
        while not self._is_complete(end):
            timed = next(self._frames, None)
            if timed is None:
                self._finish()
            else:
                self._add_frame(timed)
            yield from self._pop_ready(end)
        yield from self._pop_ready(end)
        self.end = end

    def _is_complete(self, end: Fraction) -> bool:
        """Whether nothing more can come. A cut before the end may lie in the gap before the first frame after it."""
        is_past = self.is_at_end or (self._last_certain is not None and self._last_certain >= end)
        return is_past and not any(stand_in.sampled.pts_seconds < float(end) for stand_in in self._stand_ins)

    def _add_frame(self, timed: TimedFrame) -> None:
        seconds, before = float(timed.time), self._before
        previewed = PreviewedFrame(timed, self._previews.make(timed.frame))
        gap_start = before.timed.time if before is not None and timed.follows_gap else None
        self._recent.append((timed.time, gap_start))
        self._add_cuts(self._detector.add(seconds, previewed.preview))
        self._propose_stand_ins()
        if self._picker.picks(timed.time, previewed.preview):
            self._sample_times.append(seconds)
            if timed.time >= self._start:
                self._waiting.append(self._render(previewed))
        self._decide(seconds - self._detector.context_seconds)
        self._before = previewed

    def _finish(self) -> None:
        self._add_cuts(self._detector.finish())
        self._propose_stand_ins()
        self._decide(math.inf)

    def _add_cuts(self, times: list[float]) -> None:
        self._shots += times
        for seconds in times:
            # Too few frames are known around changes before the start: those cuts may be wrong.
            time, gap_start = next(frame for frame in self._recent if float(frame[0]) == seconds)
            if time >= self._start:
                time = time if gap_start is None else self._find_cut_in_gap(gap_start, time)
                if time >= self._start:
                    self._cuts.append(Cut(float(time)))

    def _find_cut_in_gap(self, before: Fraction, after: Fraction) -> Fraction:
        """The time in (before, after] of the frame that differs most from its previous one, with all frames decoded."""
        source = self._source
        frames: list[PreviewedFrame] = []
        with open_video(source.file, source.title, source.needs, source.most_gap_seconds, source.decoder) as again:
            for timed in again.frames(before, all_from=before):
                if timed.time >= before:
                    frames.append(PreviewedFrame(timed, self._previews.make(timed.frame)))
                if timed.time >= after:
                    break
        changes = [(difference(one.preview, other.preview), -other.timed.time) for one, other in pairwise(frames)]
        return -max(changes)[1]

    def _propose_stand_ins(self) -> None:
        if self._before is not None and self._before.timed.time >= self._start:
            self._stand_ins += [_StandIn(seconds, self._render(self._before)) for seconds in self._detector.likely]

    def _decide(self, certain_until: float) -> None:
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
        while self._recent and float(self._recent[0][0]) <= certain_until:
            self._last_certain = self._recent.popleft()[0]

    def _is_needed(self, stand_in: _StandIn, certain_until: float) -> bool | None:
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

    def _pop_ready(self, end: Fraction) -> Iterator[SampledFrame | Cut]:
        while self._cuts and self._cuts[0].pts_seconds < float(end):
            yield self._cuts.popleft()
        until = min((stand_in.sampled.pts_seconds for stand_in in self._stand_ins), default=math.inf)
        while self._waiting and self._waiting[0].pts_seconds < min(until, float(end)):
            yield self._waiting.pop(0)
