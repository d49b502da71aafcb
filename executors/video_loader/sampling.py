"""Frames for the model: picked by presentation timestamp, in constant memory.

The rule. A frame's time t is (pts - first pts) * time base, exactly. At a rate of r frames per second bucket k is
`[k/r, (k+1)/r)`, and its sampled frame is the first frame of the film whose own t lies in it. A span `[start, end)`
yields the sampled frames whose t lies in it. So spans partition a film, nothing comes twice, and a span decoded alone
gives what a run through the whole film gives.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from clipseek.errors import InvalidRequest, InvalidTimeRange
from executors.video_loader.media_source import MediaSource, TimedFrame, exact, open_media
from executors.video_loader.picture import Picture, PictureShape, Screen


@dataclass(frozen=True)
class SampledFrame:
    """A picture for the model: uint8 [height, width, 3] RGB, and its time in seconds from the first frame."""

    pts_seconds: float
    picture: Picture


def sample(
    path: Path, start_seconds: float, end_seconds: float, frames_per_second: float, shape: PictureShape, title: str = ""
) -> Iterator[SampledFrame]:
    """Sample `[start_seconds, end_seconds)` of a film by the module's rule, in order of time.

    Raises:
        InvalidTimeRange: the range is empty, negative or not a number.
        InvalidRequest: the rate is not above 0.
        UnreadableVideo: see `open_media`.
    """
    if not 0 <= start_seconds < end_seconds < math.inf:
        raise InvalidTimeRange(
            f"[{start_seconds:g}, {end_seconds:g}) s is not a range of time: it must start at 0 or later and end after"
        )
    if not 0 < frames_per_second < math.inf:
        raise InvalidRequest(f"{frames_per_second:g} frames per second cannot be sampled: the rate must be above 0")
    with open_media(path, title) as source:
        screen = Screen(source.first_frame, source.stream.sample_aspect_ratio)
        for timed in _sampled(source, exact(start_seconds), exact(end_seconds), exact(frames_per_second)):
            yield SampledFrame(float(timed.time), screen.render(timed.frame, shape))


def _sampled(source: MediaSource, start: Fraction, end: Fraction, rate: Fraction) -> Iterator[TimedFrame]:
    # From the beginning of the start's bucket: its sampled frame may come before the start, in the span before.
    bucket = math.floor(start * rate) - 1
    for timed in source.frames(Fraction(bucket + 1) / rate):
        if timed.time >= end:
            return
        if math.floor(timed.time * rate) > bucket:
            bucket = math.floor(timed.time * rate)
            if timed.time >= start:
                yield timed
