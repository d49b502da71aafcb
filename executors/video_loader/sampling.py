"""Frames for the model, picked by presentation timestamp, and the cuts between shots, in one pass and constant memory.

The rule. A frame's time t is (pts - first pts) * time base, exactly. At a rate of r frames per second bucket k is
`[k/r, (k+1)/r)`, and its sampled frame is the first frame of the film whose own t lies in it. A span `[start, end)`
yields the sampled frames whose t lies in it, and the cuts whose t does (see `shots.py`; the frames just outside that
they are judged by are decoded, too). So spans partition a film, nothing comes twice, and a span decoded alone gives
what a run through the whole film gives.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from clipseek.errors import InvalidRequest, InvalidTimeRange
from executors.video_loader.media_source import MediaSource, TimedFrame, exact, open_media
from executors.video_loader.picture import Picture, PictureShape, Screen
from executors.video_loader.shots import GlimpseMaker, ShotDetector


@dataclass(frozen=True)
class SampledFrame:
    """A picture for the model: uint8 [height, width, 3] RGB, and its time in seconds from the first frame."""

    pts_seconds: float
    picture: Picture


@dataclass(frozen=True)
class Cut:
    """A new shot begins with the frame at this time, in seconds from the film's first frame."""

    pts_seconds: float


def read_span(
    path: Path, start_seconds: float, end_seconds: float, frames_per_second: float, shape: PictureShape, title: str = ""
) -> Iterator[SampledFrame | Cut]:
    """Sample `[start_seconds, end_seconds)` of a film and find its cuts by the module's rule.

    Frames come in order of time, and so do cuts; a cut comes some frames later than its own.

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
        span = (exact(start_seconds), exact(end_seconds))
        for found in _sampled(source, *span, exact(frames_per_second)):
            if isinstance(found, Cut):
                yield found
            else:
                yield SampledFrame(float(found.time), screen.render(found.frame, shape))


def sample(
    path: Path, start_seconds: float, end_seconds: float, frames_per_second: float, shape: PictureShape, title: str = ""
) -> Iterator[SampledFrame]:
    """`read_span` without the cuts."""
    span = read_span(path, start_seconds, end_seconds, frames_per_second, shape, title)
    return (found for found in span if isinstance(found, SampledFrame))


def _sampled(source: MediaSource, start: Fraction, end: Fraction, rate: Fraction) -> Iterator[TimedFrame | Cut]:
    # From the beginning of the start's bucket: its sampled frame may come before the start, in the span before.
    bucket = math.floor(start * rate) - 1
    glimpses, detector = GlimpseMaker(), ShotDetector(float(source.frame_seconds))
    context = exact(detector.context_seconds)
    for timed in source.frames(min(Fraction(bucket + 1) / rate, start - context)):
        for seconds in detector.add(float(timed.time), glimpses.glimpse(timed.frame)):
            if start <= exact(seconds) < end:  # of the frames before the start not enough is known
                yield Cut(seconds)
        if timed.time >= end + context:
            return
        if timed.time < end and math.floor(timed.time * rate) > bucket:
            bucket = math.floor(timed.time * rate)
            if timed.time >= start:
                yield timed
    for seconds in detector.finish():
        if start <= exact(seconds) < end:
            yield Cut(seconds)
