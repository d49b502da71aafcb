"""Gaps in broadcasts and streams: where a recording stopped and its clock went on, there is nothing to find."""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import numpy as np
from av.video.frame import VideoFrame

from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.tracks import find_audio_stream, find_video_stream
from executors.video_loader.decode.packets import seek_keyframe
from executors.video_loader.decode.source import TimedFrame, VideoSource

# Formats that record a clock which may jump. In others a picture lasts until the next one, as slides do.
_FORMATS = frozenset({"mpegts", "mpeg", "flv"})
_LEAST_SECONDS = 60  # slides and screen recordings without sound stay shorter, mostly
_LEAST_FRAMES = 10  # of the usual length: a time-lapse has no gaps
_NEAR_SECONDS = 1  # sound so near to the edge of a gap belongs to the pictures there
_DARK_LEVEL = 64
LEAST_LATE_SECONDS = Fraction(1, 2)  # a gap before the first picture; a shorter one shows that picture


def mark_gaps(frames: Iterator[TimedFrame], source: VideoSource) -> Iterator[TimedFrame]:
    """The frames, and a blank one at the beginning of each gap, so that what is seen before does not fill the gap.

    Where the pictures begin later than the sound, there is a gap before them.
    """
    first = next(frames, None)
    if first is None:
        return
    if source.first_seconds >= LEAST_LATE_SECONDS and first.time == source.first_seconds:
        yield TimedFrame(Fraction(0), _make_blank(first.frame), is_gap=True)
    frames = chain([first], frames)
    if source.container.format.name not in _FORMATS:
        yield from frames
        return
    least = max(Fraction(_LEAST_SECONDS), _LEAST_FRAMES * source.frame_seconds)
    before: TimedFrame | None = None
    for timed in frames:
        if before is not None and timed.time - before.time > least and not _has_sound(source, before.time, timed.time):
            yield TimedFrame(before.time + source.frame_seconds, _make_blank(before.frame), is_gap=True)
        before = timed
        yield timed


def _has_sound(source: VideoSource, begin: Fraction, end: Fraction) -> bool:
    """Whether sound goes on in the middle: then the picture stays on purpose."""
    with open_container(source.file, source.title) as container:
        audio = find_audio_stream(container, find_video_stream(container, source.file, source.title), source.file)
        if audio is None or not audio.time_base:
            return False
        origin = source.first_pts * source.time_base
        middle = math.floor((origin + (begin + end) / 2) / audio.time_base)
        packets = seek_keyframe(container, audio, middle, audio.start_time or 0)
        first = next(packets, None) if packets else None
        return bool(first and first.pts and first.pts * audio.time_base - origin > begin + _NEAR_SECONDS)


def _make_blank(beside: VideoFrame) -> VideoFrame:
    """A frame of one colour that differs from the picture beside it."""
    grey = beside.reformat(width=16, height=16, format="gray", threads=1).to_ndarray()
    level = 255 if grey.mean() < _DARK_LEVEL else 0
    return VideoFrame.from_ndarray(np.full((beside.height, beside.width, 3), level, np.uint8), "rgb24")
