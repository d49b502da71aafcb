"""One video with known moments in many variants: each moment is found at its time, however the video is stored.

The video shows a still pattern, five moments of four other patterns in between. What is scored is how near a sampled
picture comes to a pattern as a viewer sees it, upright and with square pixels: a picture that is turned, squeezed or of
another time does not score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from benchmarks.spans import read_span
from benchmarks.synthetic import videos
from executors.faiss_indexer.moments.segments import ScoreCurve, find_segments
from executors.faiss_indexer.store.spans import plan_spans
from executors.video_loader.decode.picture import Picture, PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.sample.span_reader import Cut
from tests.edit_lists import Edit, set_edits

RATE = 2  # samples per second
STEP_SECONDS = 1 / RATE
SPAN_SECONDS = 4.0
SHAPE = PictureShape(32, 32, "pad")
SHOWN_SIZE = (64, 48)
SECONDS = 12
# Pattern and `[start, end)` in seconds; the rest shows pattern 0. No moment begins or ends with a sample.
MOMENTS = ((1, 1.32, 3.16), (2, 4.6, 5.72), (3, 5.72, 7.36), (1, 8.28, 9.2), (4, 9.84, 11.12))
NTSC, VIDEO_NTSC, NTSC_60 = Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60000, 1001)
COLOURS = ((40, 40, 40), (216, 40, 40), (40, 200, 40), (40, 60, 216), (216, 200, 40))


def pattern(number: int) -> Picture:
    """A picture as shown. No two look alike, even turned or mirrored."""
    width, height = SHOWN_SIZE
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[: height // 3, : width // 2] = COLOURS[number]
    picture[height // 3 :, : width // 8] = 230
    picture[height // 2 :, width // 2 :] = COLOURS[(number + 2) % 5]
    return picture


@dataclass(frozen=True)
class Variant:
    """How the video is stored. `edits`: parts of it, in an edit list; all else as `videos.make` takes it."""

    file: str
    codec: str
    fps: Fraction | int = 25
    options: dict[str, Any] = field(default_factory=dict)
    variable: bool = False
    edits: Sequence[Edit] = ()

    @property
    def name(self) -> str:
        extra = [*self.options, *(["variable"] if self.variable else []), *(["edits"] if self.edits else [])]
        return " ".join([self.file.removeprefix("a."), self.codec, f"{float(self.fps):.5g}", *extra])


VARIANTS = (
    Variant("a.mp4", "h264"),
    Variant("a.mp4", "h264", 12),
    Variant("a.mp4", "h264_b", VIDEO_NTSC),
    Variant("a.mp4", "h264_b", NTSC, {"audio_first": True}),
    Variant("a.mp4", "h264_b", NTSC_60, {"gop": 250}),
    Variant("a.mp4", "h264_b", 50, {"first": Fraction(7, 2)}),
    Variant("a.mp4", "h264", 25, {"rotation_degrees": 90}),
    Variant("a.mp4", "h264_b", NTSC, {"rotation_degrees": 180, "audio": True}),
    Variant("a.mov", "h264", 25, {"rotation_degrees": 270}),
    Variant("a.mp4", "h264", 25, {"aspect": Fraction(2)}),
    Variant("a.mp4", "h264", 25, {"aspect": Fraction(2), "rotation_degrees": 90}),
    Variant("a.mp4", "h264", 25, {"cover": True, "audio": True}),
    Variant("a.mp4", "h264_b", 25, {}, variable=True),
    Variant("a.mp4", "h264", 25, {}, edits=((Fraction(1), Fraction(11)),)),
    Variant("a.mp4", "h264_b", 25, {"gop": 100}, edits=((Fraction(34, 25), Fraction(48, 5)),)),
    Variant("a.mp4", "h264_b", 25, {}, edits=((None, Fraction(3)), (Fraction(1), Fraction(12)))),
    Variant("a.mp4", "h264", 25, {}, edits=((Fraction(0), Fraction(4)), (Fraction(8), Fraction(12)))),
    Variant("a.mp4", "h264_interlaced"),
    Variant("a.mp4", "h264_10_bit", NTSC),
    Variant("a.mp4", "hevc"),
    Variant("a.mp4", "hevc_b", NTSC, {"first": Fraction(1, 2)}),
    Variant("a.mp4", "av1"),
    Variant("a.mp4", "mpeg4_b"),
    Variant("a.mkv", "h264_b", NTSC, {"small_first": True}),
    Variant("a.mkv", "hevc", VIDEO_NTSC, {"first": Fraction(7, 2)}),
    Variant("a.mkv", "vp9", 30, {}, variable=True),
    Variant("a.mkv", "ffv1"),
    Variant("a.mkv", "mpeg2_interlaced", NTSC),
    Variant("a.webm", "vp8", 25, {"audio": True}),
    Variant("a.webm", "vp9", NTSC, {"audio_first": True}),
    Variant("a.webm", "av1", 30),
    Variant("a.avi", "mpeg4_b"),
    Variant("a.avi", "h264_b", NTSC),
    Variant("a.avi", "msmpeg4", 15),
    Variant("a.avi", "mjpeg", 12),
    Variant("a.mov", "prores"),
    Variant("a.mov", "mjpeg", NTSC, {"audio_first": True}),
    Variant("a.ts", "h264_b", 25, {"first": Fraction(7, 2), "audio_first": True}),
    Variant("a.ts", "h264_interlaced"),
    Variant("a.ts", "mpeg2_b", NTSC),
    Variant("a.ts", "hevc", 50),
    Variant("a.mpg", "mpeg2_b", 25, {"audio": True}),
    Variant("a.mpg", "mpeg2_interlaced"),
    Variant("a.mpg", "mpeg1", NTSC),
    Variant("a.flv", "flv1", 25, {"audio": True}),
    Variant("a.flv", "h264_b", NTSC),
    Variant("a.wmv", "wmv2", 25, {"audio": True}),
    Variant("a.rm", "rv20"),
    Variant("a.ogv", "vp8"),
    Variant("a.mxf", "mpeg2_b"),
    Variant("a.nut", "h264_b", NTSC),
)


@dataclass(frozen=True)
class Shown:
    """What a viewer sees: pattern from time on, in order of time, and when the video ends; from the first frame."""

    changes: tuple[tuple[float, int], ...]
    duration_seconds: float

    def moments(self, number: int) -> list[tuple[float, float]]:
        """The `[start, end)` in which the pattern is shown."""
        ends = [*(start for start, _ in self.changes[1:]), self.duration_seconds]
        return [(start, end) for (start, shown), end in zip(self.changes, ends, strict=True) if shown == number]


def make_variant(folder: Path, variant: Variant) -> tuple[Path, Shown]:
    times = _frame_times(variant)
    numbers = [next((n for n, start, end in MOMENTS if start <= time < end), 0) for time in times]
    stored = [_stored(pattern(number), variant.options) for number in range(len(COLOURS))]
    video = videos.make(
        folder / variant.file,
        codec=variant.codec,
        fps=variant.fps,
        times=times if variant.variable else None,
        size=(stored[0].shape[1], stored[0].shape[0]),
        pictures=[stored[number] for number in numbers],
        **{"gop": 25} | variant.options,
    )
    if not variant.edits:
        return video.path, _shown(times, numbers, video.duration)
    set_edits(video.path, variant.edits)
    kept: list[tuple[Fraction, int]] = []
    length = Fraction(0)
    for start, end in variant.edits:
        if start is not None:  # the time before the first frame does not count
            kept += [(t - start + length, n) for t, n in zip(times, numbers, strict=True) if start <= t < end]
            length += end - start
    return video.path, _shown(*zip(*kept, strict=True), length)


def _frame_times(variant: Variant) -> list[Fraction]:
    """At a variable rate the video is a recording of a screen that shows a frame three times as long now and then."""
    frame = 1 / Fraction(variant.fps)
    if not variant.variable:
        return [index * frame for index in range(round(SECONDS * Fraction(variant.fps)))]
    times = [Fraction(0)]
    while times[-1] < SECONDS - 3 * frame:
        times.append(times[-1] + frame * (3 if len(times) % 4 == 0 else 1))
    return times


def _stored(shown: Picture, options: dict[str, Any]) -> Picture:
    """The picture as it lies in the file of a video that is to be shown turned or stretched."""
    turned = np.rot90(shown, k=options.get("rotation_degrees", 0) // 90)
    return np.ascontiguousarray(turned[:, :: int(options.get("aspect", 1))])


def _shown(times: Sequence[Fraction], numbers: Sequence[int], duration: Fraction) -> Shown:
    starts = [i for i in range(len(times)) if i == 0 or numbers[i] != numbers[i - 1]]
    return Shown(tuple((float(times[i]), numbers[i]) for i in starts), float(duration))


def read_by_spans(path: Path) -> tuple[list[float], list[Picture], list[float], float]:
    """Times and pictures of all samples, cuts, and the video's length: what indexing reads, span by span."""
    duration = probe_video(path).duration_seconds
    spans = plan_spans(duration, SPAN_SECONDS)
    found = [one for start, end in spans for one in read_span(path, start, end, RATE, SHAPE)]
    frames = [one for one in found if not isinstance(one, Cut)]
    cuts = [one.pts_seconds for one in found if isinstance(one, Cut)]
    return [f.pts_seconds for f in frames], [f.picture for f in frames], cuts, duration


def reference(number: int) -> Picture:
    """The pattern as it looks within the padding of SHAPE."""
    canvas = np.zeros((32, 32, 3), np.uint8)
    canvas[4:28] = pattern(number)[::2, ::2]
    return canvas


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.shows("Containers, rates, rotation, pixel shape", "every moment at its time, upright")
def test_every_moment_is_found_at_its_time(tmp_path: Path, variant: Variant) -> None:
    encoder = videos.ENCODERS[variant.codec][0]
    try:
        av.Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"FFmpeg has no encoder {encoder} here")
    path, shown = make_variant(tmp_path, variant)
    times, pictures, cuts, duration = read_by_spans(path)
    frame = 1 / float(variant.fps)
    # In a program stream small pictures share one time; what FFmpeg counts on from it is off by a picture or two.
    error = 3 * frame if variant.file == "a.mpg" else 0.002
    last_frame = 3 * frame if variant.variable else frame
    assert duration == pytest.approx(shown.duration_seconds, abs=error + last_frame)
    assert cuts == pytest.approx([start for start, _ in shown.changes[1:]], abs=error)
    assert max(b - a for a, b in pairwise([*times, duration])) < STEP_SECONDS + 4 * frame
    shots = list(pairwise([0.0, *cuts, duration]))
    stack = np.stack(pictures).astype(float)
    for number in sorted({number for _, number in shown.changes} - {0}):
        truth = shown.moments(number)
        scores = 1 - np.abs(stack - reference(number)).mean(axis=(1, 2, 3)) / 255
        background = np.median(scores)  # what is not the pattern; 1 is the pattern itself
        relevance = (scores - background) / (1 - background)
        segments = find_segments(ScoreCurve(np.array(times), relevance, duration), None, shots)
        best = sorted((s.start_seconds, s.end_seconds) for s in segments[: len(truth)])
        assert len(best) == len(truth), f"pattern {number}: {segments}"
        for (start, end), (true_start, true_end) in zip(best, truth, strict=True):
            assert abs(start - true_start) < STEP_SECONDS
            assert abs(end - true_end) < STEP_SECONDS
        inside = np.array([any(start <= time < end for start, end in truth) for time in times])
        if error < frame:
            assert scores[inside].min() > 0.97 > 0.95 > scores[~inside].max()
