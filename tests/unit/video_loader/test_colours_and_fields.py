"""HDR becomes SDR and combs go, in thumbnails, in what the model sees and in exact clips; all else stays as it is."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.decode.interlace import deinterlace, take_field
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.decode.tone_map import HLG, PQ
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import SampledFrame

# Light of five patches, 1 for paper white: white, grey of 18 %, red, green, blue; and their levels in BT.709.
LIGHT = np.array([[1, 1, 1], [0.18, 0.18, 0.18], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
LEVELS = np.array([[250, 250, 250], [105, 105, 105], [250, 5, 5], [5, 250, 5], [5, 5, 250]])
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
WIDE = 64  # of a patch


def code_pq(light: np.ndarray) -> np.ndarray:
    power = (light * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def code_hlg(light: np.ndarray) -> np.ndarray:
    scene = light * 0.2648
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def write_hdr(path: Path, transfer: int, rate: int = 5) -> Path:
    signal = (code_pq if transfer == PQ else code_hlg)(LIGHT @ TO_BT2020.T)
    luma = signal @ [0.2627, 0.6780, 0.0593]
    blue, red = (signal[:, 2] - luma) / 1.8814, (signal[:, 0] - luma) / 1.4746
    planes = [64 + 876 * luma, 512 + 896 * blue, 512 + 896 * red]
    tags = {"color_primaries": 9, "color_trc": transfer, "colorspace": 9, "color_range": 1}
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx265", rate=rate, options={"x265-params": "log-level=none:qp=4"})
        track.width, track.height, track.pix_fmt = 5 * WIDE, 64, "yuv420p10le"
        for name, value in tags.items():
            setattr(track.codec_context, name, value)
        for number in range(10):
            frame = av.VideoFrame(5 * WIDE, 64, "yuv420p10le")
            for plane, values, width in zip(frame.planes, planes, (WIDE, WIDE // 2, WIDE // 2), strict=True):
                row = np.repeat(np.round(values), width).astype(np.uint16).tobytes().ljust(plane.line_size, b"\0")
                plane.update(row * plane.height)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            for name, value in tags.items():
                setattr(frame, name, value)
            video.mux(track.encode(frame))
        video.mux(track.encode(None))
    return path


def write_moving_bar(path: Path, codec: str, *, interlaced: bool, size: tuple[int, int] = (720, 576)) -> Path:
    """A white bar that moves 16 pixels from field to field. Progressive: both fields of a frame are of one time."""
    width, height = size
    with av.open(str(path), "w") as video:
        options = {"x264-params": "tff=1" if interlaced else "qp=4", "flags": "+ildct+ilme" if interlaced else "+cgop"}
        track = video.add_stream(codec, rate=25, options=options if codec == "libx264" else {})
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        if codec == "libx264":
            track.options["qp"] = "4"
        for number in range(12):
            luma = np.full((height, width), 16, np.uint8)
            for field in (0, 1):
                left = (
                    100 * width // 720 + 32 * number * width // 720 + (16 * field * width // 720 if interlaced else 0)
                )
                luma[field::2, left : left + 60] = 235
            planes = np.vstack([luma, np.full((height // 2, width), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            video.mux(track.encode(frame))
        video.mux(track.encode(None))
    return path


def picture_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def sample_of(path: Path, shape: PictureShape) -> np.ndarray:
    with VideoReader(path, 1.0, shape) as reader:
        return next(item.picture for item in reader.read(0, 2) if isinstance(item, SampledFrame))


def patches(picture: np.ndarray) -> np.ndarray:
    return picture[32, WIDE // 2 :: WIDE].astype(int)


def combs(picture: np.ndarray) -> float:
    """How far rows differ from the mean of their neighbours: levels."""
    rows = picture.astype(float).mean(axis=-1)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.mkv"])
@pytest.mark.shows("HDR: PQ and HLG", "SDR in thumbnails, for the model and in exact clips")
def test_hdr_is_shown_as_sdr(tmp_path: Path, transfer: int, name: str) -> None:
    path = write_hdr(tmp_path / name, transfer)
    clip = cut_clip(path, 0.4, 1.4, "exact", tmp_path / "clip")
    with av.open(str(clip.path)) as video:
        frame = next(video.decode(video=0))
        assert (frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range) == (1, 1, 1, 1)
        assert frame.format.name == "yuv420p"
    found = {
        "thumbnail": picture_of(make_thumbnail(path, 0.5, 5 * WIDE).jpeg),
        "model": sample_of(path, PictureShape(5 * WIDE, 64)),
        "clip": frame.to_ndarray(format="rgb24"),
    }
    for what, picture in found.items():
        levels = patches(picture)
        assert np.abs(levels - LEVELS).max() <= 32, what  # a pure colour keeps its hue
        assert np.abs(levels[:2] - LEVELS[:2]).max() <= 7, what
    assert np.abs(patches(found["thumbnail"]) - patches(found["clip"])).max() <= 6


def test_sdr_is_not_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=5, options={"qp": "4"})
        track.width, track.height, track.pix_fmt = 5 * WIDE, 64, "yuv420p"
        row = np.repeat(LEVELS.astype(np.uint8), WIDE, axis=0)[None]
        for _ in range(5):
            video.mux(track.encode(av.VideoFrame.from_ndarray(np.repeat(row, 64, axis=0), "rgb24")))
        video.mux(track.encode(None))
    assert np.abs(patches(picture_of(make_thumbnail(path, 0, 5 * WIDE).jpeg)) - LEVELS).max() <= 4


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.shows("Interlaced video", "no combs")
def test_interlaced_video_has_no_combs(tmp_path: Path, name: str) -> None:
    path = write_moving_bar(tmp_path / name, "libx264", interlaced=True)
    with av.open(str(path)) as video:
        assert combs(next(video.decode(video=0)).to_ndarray(format="rgb24")) > 4
    clip = cut_clip(path, 0.2, 0.4, "exact", tmp_path / "clip")
    with av.open(str(clip.path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 5
    assert probe_video(clip.path).duration_seconds == pytest.approx(0.2, abs=0.0001)
    pictures = [picture_of(make_thumbnail(path, 0.2, 720).jpeg), sample_of(path, PictureShape(720, 576)), *frames]
    assert max(map(combs, pictures)) < 0.5
    bars = [int(np.flatnonzero(frame[288, :, 0] > 128)[0]) for frame in frames]
    assert bars == pytest.approx([bars[0] + 32 * number for number in range(5)], abs=4)
    assert 260 - 4 <= bars[0] <= 276 + 4  # where one of its fields shows it
    assert probe_video(path).fps == 25


def test_progressive_video_is_left_alone(tmp_path: Path) -> None:
    path = write_moving_bar(tmp_path / "a.mkv", "libx264", interlaced=False)
    with av.open(str(path)) as video:
        frame = next(video.decode(video=0))
    assert take_field(frame) is frame


@pytest.mark.parametrize(("rate", "shown"), [(Fraction(30000, 1001), 29.97), (Fraction(24000, 1001), 23.976), (25, 25)])
@pytest.mark.shows("Frame rates", "shown as people know them")
def test_frame_rates_are_shown_as_people_know_them(tmp_path: Path, rate: Fraction, shown: float) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=rate)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for _ in range(60):
            video.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        video.mux(track.encode(None))
    assert probe_video(path).fps == shown


@pytest.mark.shows("Frame rates", "shown as people know them")
def test_the_clock_of_dv_is_not_its_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.dv"
    with av.open(str(path), "w", format="dv") as video:
        track = video.add_stream("dvvideo", rate=25)
        track.width, track.height, track.pix_fmt = 720, 576, "yuv420p"
        for _ in range(6):
            video.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((576, 720, 3), np.uint8), "rgb24")))
        video.mux(track.encode(None))
    assert probe_video(path).fps == 25


@pytest.mark.shows("Interlaced video", "no combs")
def test_interlaced_video_may_change_its_size(tmp_path: Path) -> None:
    path = write_moving_bar(tmp_path / "a.mkv", "libx264", interlaced=True)
    with av.open(str(path)) as video:
        frames = list(video.decode(video=0))
    small = write_moving_bar(tmp_path / "b.mkv", "libx264", interlaced=True, size=(360, 288))
    with av.open(str(small)) as video:
        frames += list(video.decode(video=0))
    shown = [(frame, Fraction(n, 25), Fraction(n + 1, 25)) for n, frame in enumerate(frames)]
    made = list(deinterlace(iter(shown)))
    assert [(since, until) for _, since, until in made] == [(since, until) for _, since, until in shown]
    assert [(frame.width, frame.height) for frame, *_ in made] == [(720, 576)] * 12 + [(360, 288)] * 12
    assert max(combs(frame.to_ndarray(format="rgb24")) for frame, *_ in made) < 0.5


GREYS = (16, 64, 128, 192, 235)


def write_grey(path: Path, codec: str, pixel_format: str, colour_range: int) -> Path:
    """Five patches of these levels."""
    kind = np.uint8 if pixel_format == "gray" else np.uint16
    factor = 1 if pixel_format == "gray" else 4
    row = np.repeat(np.array(GREYS, kind) * factor, WIDE)[None]
    options = {"x265-params": "log-level=none:qp=4"} if codec == "libx265" else {}
    with av.open(str(path), "w") as video:
        track = video.add_stream(codec, rate=5, options=options)
        track.width, track.height, track.pix_fmt = 5 * WIDE, 64, pixel_format
        track.codec_context.color_range = colour_range
        for n in range(10):
            frame = av.VideoFrame.from_ndarray(np.repeat(row, 64, axis=0), pixel_format)
            frame.color_range, frame.pts, frame.time_base = colour_range, n, Fraction(1, 5)
            video.mux(track.encode(frame))
        video.mux(track.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "pixel_format", "colour_range", "is_limited"),
    [
        ("ffv1", "gray", 1, True),
        ("ffv1", "gray", 2, False),
        ("ffv1", "gray", 0, False),
        ("ffv1", "gray10le", 1, True),
        ("libx265", "gray10le", 1, True),
        ("libx265", "gray", 0, True),
        ("libx265", "gray", 2, False),
    ],
)
@pytest.mark.shows("Grey, full and limited range", "levels stay")
def test_grey_pictures_keep_their_levels(tmp_path, codec, pixel_format, colour_range, is_limited) -> None:
    path = write_grey(tmp_path / "a.mkv", codec, pixel_format, colour_range)
    levels = np.array(GREYS)
    right = np.round((levels - 16) * 255 / 219) if is_limited else levels
    with av.open(str(cut_clip(path, 0, 1, "exact", tmp_path / "clip").path)) as video:
        clip = next(video.decode(video=0)).to_ndarray(format="rgb24")
    for picture in (picture_of(make_thumbnail(path, 0.5, 5 * WIDE).jpeg), sample_of(path, PictureShape(320, 64)), clip):
        assert np.abs(patches(picture)[:, 0] - right).max() <= 3
