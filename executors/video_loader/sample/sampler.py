"""Samples frames for the model by presentation timestamp and finds the cuts between shots: one pass, constant memory.

The rule. A frame's time t is exactly (pts - pts of time 0) * time base. At a rate of r per second, the first frame in
each `[k/r, (k+1)/r)` is sampled; adaptive sampling takes more where much moves (see `frame_picker.py`). A shot too
short to contain any of these still gets one sample: the last frame in its first 0.3 s. A span `[start, end)` yields the
samples and the cuts whose t lies in it (see `shots.py`); frames just outside that decide about them are decoded, too.
So spans partition a video, nothing comes twice, and a span read alone gives the same as a run through the whole video.

Frames that no other frame refers to are skipped as long as the decoded ones lie at most `MOST_GAP_SECONDS` and at most
a quarter of a sampling step apart. So "the first frame" means the first decoded one, which is later by less than that.
If a cut falls into such a gap, the gap is decoded: cuts are right to the frame.

Sampling by keyframes applies the rule of even sampling to keyframes alone, and finds no cuts.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction

from clipseek.api.errors import InvalidRequest, InvalidTimeRange
from clipseek.api.limits import ADAPTIVE, EVEN, KEYFRAMES, SAMPLINGS
from clipseek.config.settings import SOFTWARE
from executors.video_loader.containers.parts import VideoFile
from executors.video_loader.decode.picture import FrameRenderer, PictureShape
from executors.video_loader.decode.source import Needs, exact_seconds, open_video
from executors.video_loader.sample.frame_picker import QUARTERS, FramePicker
from executors.video_loader.sample.gaps import LEAST_LATE_SECONDS, mark_gaps
from executors.video_loader.sample.shots import PreviewMaker, is_blank
from executors.video_loader.sample.span_reader import Cut, PreviewedFrame, SampledFrame, SpanReader

# Three frames at 24 per second. Encoders put one to three unreferenced frames between two others.
MOST_GAP_SECONDS = Fraction(1, 8)
_GAPS_IN_STEP = 4  # so a sample is late by a quarter of a step at most
_BEFORE_SPAN = Fraction(1, 1000)


class VideoReader(AbstractContextManager["VideoReader"]):
    """An open video, sampled span by span by the rule of this module. A context manager.

    A span that begins where the last one ended continues there, and nothing is decoded twice. Any other span begins at
    the keyframe before it and gives the same result.

    Args:
        frames_per_second: samples per second. "adaptive" `sampling` takes up to four times as many where much moves,
            "keyframes" this many at most.
        decoder: see `open_video`.

    Raises: InvalidRequest: the rate is not above 0, or `sampling` is unknown. UnreadableVideo: see `open_video`.
    """

    def __init__(
        self,
        file: VideoFile,
        frames_per_second: float,
        shape: PictureShape,
        title: str = "",
        sampling: str = EVEN,
        decoder: str = SOFTWARE,
    ) -> None:
        if not 0 < frames_per_second < math.inf:
            raise InvalidRequest(f"{frames_per_second:g} frames per second is not a rate: it must be above 0")
        if sampling not in SAMPLINGS:
            raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}")
        self._rate, self._sampling, self._shape = exact_seconds(frames_per_second), sampling, shape
        most = self._rate * (QUARTERS if sampling == ADAPTIVE else 1)
        gap = min(MOST_GAP_SECONDS, 1 / (most * _GAPS_IN_STEP))
        needs = Needs.KEYFRAMES if sampling == KEYFRAMES else Needs.LOOKS
        self._source = open_video(file, title, needs, Fraction(0) if sampling == KEYFRAMES else gap, decoder)
        self._renderer = FrameRenderer(self._source.first_frame, self._source.stream.sample_aspect_ratio)
        self._run: SpanReader | None = None

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_at_end(self) -> bool:
        """Whether no frame follows the last span."""
        return self._run is not None and self._run.is_at_end

    def ends_before(self, seconds: float) -> bool:
        """Whether no frame follows the last span, and the last one is shown before `seconds`."""
        return self._run is not None and self._run.is_at_end and self._run.last_seconds < seconds

    def close(self) -> None:
        self._run = None
        self._source.close()

    def read(self, start_seconds: float, end_seconds: float) -> Iterator[SampledFrame | Cut]:
        """Sample `[start_seconds, end_seconds)` and find its cuts.

        Frames come in order of time, and so do cuts. A cut comes some frames after the frame that it lies at.

        Raises: InvalidTimeRange: the range is empty, negative or not a number.
        """
        if not 0 <= start_seconds < end_seconds < math.inf:
            raise InvalidTimeRange(
                f"[{start_seconds:g}, {end_seconds:g}) s is not a time range: it must start at 0 or later, and end "
                "after its start"
            )
        start, end = exact_seconds(start_seconds), exact_seconds(end_seconds)
        if self._sampling == KEYFRAMES:
            yield from map(self._render, self._pick_keyframes(start, end))
            return
        run, self._run = self._run, None  # a run that stops halfway cannot be continued
        if run is None or run.end != start:
            first = self._source.first_seconds
            first = first if first < LEAST_LATE_SECONDS else Fraction(0)  # else a blank frame comes first
            picker = FramePicker(self._rate, self._sampling == ADAPTIVE, first_seconds=first)
            run = SpanReader(self._source, start, picker, self._render)
        yield from run.read(end)
        self._run = run

    def _render(self, previewed: PreviewedFrame) -> SampledFrame:
        picture = self._renderer.render(previewed.timed.frame, self._shape)
        return SampledFrame(float(previewed.timed.time), picture, is_blank(previewed.preview))

    def _pick_keyframes(self, start: Fraction, end: Fraction) -> Iterator[PreviewedFrame]:
        picker, previews = FramePicker(self._rate), PreviewMaker()
        # Start a little earlier: the keyframe before the span decides whether the span's first is the first of its
        # step. If none comes before, it is.
        for place, timed in enumerate(mark_gaps(self._source.frames(start - _BEFORE_SPAN), self._source)):
            if timed.time >= end:
                return
            previewed = PreviewedFrame(timed, previews.make(timed.frame))
            is_sample = picker.picks(timed.time, previewed.preview) or place == 0 or timed.is_gap
            if is_sample and timed.time >= start:
                yield previewed
