"""Containers: one list of them, raw streams with times by their rate, tags that players know, refusals in words."""

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import UnreadableVideo
from clipseek.watch.folder_scan import videos_below
from clipseek.watch.video_formats import CONTAINERS, RAW_STREAMS, RAW_SUFFIXES, VIDEO_SUFFIXES
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import SampledFrame

# Suffix of the file, FFmpeg's container for it, an encoder, its options.
RAW = [
    ("h264", "h264", "libx264", {"bf": "2", "g": "25"}),
    ("264", "h264", "libx264", {"bf": "0"}),
    ("hevc", "hevc", "libx265", {"x265-params": "log-level=none:keyint=25"}),
    ("m2v", "mpeg2video", "mpeg2video", {"bf": "2"}),
    ("mjpeg", "mjpeg", "mjpeg", {}),
]


def write_raw(path: Path, container: str, codec: str, options: dict[str, str], frames: int = 100, rate=25) -> Path:
    """Frame n has the slate n."""
    with av.open(str(path), "w", format=container) as video:
        track = video.add_stream(codec, rate=rate, options=options)
        track.width, track.height = 64, 48
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), 16 + 2 * number, np.uint8)
            video.mux(track.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        video.mux(track.encode(None))
    return path


def number_in(picture: np.ndarray) -> float:
    return (float(picture.mean()) - 16) / 2


@pytest.mark.parametrize(("suffix", "container", "codec", "options"), RAW)
@pytest.mark.shows("Raw streams", "times by the frame rate")
def test_a_raw_stream_has_times_by_its_frame_rate(tmp_path: Path, suffix, container, codec, options) -> None:
    path = write_raw(tmp_path / f"a.{suffix}", container, codec, options)
    info = probe_video(path)
    assert (info.duration_seconds, info.fps) == (pytest.approx(4.0), pytest.approx(25))
    with VideoReader(path, 1.0, PictureShape(16, 16)) as reader:
        for start in (0, 2):
            found = [item for item in reader.read(start, start + 2) if isinstance(item, SampledFrame)]
            assert [item.pts_seconds for item in found] == pytest.approx([start, start + 1], abs=0.13)
            numbers = [number_in(item.picture) for item in found]
            assert numbers == pytest.approx([25 * item.pts_seconds for item in found], abs=2)
    assert make_thumbnail(path, 3.5, 64).pts_seconds == pytest.approx(3.48, abs=0.021)
    for mode in ("exact", "copy"):  # there is nothing to copy times from
        clip = cut_clip(path, 1.0, 3.0, mode, tmp_path / mode)
        assert probe_video(clip.path).duration_seconds == pytest.approx(2.0, abs=0.001)
        with av.open(str(clip.path)) as video:
            shown = [number_in(frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
        assert shown == pytest.approx(range(25, 75), abs=2)


@pytest.mark.parametrize(
    ("rate", "shown"), [(Fraction(30000, 1001), 29.97), (50, 50.0), (Fraction(24000, 1001), 23.976)]
)
@pytest.mark.parametrize(("suffix", "container", "codec", "options"), [raw for raw in RAW if raw[2] != "mjpeg"])
@pytest.mark.shows("Raw streams", "times by the frame rate")
def test_a_raw_stream_has_the_rate_that_it_states(tmp_path, suffix, container, codec, options, rate, shown) -> None:
    path = write_raw(tmp_path / f"a.{suffix}", container, codec, options, frames=60, rate=rate)
    info = probe_video(path)
    assert (info.fps, info.duration_seconds) == (shown, pytest.approx(60 / float(rate), abs=1e-4))


@pytest.mark.parametrize(("rate", "shown"), [(Fraction(30000, 1001), 29.97), (25, 25.0)])
@pytest.mark.shows("Frame rates", "shown as people know them")
def test_gxf_counts_fields_but_its_rate_is_of_frames(tmp_path: Path, rate, shown: float) -> None:
    with av.open(str(tmp_path / "a.gxf"), "w") as video:
        track = video.add_stream("mpeg2video", rate=rate)
        track.width, track.height, track.pix_fmt = 720, 512 if shown > 25 else 576, "yuv422p"
        for number in range(20):
            picture = np.full((track.height, 720, 3), 16 + 2 * number, np.uint8)
            video.mux(track.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        video.mux(track.encode(None))
    info = probe_video(tmp_path / "a.gxf")
    assert (info.fps, info.duration_seconds) == (shown, pytest.approx(20 / shown, abs=1.1 / shown))


@pytest.mark.parametrize("name", ["a.mp4", "a", "a.mkv", "a.jpg"])
def test_a_raw_stream_is_read_only_under_its_own_suffix(tmp_path: Path, name: str) -> None:
    path = write_raw(tmp_path / name, "mjpeg", "mjpeg", {}, frames=3)
    with pytest.raises(UnreadableVideo, match=f"'{re.escape(name)}' .* none of the formats that ClipSeek reads"):
        probe_video(path)


def test_an_animated_webp_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(b"RIFF\x24\0\0\0WEBPVP8X" + bytes(40))
    with pytest.raises(UnreadableVideo, match=r"'a\.webp' is a WebP picture.*Convert it to GIF or MP4"):
        probe_video(tmp_path / "a.webp")


def test_what_is_looked_for_in_folders_is_what_is_opened(tmp_path: Path) -> None:
    names = {name for container in CONTAINERS.split(",") for name in container.split(",")} | RAW_STREAMS
    assert names - {"m4a", "mj2"} <= av.formats_available  # PyAV lists these under their first name only
    assert RAW_SUFFIXES.keys() < VIDEO_SUFFIXES
    for suffix in VIDEO_SUFFIXES:
        (tmp_path / f"a{suffix.upper()}").touch()
    assert len(list(videos_below(tmp_path))) == len(VIDEO_SUFFIXES)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.shows("HEVC copied into MP4", "has the tag hvc1")
def test_copied_hevc_has_the_tag_that_apples_players_know(tmp_path: Path, name: str) -> None:
    video = videos.make(tmp_path / name, codec="hevc", frames=50)
    clip = cut_clip(video.path, 0.5, 1.5, "copy", tmp_path / "clip")
    with av.open(str(clip.path)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    assert videos.read(clip.path)
