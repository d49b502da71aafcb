"""Frames for the model, picked by presentation timestamp, and the cuts between shots, in one pass and constant memory.

The rule. A frame's time t is (pts - first pts) * time base, exactly. At a rate of r frames per second the first frame
in each `[k/r, (k+1)/r)` is sampled, and more of them where much moves if sampling is adaptive (see `buckets.py`). A
shot too short for any of these is sampled, too: its frame is the last one in the first 0.3 s. A span `[start, end)`
yields the sampled frames whose t lies in it, and the cuts whose t does (see `shots.py`; the frames just outside that
both are judged by are decoded, too). So spans partition a video, nothing comes twice, and a span decoded alone gives
what a run through the whole video gives.

Frames that no other is predicted from are not decoded as long as those that are lie at most `MOST_GAP_SECONDS` apart,
and at most a quarter of a sampling step: "the first frame" is the first one that is decoded, and later by less than
that. Only where a cut falls into such a gap is it filled, so cuts are right to the frame.

By keyframes the rule is that of even sampling over those frames alone that decode by themselves, and no cuts are found.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from clipseek.api.errors import InvalidRequest, InvalidTimeRange
from clipseek.api.limits import ADAPTIVE, EVEN, KEYFRAMES, SAMPLINGS
from clipseek.config.settings import SOFTWARE
from executors.video_loader.decode.picture import PictureShape, Screen
from executors.video_loader.decode.source import Needs, exact, open_media
from executors.video_loader.sample.frame_picker import PARTS, Buckets
from executors.video_loader.sample.shots import GlimpseMaker, is_blank
from executors.video_loader.sample.span_reader import Cut, SampledFrame, Seen, SpanRun

# Three frames at 24 a second. Encoders put one to three frames that none depends on between two others.
MOST_GAP_SECONDS = Fraction(1, 8)
_GAPS_IN_STEP = 4  # so that a sample is late by a quarter of a step at most
_BEFORE_SPAN = Fraction(1, 1000)


class VideoReader:
    """An open video that is sampled span by span, by the module's rule. A context manager.

    A span that begins where the one before ended goes on from there: nothing is decoded twice. Any other begins at the
    keyframe before it, and gives the same.

    Args:
        frames_per_second: to be sampled; with `sampling` "adaptive" up to four times as many where much moves, with
            "keyframes" as many at most.
        decoder: see `open_media`.

    Raises:
        InvalidRequest: the rate is not above 0, or there is no such sampling.
        UnreadableVideo: see `open_media`.
    """

    def __init__(
        self,
        path: Path,
        frames_per_second: float,
        shape: PictureShape,
        title: str = "",
        sampling: str = EVEN,
        decoder: str = SOFTWARE,
    ) -> None:
        if not 0 < frames_per_second < math.inf:
            raise InvalidRequest(f"{frames_per_second:g} frames per second cannot be sampled: the rate must be above 0")
        if sampling not in SAMPLINGS:
            raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}")
        self._rate, self._sampling, self._shape = exact(frames_per_second), sampling, shape
        most = self._rate * (PARTS if sampling == ADAPTIVE else 1)
        gap = min(MOST_GAP_SECONDS, 1 / (most * _GAPS_IN_STEP))
        needs = Needs.KEYFRAMES if sampling == KEYFRAMES else Needs.LOOKS
        self._source = open_media(path, title, needs, Fraction(0) if sampling == KEYFRAMES else gap, decoder)
        self._screen = Screen(self._source.first_frame, self._source.stream.sample_aspect_ratio)
        self._run: SpanRun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_at_end(self) -> bool:
        """Whether there is no frame after those of the last span."""
        return self._run is not None and self._run.is_at_end

    def close(self) -> None:
        """Close the video."""
        self._run = None
        self._source.close()

    def read(self, start_seconds: float, end_seconds: float) -> Iterator[SampledFrame | Cut]:
        """Sample `[start_seconds, end_seconds)` and find its cuts.

        Frames come in order of time, and so do cuts; a cut comes some frames later than its own.

        Raises:
            InvalidTimeRange: the range is empty, negative or not a number.
        """
        if not 0 <= start_seconds < end_seconds < math.inf:
            raise InvalidTimeRange(
                f"[{start_seconds:g}, {end_seconds:g}) s is not a range of time: it must start at 0 or later and end "
                "after"
            )
        start, end = exact(start_seconds), exact(end_seconds)
        if self._sampling == KEYFRAMES:
            yield from map(self._rendered, self._keyframes(start, end))
            return
        run, self._run = self._run, None  # one that is left half-way is of no use to the next span
        if run is None or run.end != start:
            run = SpanRun(self._source, start, Buckets(self._rate, self._sampling == ADAPTIVE), self._rendered)
        yield from run.read(end)
        self._run = run

    def _rendered(self, seen: Seen) -> SampledFrame:
        picture = self._screen.render(seen.timed.frame, self._shape)
        return SampledFrame(float(seen.timed.time), picture, is_blank(seen.glimpse))

    def _keyframes(self, start: Fraction, end: Fraction) -> Iterator[Seen]:
        buckets, glimpses = Buckets(self._rate), GlimpseMaker()
        # A little earlier: the keyframe before tells whether the first in the span is the first of its bucket, too.
        # Where there is none before, the first is.
        for place, timed in enumerate(self._source.frames(start - _BEFORE_SPAN)):
            if timed.time >= end:
                return
            seen = Seen(timed, glimpses.glimpse(timed.frame))
            is_sample = buckets.takes(timed.time, seen.glimpse) or place == 0
            if is_sample and timed.time >= start:
                yield seen


def read_span(
    path: Path,
    start_seconds: float,
    end_seconds: float,
    frames_per_second: float,
    shape: PictureShape,
    title: str = "",
    sampling: str = EVEN,
) -> Iterator[SampledFrame | Cut]:
    """`VideoReader.read` of one span alone. Raises as that does."""
    with VideoReader(path, frames_per_second, shape, title, sampling) as reader:
        yield from reader.read(start_seconds, end_seconds)


def sample(
    path: Path, start_seconds: float, end_seconds: float, frames_per_second: float, shape: PictureShape, title: str = ""
) -> Iterator[SampledFrame]:
    """`read_span` without the cuts."""
    span = read_span(path, start_seconds, end_seconds, frames_per_second, shape, title)
    return (found for found in span if isinstance(found, SampledFrame))
