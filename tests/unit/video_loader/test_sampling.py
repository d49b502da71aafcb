"""Frames by timestamp: which picture at which time, alone and in spans, upright and of the right shape."""

import math
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.spans import sample_frames
from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest, InvalidTimeRange
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.decode.source import open_video
from tests.edit_lists import Edit, set_edits

SHAPE = PictureShape(32, 24)
WITH_SPARE_FRAMES = ("h264_b", "h264_interlaced", "hevc")
NTSC = Fraction(30000, 1001)
UNEVEN = [Fraction(n, 1000) for n in (0, 40, 80, 900, 1000, 1040, 2500, 2501, 3333, 4000, 4100, 7000)]


def taken(path: Path, start: float, end: float, rate: float) -> list[tuple[float, int]]:
    return [
        (round(f.pts_seconds, 3), videos.read_slate(f.picture)) for f in sample_frames(path, start, end, rate, SHAPE)
    ]


def by_the_rule(video: videos.Video, rate: float, codec: str = "") -> list[tuple[float, int]]:
    """The result of a sequential run, by brute force over all frames, or over those that others refer to."""
    kept = [video.times.index(time) for time in kept_times(video, rate)] if codec in WITH_SPARE_FRAMES else ()
    first: dict[int, int] = {}
    for index in kept or range(len(video.times)):
        first.setdefault(math.floor(video.times[index] * Fraction(str(rate))), index)
    return [(round(float(video.times[i]), 3), i % videos.SLATES) for i in first.values()]


def kept_times(video: videos.Video, rate: float) -> list[Fraction]:
    """The frames that FFmpeg decodes when it skips unreferenced ones, and others between them while gaps are large."""
    most = min(Fraction(1, 8), 1 / (4 * Fraction(str(rate))))
    with av.open(str(video.path)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONREF"
        shown = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    needed = {round((time - shown[0]) * 1000) for time in shown}
    kept: list[Fraction] = []
    for place, time in enumerate(video.times):
        following = next((t for t in video.times[place:] if round(t * 1000) in needed), None)
        if round(time * 1000) in needed or following is None or following - kept[-1] > most:
            kept.append(time)
    return kept


@pytest.mark.parametrize("rate", [0.5, 1, 3, 25])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "h264", {}),
        ("a.mp4", "h264_b", {"first": Fraction(7, 2)}),
        ("a.mkv", "h264_b", {}),
        ("a.mkv", "hevc", {"first": Fraction(1, 2)}),
        ("a.webm", "vp8", {"audio": True}),
        ("a.webm", "vp9", {}),
        ("a.avi", "mpeg4_b", {}),
        ("a.avi", "h264_b", {}),
        ("a.avi", "msmpeg4", {}),
        ("a.mov", "mjpeg", {}),
        ("a.ts", "h264_b", {"first": Fraction(7, 2), "audio": True}),
        ("a.mp4", "h264_b", {"gop": 100}),
        ("a.mp4", "h264_b", {"audio_first": True}),
        ("a.mp4", "h264_interlaced", {}),
        ("a.ts", "h264_interlaced", {"first": Fraction(7, 2)}),
        ("a.mkv", "mpeg2_interlaced", {}),
    ],
)
def test_every_frame_in_its_step_and_spans_that_partition(
    tmp_path: Path, name: str, codec: str, options: dict, rate: float
) -> None:
    video = videos.make(tmp_path / name, codec=codec, frames=60, **options)
    is_thinned = codec in WITH_SPARE_FRAMES and not name.endswith(".avi")
    whole = taken(video.path, 0, 99, rate)
    expected = by_the_rule(video, rate, codec if is_thinned else "")
    # If every other frame is skipped, the wildest of these colours look like shots that need a sample of their own.
    assert [frame for frame in whole if frame in expected] == expected
    assert is_thinned or whole == expected
    assert all(slate == round(time * 25) % videos.SLATES for time, slate in whole)
    assert [frame for k in range(9) for frame in taken(video.path, k * 0.29, (k + 1) * 0.29, rate)] == whole
    assert taken(video.path, 1.0, 1.5, rate) == [frame for frame in whole if 1.0 <= frame[0] < 1.5]


def test_av1(tmp_path: Path) -> None:
    scheduling = os.sched_getscheduler(0)
    video = videos.make(tmp_path / "a.mp4", codec="av1", frames=30)
    assert os.sched_getscheduler(0) == scheduling
    assert taken(video.path, 0.5, 99, 5) == [frame for frame in by_the_rule(video, 5) if frame[0] >= 0.5]


@pytest.mark.parametrize("rate", [1, 29.97, 60])
def test_29_97_frames_per_second(tmp_path: Path, rate: float) -> None:
    video = videos.make(tmp_path / "a.mp4", fps=NTSC, frames=80, codec="h264_b")
    whole, expected = taken(video.path, 0, 99, rate), by_the_rule(video, rate, "h264_b")
    assert [frame for frame in whole if frame in expected] == expected
    assert taken(video.path, 0, 1.5, rate) + taken(video.path, 1.5, 99, rate) == whole


@pytest.mark.parametrize("rate", [0.3, 1, 10, 1000])
def test_variable_frame_rate(tmp_path: Path, rate: float) -> None:
    video = videos.make(tmp_path / "a.mkv", times=UNEVEN, gop=3)
    whole = taken(video.path, 0, 99, rate)
    shots = [(2.501, 7), (3.333, 8)] if rate == 0.3 else []  # stills that no step samples
    assert whole == sorted(by_the_rule(video, rate) + shots)
    assert [frame for k in range(8) for frame in taken(video.path, k, k + 1, rate)] == whole


@pytest.mark.parametrize("codec", ["h264_interlaced", "mpeg2_interlaced"])
def test_interlaced_videos_are_interlaced(tmp_path: Path, codec: str) -> None:
    """The tests above rely on this: the pictures are coded as two fields, the first one on top."""
    video = videos.make(tmp_path / "a.mkv", codec=codec, frames=5)
    with open_video(video.path) as source:
        assert [timed.frame.interlaced_frame for timed in source.frames()] == [True] * 5


def edited(video: videos.Video, edits: Sequence[Edit]) -> list[tuple[float, int]]:
    """Time from the first shown frame, and slate, of every frame that an edit list shows."""
    shown: list[tuple[Fraction, int]] = []
    begin = Fraction(0)
    for start, end in edits:
        if start is not None:
            frames = [(i, time) for i, time in enumerate(video.times) if start <= time < end]
            shown += [(begin + time - start, i % videos.SLATES) for i, time in frames]
        begin += end - (start or 0)
    return [(round(float(time - shown[0][0]), 3), slate) for time, slate in shown]


TRIMMED = ((Fraction(34, 25), Fraction(3)),)  # begins between two keyframes
DELAYED = ((None, Fraction(2)), (Fraction(1), Fraction(3)))
JOINED = ((Fraction(34, 25), Fraction(2)), (Fraction(13, 5), Fraction(18, 5)))


@pytest.mark.parametrize(
    ("codec", "edits"),
    [(codec, edits) for codec in ("h264", "h264_b", "hevc", "mpeg4_b") for edits in (TRIMMED, DELAYED)]
    + [("h264", JOINED), ("mjpeg", JOINED)],
)
def test_edit_lists_are_right_to_the_frame(tmp_path: Path, codec: str, edits: Sequence[Edit]) -> None:
    video = videos.make(tmp_path / "a.mp4", codec=codec, frames=100)
    set_edits(video.path, edits)
    whole = edited(video, edits)
    assert taken(video.path, 0, 99, 25) == whole
    assert [frame for k in range(8) for frame in taken(video.path, k * 0.29, (k + 1) * 0.29, 25)] == whole
    assert probe_video(video.path).duration_seconds == pytest.approx(len(whole) / 25, abs=0.001)


def test_joined_ranges_with_b_frames_are_right_except_for_one_frame(tmp_path: Path) -> None:
    """FFmpeg counts times over the joint from the order of decoding."""
    video = videos.make(tmp_path / "a.mp4", codec="h264_b", frames=100)
    set_edits(video.path, JOINED)
    found, whole = taken(video.path, 0, 99, 25), edited(video, JOINED)
    assert [slate for _, slate in found] == [slate for _, slate in whole]
    assert [time for time, _ in found] == pytest.approx([time for time, _ in whole], abs=0.041)


def test_a_span_without_a_frame_is_empty(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mkv", times=UNEVEN)
    assert taken(video.path, 4.5, 6.5, 1) == []
    assert taken(video.path, 50, 60, 1) == []


def test_one_frame(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=1)
    assert taken(video.path, 0, 30, 1) == [(0.0, 0)]


def test_the_better_of_two_streams(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mkv", small_first=True)
    assert taken(video.path, 0, 1, 5) == by_the_rule(video, 5)[:5]


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4", cover=True)
    assert taken(video.path, 0, 1, 5) == by_the_rule(video, 5)[:5]


def test_damage_costs_frames_but_not_the_video(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.ts", frames=100, codec="h264")
    data = bytearray(video.path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 4] = bytes(188 * 4)
    video.path.write_bytes(data)
    frames = taken(video.path, 0, 99, 25)
    right = [frame for frame in frames if frame == (frame[0], round(frame[0] * 25) % videos.SLATES)]
    assert len(right) > 80
    assert frames[-1] == (3.96, 99 % videos.SLATES)


@pytest.mark.parametrize("span", [(-1, 1), (1, 1), (2, 1), (math.nan, 1), (0, math.inf), (0, math.nan)])
def test_invalid_ranges_are_refused(tmp_path: Path, span: tuple[float, float]) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=2)
    with pytest.raises(InvalidTimeRange):
        taken(video.path, *span, 1)


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_invalid_rates_are_refused(tmp_path: Path, rate: float) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=2)
    with pytest.raises(InvalidRequest, match="frames per second"):
        taken(video.path, 0, 1, rate)


def quarters(width: int, height: int) -> np.ndarray:
    """Four quarters: red, green above blue, white."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (220, 20, 20)
    picture[: height // 2, width // 2 :] = (20, 220, 20)
    picture[height // 2 :, : width // 2] = (20, 20, 220)
    picture[height // 2 :, width // 2 :] = (220, 220, 220)
    return picture


@pytest.mark.parametrize(("degrees", "corners"), [(0, "rgbw"), (90, "brwg"), (180, "wbgr"), (270, "gwrb")])
def test_rotation_is_applied_clockwise(tmp_path: Path, degrees: int, corners: str) -> None:
    video = videos.make(tmp_path / "a.mp4", rotation_degrees=degrees, pictures=[quarters(64, 48)] * 3)
    (frame,) = sample_frames(video.path, 0, 1, 1, PictureShape(40, 40))
    colours = {"r": (220, 20, 20), "g": (20, 220, 20), "b": (20, 20, 220), "w": (220, 220, 220)}
    for (row, column), colour in zip([(10, 10), (10, 30), (30, 10), (30, 30)], corners, strict=True):
        assert np.abs(frame.picture[row, column].astype(int) - colours[colour]).max() < 12


@pytest.mark.parametrize(
    ("options", "shape", "box"),
    [  # box: first and last column and row of the picture within the padding
        ({"size": (64, 48)}, (64, 64), (0, 63, 8, 55)),
        ({"size": (48, 64)}, (64, 64), (8, 55, 0, 63)),
        ({"size": (64, 48), "rotation_degrees": 90}, (64, 64), (8, 55, 0, 63)),
        ({"size": (64, 64), "aspect": Fraction(2)}, (64, 64), (0, 63, 16, 47)),
        ({"size": (64, 64), "aspect": Fraction(2), "rotation_degrees": 270}, (64, 64), (16, 47, 0, 63)),
        ({"size": (64, 48)}, (100, 48), (18, 81, 0, 47)),
    ],
)
def test_pad_shows_all_in_proportion(tmp_path: Path, options: dict, shape: tuple, box: tuple) -> None:
    white = np.full((options["size"][1], options["size"][0], 3), 250, np.uint8)
    video = videos.make(tmp_path / "a.mp4", pictures=[white] * 3, **options)
    (frame,) = sample_frames(video.path, 0, 1, 1, PictureShape(*shape, "pad", (10, 20, 30)))
    assert frame.picture.shape == (shape[1], shape[0], 3)
    rows, columns = np.nonzero((frame.picture > 200).all(axis=2))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == box
    outside = np.ones(frame.picture.shape[:2], bool)
    outside[box[2] : box[3] + 1, box[0] : box[1] + 1] = False
    assert (frame.picture[outside] == (10, 20, 30)).all()


@pytest.mark.parametrize("rotation_degrees", [0, 90])
def test_crop_shows_the_middle_in_proportion(tmp_path: Path, rotation_degrees: int) -> None:
    """A wide picture with a white square in its middle, beside which all is black."""
    size = (96, 48) if rotation_degrees == 0 else (48, 96)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - 48) // 2, (size[1] - 48) // 2
    picture[top : top + 48, left : left + 48] = 250
    video = videos.make(tmp_path / "a.mp4", pictures=[picture] * 3, size=size, rotation_degrees=rotation_degrees)
    (frame,) = sample_frames(video.path, 0, 1, 1, PictureShape(32, 32, "crop"))
    assert frame.picture.shape == (32, 32, 3) and (frame.picture[1:-1, 1:-1] > 200).all()
    (whole,) = sample_frames(video.path, 0, 1, 1, PictureShape(32, 32))
    assert (whole.picture < 30).mean() > 0.4


def test_black_and_white_stay_black_and_white(tmp_path: Path) -> None:
    pictures = [np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 255, np.uint8)]
    for name, codec in (("a.mp4", "h264"), ("a.mov", "mjpeg")):
        video = videos.make(tmp_path / name, codec=codec, pictures=pictures, fps=1, frames=2)
        black, white = sample_frames(video.path, 0, 2, 1, SHAPE)
        assert black.picture.max() <= 2
        assert white.picture.min() >= 253


def test_an_invalid_shape_is_refused() -> None:
    for args in ((0, 10), (10, -1), (10, 10, "twist")):
        with pytest.raises(InvalidRequest, match="is not possible"):
            PictureShape(*args)
