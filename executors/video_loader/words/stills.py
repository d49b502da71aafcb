"""Takes the pictures of a span on which text can be read: one of each shot, and one where text may have changed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import cv2
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from executors.video_loader.containers.parts import VideoFile
from executors.video_loader.decode.joined import JoinedSource
from executors.video_loader.decode.packets import has_presentation_times, seek_keyframe
from executors.video_loader.decode.picture import FrameRenderer
from executors.video_loader.decode.source import Needs, TimedFrame, VideoSource, open_video
from executors.video_loader.words.text_map import Sample, TextMap, take_sample

LONGER_SIDE = 1280  # pixels: text of 10 pixels is read
JPEG_QUALITY = 85
STEP_SECONDS = Fraction(1, 2)  # between looks; a line of subtitles is shown for a second or more
_SKIPPED_SECONDS = Fraction(1, 4)  # frames that no other needs are left out as long as they last no longer
_NEAR_KEYFRAMES = Fraction(1)  # where keyframes come as often, they are enough, and take a tenth of the time
_PROBED_SECONDS = 12
# A picture for each 3 s, and some at once: reading one takes up to a second. Slides and subtitles need fewer.
_FIRST_STILLS, _SECONDS_A_STILL = 8.0, 3.75
# Text that moves is never still: so also a picture of each new shot, and now and then one of what moves.
_SHOT_SECONDS, _MOTION_SECONDS = Fraction(2), Fraction(8)


@dataclass(frozen=True)
class Still:
    """A JPEG, and since when and until when its text is seen, in seconds of the video. Its fields go on the wire."""

    start_seconds: float
    end_seconds: float
    jpeg: bytes


def take_stills(file: VideoFile, title: str, start: Fraction, end: Fraction) -> Iterator[Still]:
    """The stills of `[start, end)`, in order of time. A picture without any edges is left out."""
    with open_video(file, title, *_choose_needs(file, title, start)) as source:
        renderer = FrameRenderer(source.first_frame, source.stream.sample_aspect_ratio)
        taken = _Taker(start)
        for timed in _look(source, start, end):
            if chosen := taken.add(timed):
                yield from _picture(renderer, chosen)
        if chosen := taken.finish(end):
            yield from _picture(renderer, chosen)


@dataclass(frozen=True)
class _Chosen:
    start: Fraction
    end: Fraction
    frame: VideoFrame
    has_text: bool


class _Taker:
    """Chooses the frames of stills among the samples of a span."""

    def __init__(self, start: Fraction) -> None:
        self._scaler = VideoReformatter()
        self._start = start
        self._allowed = _FIRST_STILLS
        self._before: tuple[TimedFrame, Sample] | None = None
        self._last: TextMap | None = None
        self._still: _Chosen | None = None

    def add(self, timed: TimedFrame) -> _Chosen | None:
        """Look at the next sample. Returns: the still that ended before it."""
        sample = take_sample(timed.frame, self._scaler)
        before, self._before = self._before, (timed, sample)
        if before is None:
            self._still = _Chosen(self._start, self._start, timed.frame, TextMap(sample, sample).may_hold_text)
            return None
        self._allowed += float(timed.time - before[0].time) / _SECONDS_A_STILL
        now = TextMap(before[1] if before[1].edges.shape == sample.edges.shape else sample, sample)
        if self._last is None:
            self._open(self._start, timed, now)
            return None
        if self._allowed < 1 or not self._is_new(now, self._last, timed.time):
            return None
        ended = self.finish(before[0].time)
        self._open(before[0].time, timed, now)
        return ended

    def finish(self, end: Fraction) -> _Chosen | None:
        """The still that lasts until `end`."""
        return replace(self._still, end=end) if self._still and self._still.start < end else None

    def _open(self, start: Fraction, timed: TimedFrame, now: TextMap) -> None:
        self._still, self._last = _Chosen(start, start, timed.frame, now.may_hold_text), now
        self._allowed -= now.may_hold_text

    def _is_new(self, now: TextMap, last: TextMap, time: Fraction) -> bool:
        if now.differs_from(last):
            return True
        motion, seconds = now.motion_since(last), time - (self._still.start if self._still else self._start)
        return (motion > 1 and seconds >= _SHOT_SECONDS) or (motion > 0 and seconds >= _MOTION_SECONDS)


def _look(source: VideoSource, start: Fraction, end: Fraction) -> Iterator[TimedFrame]:
    """What is shown at the start, and then a frame in each half second, or each keyframe."""
    shown: TimedFrame | None = None
    due = start
    for timed in source.frames(start):
        if timed.time >= end:
            break
        if timed.time <= start:
            shown = timed
            continue
        if shown is not None:
            yield replace(shown, time=start)
            shown, due = None, (start // STEP_SECONDS + 1) * STEP_SECONDS
        if timed.time >= due:
            yield timed
            due = (timed.time // STEP_SECONDS + 1) * STEP_SECONDS
    if shown is not None:
        yield replace(shown, time=start)


def _picture(renderer: FrameRenderer, chosen: _Chosen) -> Iterator[Still]:
    if not chosen.has_text:
        return
    width, height = renderer.measure(chosen.frame)
    scale = min(1.0, LONGER_SIDE / max(width, height))
    picture = renderer.scale(chosen.frame, max(1, round(width * scale)), max(1, round(height * scale)))
    _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    yield Still(float(chosen.start), float(chosen.end), jpeg.tobytes())


def _choose_needs(file: VideoFile, title: str, start: Fraction) -> tuple[Needs, Fraction]:
    """How to decode: keyframes alone where they come often enough."""
    with open_video(file, title) as source:
        if _has_near_keyframes(source, start):
            return Needs.KEYFRAMES, Fraction(0)
    return Needs.LOOKS, _SKIPPED_SECONDS


def _has_near_keyframes(source: VideoSource, start: Fraction) -> bool:
    if isinstance(source, JoinedSource) or not has_presentation_times(source.container):
        return False
    target = source.first_pts + round(start / source.time_base)
    packets = seek_keyframe(source.container, source.stream, target, source.first_picture_pts)
    end = target + _PROBED_SECONDS / source.time_base
    times: list[int] = []
    for packet in packets or ():
        if packet.pts is not None and packet.pts > end:
            break
        if packet.is_keyframe and packet.pts is not None:
            times.append(packet.pts)
    return len(times) > 2 and all((b - a) * source.time_base <= _NEAR_KEYFRAMES for a, b in pairwise(times))
