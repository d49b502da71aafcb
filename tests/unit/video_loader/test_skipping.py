"""Only frames that no other refers to are skipped; the others look the same as in a full run."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synthetic import videos
from executors.video_loader.decode.skipping import _is_unreferenced_hevc, _nal_headers
from executors.video_loader.decode.source import Needs, TimedFrame, open_video
from tests.unit.video_loader.test_shots import pan

MOST = Fraction(1, 8)
NTSC = Fraction(30000, 1001)


def make(path: Path, codec: str, fps: Fraction | int = 25, **options: object) -> videos.Video:
    return videos.make(path, pictures=pan(1, 100), size=(128, 96), codec=codec, fps=fps, gop=50, **options)


def run(path: Path, most: Fraction = MOST, start: Fraction = Fraction(0), all_from: Fraction | None = None):
    """Each frame with its time, whether it follows a gap, and its picture."""
    with open_video(path, needs=Needs.ALL, most_gap_seconds=most) as source:
        return [(timed, timed.frame.to_ndarray(format="rgb24")) for timed in source.frames(start, all_from)]


def times(frames: list[tuple[TimedFrame, np.ndarray]]) -> list[Fraction]:
    return [timed.time for timed, _ in frames]


def needed_count(path: Path) -> int:
    """How many frames FFmpeg decodes when it skips unreferenced ones."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONREF"
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize(
    ("file", "codec"),
    [
        ("a.mp4", "h264_b"),
        ("a.ts", "h264_b"),
        ("a.mkv", "h264_b_closed"),
        ("a.flv", "h264_b"),
        ("a.mp4", "hevc"),
        ("a.mkv", "hevc_b"),
        ("a.ts", "h264_interlaced"),
    ],
)
def test_unreferenced_frames_are_skipped(tmp_path: Path, file: str, codec: str) -> None:
    video = make(tmp_path / file, codec)
    whole, remaining = run(video.path, Fraction(0)), run(video.path)
    assert len(whole) == 100
    assert needed_count(video.path) == len(remaining) < 75
    pictures = dict(zip(times(whole), (picture for _, picture in whole), strict=True))
    assert all(np.array_equal(pictures[timed.time], picture) for timed, picture in remaining)
    shown = times(whole)
    steps = [shown.index(after) - shown.index(before) for before, after in pairwise(times(remaining))]
    assert [timed.follows_gap for timed, _ in remaining] == [False, *(step > 1 for step in steps)]


@pytest.mark.parametrize("fps", [NTSC, 12, 60])
@pytest.mark.parametrize("frames_apart", [1, 2, 3])
def test_gaps_are_no_longer_than_allowed(tmp_path: Path, fps: Fraction, frames_apart: int) -> None:
    video = make(tmp_path / "a.mp4", "h264_b", fps)
    most = frames_apart / Fraction(fps) + Fraction(1, 1000)
    remaining = run(video.path, most)
    assert max(after - before for before, after in pairwise(times(remaining))) <= most
    assert (len(remaining) == 100) is (frames_apart == 1)


@pytest.mark.parametrize("codec", ["h264_b", "hevc_b"])
def test_a_run_that_begins_later_gives_the_same_frames(tmp_path: Path, codec: str) -> None:
    video = make(tmp_path / "a.mp4", codec, NTSC)
    whole = times(run(video.path))
    for start in (Fraction(1, 3), Fraction(17, 10), Fraction(5, 2), Fraction(3)):
        later = [time for time in times(run(video.path, start=start)) if time >= start]
        assert later == [time for time in whole if time >= start]


def test_everything_is_decoded_from_the_requested_time_on(tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", "h264_b")
    begin = times(run(video.path))[30]
    frames = times(run(video.path, start=begin, all_from=begin))
    assert [time for time in frames if time >= begin] == [time for time in video.times if time >= begin]
    assert len(frames) < 100 - 25


@pytest.mark.parametrize(
    ("file", "codec"),
    [("a.avi", "h264_b"), ("a.mp4", "h264"), ("a.mkv", "vp9"), ("a.mkv", "mpeg2_b"), ("a.mov", "mjpeg")],
)
def test_other_videos_keep_all_their_frames(tmp_path: Path, file: str, codec: str) -> None:
    video = make(tmp_path / file, codec)
    assert len(run(video.path)) == 100


def test_units_of_a_packet() -> None:
    assert list(_nal_headers(b"\0\0\1\x09\xf0\0\0\0\1\x41\x9a\xff", 0)) == [b"\x09\xf0", b"\x41\x9a"]
    assert list(_nal_headers(b"\0\2\x09\xf0\0\3\x41\x9a\xff", 2)) == [b"\x09\xf0", b"\x41\x9a"]
    for damaged in (b"", b"\0\0", b"\0\0\1", b"\0\0\1\x09", b"\xff\xff\xff\xff"):
        assert list(_nal_headers(damaged, 0)) == []
    assert list(_nal_headers(b"\xff\xff\xff\xff\x41\x9a", 4)) == [b"\x41\x9a"]


def test_pictures_of_lower_temporal_layers_may_be_needed_by_higher_ones() -> None:
    trail_n, trail_r, parameters = 0, 1, 33
    assert _is_unreferenced_hevc(bytes([trail_n << 1, 1]), 1)
    assert not _is_unreferenced_hevc(bytes([trail_n << 1, 1]), 2)
    assert _is_unreferenced_hevc(bytes([trail_n << 1, 2]), 2)
    assert not _is_unreferenced_hevc(bytes([trail_r << 1, 1]), 1)
    assert _is_unreferenced_hevc(bytes([parameters << 1, 1]), 1) is None
