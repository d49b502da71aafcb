"""Clips: what the first and last picture show, how long they are, what is heard."""

import errno
import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest, InvalidTimeRange, StoreFull, VideoNotFound
from executors.video_loader.clips import cut as cutting
from executors.video_loader.clips.cache import ClipCache, ClipKey
from executors.video_loader.clips.cut import ClipFile, cut_clip
from executors.video_loader.decode import source
from executors.video_loader.decode.probe import probe_video
from tests.unit.video_loader.test_sampling import NTSC, UNEVEN, quarters

ONE_AAC_FRAME = 1024 / videos.AUDIO_RATE


def samples_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def loud(path: Path) -> tuple[float, float]:
    """First and last second in which the tone is heard."""
    hits = np.flatnonzero(np.abs(samples_of(path)[0]) > 0.1) / videos.AUDIO_RATE
    return float(hits[0]), float(hits[-1])


def test_loaders_on_different_machines_cut_the_same_clip(tmp_path: Path, monkeypatch) -> None:
    video = videos.make(tmp_path / "a.mp4", pictures=[videos.scenes(1, 640, n)[0] for n in range(30)], size=(640, 640))
    made = set()
    for processors in (1, 2, 16):
        monkeypatch.setattr(source, "processor_count", lambda count=processors: count)
        monkeypatch.setattr("os.cpu_count", lambda count=processors: count)
        made.add(cut_clip(video.path, 0.1, 1.1, "exact", tmp_path / "clip").path.read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "h264_b", {"audio": True}),
        ("a.mkv", "hevc", {"first": Fraction(7, 2)}),
        ("a.webm", "vp8", {"audio": True}),
        ("a.avi", "mpeg4_b", {}),
        ("a.avi", "h264_b", {}),
        ("a.mov", "mjpeg", {"audio": True}),
        ("a.ts", "h264_b", {"first": Fraction(7, 2), "audio": True}),
        ("a.mp4", "h264", {"small_first": False, "cover": True}),
    ],
)
def test_an_exact_clip(tmp_path: Path, name: str, codec: str, options: dict) -> None:
    video = videos.make(tmp_path / name, codec=codec, frames=75, **options)
    clip = cut_clip(video.path, 0.5, 1.93, "exact", tmp_path / "clip")
    assert (clip.start_seconds, clip.end_seconds, clip.suffix) == (0.5, 1.93, ".mp4")
    info = probe_video(clip.path)
    assert (info.codec, info.has_audio) == ("h264", "audio" in options)
    assert info.duration_seconds == pytest.approx(1.43, abs=0.0001)
    shown = videos.read(clip.path)
    # 0.5 s lies within frame 12 (0.48 s): on screen from the clip's beginning; frame 48 comes at 1.92 s.
    assert [slate for _, slate in shown] == [i % videos.SLATES for i in range(12, 49)]
    assert [time for time, _ in shown] == pytest.approx([0.0] + [i / 25 - 0.5 for i in range(13, 49)], abs=0.001)
    if "audio" in options:
        length = samples_of(clip.path).shape[1] / videos.AUDIO_RATE
        assert 1.43 <= length < 1.43 + 2 * ONE_AAC_FRAME
        begin, end = loud(clip.path)
        late = 1024 / videos.AUDIO_RATE if name == "a.ts" else 0  # MPEG-TS keeps the encoder's delay
        assert begin < 0.005
        assert end == pytest.approx(0.5 - late, abs=0.004)


def test_29_97_and_variable_rates_keep_their_timestamps(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4", fps=NTSC, frames=60)
    clip = cut_clip(video.path, 1.0, 1.5, "exact", tmp_path / "c")
    inside = [float(t) for t in video.times if 1 < t < 1.5]
    assert [time for time, _ in videos.read(clip.path)] == pytest.approx([0, *(t - 1 for t in inside)], abs=1e-4)
    video = videos.make(tmp_path / "b.mkv", times=UNEVEN)
    clip = cut_clip(video.path, 0.5, 3.5, "exact", tmp_path / "d")
    assert [slate for _, slate in videos.read(clip.path)] == [2, 3, 4, 5, 6, 7, 8]
    expected = [0, 0.4, 0.5, 0.54, 2.0, 2.001, 2.833]
    assert [time for time, _ in videos.read(clip.path)] == pytest.approx(expected, abs=1e-4)
    assert probe_video(clip.path).duration_seconds == pytest.approx(3, abs=1e-4)


def test_a_clip_between_two_frames_shows_the_one_on_screen(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mkv", times=UNEVEN)
    clip = cut_clip(video.path, 4.5, 6.5, "exact", tmp_path / "c")
    assert [slate for _, slate in videos.read(clip.path)] == [10]
    assert probe_video(clip.path).duration_seconds == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_to_the_pixels(tmp_path: Path, degrees: int) -> None:
    video = videos.make(tmp_path / "a.mp4", rotation_degrees=degrees, size=(66, 50), pictures=[quarters(66, 50)] * 10)
    clip = cut_clip(video.path, 0, 0.4, "exact", tmp_path / "c")
    info = probe_video(clip.path)
    assert info.rotation_degrees == 0
    assert (info.width, info.height) == ((66, 50) if degrees == 180 else (50, 66))
    with av.open(str(clip.path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    expected = np.rot90(quarters(66, 50), k=-degrees // 90)
    for row, column in ((8, 8), (8, -8), (-8, 8), (-8, -8)):
        assert np.abs(picture[row, column] - expected[row, column]).max() < 16


def test_pixels_become_square_and_sizes_even(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4", aspect=Fraction(4, 3), size=(64, 48))
    info = probe_video(cut_clip(video.path, 0, 1, "exact", tmp_path / "c").path)
    assert (info.width, info.height) == (86, 48)
    video = videos.make(tmp_path / "b.mov", codec="mjpeg", size=(63, 47))
    info = probe_video(cut_clip(video.path, 0, 1, "exact", tmp_path / "d").path)
    assert (info.width, info.height) == (64, 48)


@pytest.mark.parametrize(
    ("name", "codec", "options", "suffix", "first"),
    [
        ("a.mp4", "h264", {"audio": True}, ".mp4", 10),
        ("a.mkv", "h264_b", {"audio": True}, ".mp4", 10),
        ("a.ts", "h264_b", {"first": Fraction(7, 2), "audio": True}, ".mp4", 10),
        ("a.mkv", "hevc", {}, ".mp4", 10),
        ("a.webm", "vp9", {"audio": True}, ".mp4", 10),
        ("a.webm", "vp8", {"audio": True}, ".mkv", 10),
        ("a.mov", "mjpeg", {}, ".mkv", 12),
        ("a.mp4", "h264_b", {"rotation_degrees": 90}, ".mp4", 10),
    ],
)
def test_a_copied_clip(tmp_path: Path, name: str, codec: str, options: dict, suffix: str, first: int) -> None:
    video = videos.make(tmp_path / name, codec=codec, frames=75, **options)
    clip = cut_clip(video.path, 0.5, 1.93, "copy", tmp_path / "clip")
    assert clip.suffix == suffix
    assert clip.start_seconds == pytest.approx(first / 25, abs=0.001)
    info = probe_video(clip.path)
    assert info.codec == probe_video(video.path).codec
    assert info.rotation_degrees == options.get("rotation_degrees", 0)
    assert info.duration_seconds == pytest.approx(clip.end_seconds - clip.start_seconds, abs=0.002)
    assert 1.93 <= clip.end_seconds < 2.2
    shown = [slate for _, slate in videos.read(clip.path)]
    assert shown[:30] == [i % videos.SLATES for i in range(first, first + 30)]
    if "audio" in options:
        assert loud(clip.path)[1] == pytest.approx(1 - clip.start_seconds, abs=0.03)


def test_what_cannot_be_copied_is_cut_exactly(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.avi", codec="mpeg4_b", frames=75)
    clip = cut_clip(video.path, 0.5, 1.5, "copy", tmp_path / "clip")
    assert (clip.start_seconds, clip.end_seconds, clip.suffix) == (0.5, 1.5, ".mp4")
    assert videos.read(clip.path)[0] == (0, 12)


@pytest.mark.parametrize(
    "span", [(1, 1), (1.5, 1), (-0.1, 1), (2.0, 3), (5, 6), (1, 2.6), (math.nan, 1), (0, math.nan), (0, math.inf)]
)
@pytest.mark.parametrize("mode", cutting.MODES)
def test_ranges_outside_the_video(tmp_path: Path, span: tuple[float, float], mode: str) -> None:
    video = videos.make(tmp_path / "a.mp4")
    with pytest.raises(InvalidTimeRange, match=r"'a b' is 2\.000 s long: \["):
        cut_clip(video.path, *span, mode, tmp_path / "clip", title="a b")
    assert not list(tmp_path.glob("clip*"))


def test_an_end_just_after_the_video_is_its_end(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4")
    clip = cut_clip(video.path, 1, 2.49, "exact", tmp_path / "clip")
    assert clip.end_seconds == 2.0
    assert probe_video(clip.path).duration_seconds == pytest.approx(1, abs=1e-4)


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'fast' is not a mode of cutting"):
        cut_clip(tmp_path / "x", 0, 1, "fast", tmp_path / "clip")


@pytest.mark.parametrize("mode", cutting.MODES)
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    video = videos.make(tmp_path / "a.mp4")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreFull):
        cut_clip(video.path, 0, 1, mode, tmp_path / "clip")
    assert not list(tmp_path.glob("clip*"))


def key(start: float) -> ClipKey:
    return ClipKey("a" * 64, start, start + 1, "exact")


def maker(calls: list[Path], size: int = 100):
    def make(destination: Path) -> ClipFile:
        calls.append(destination)
        path = destination.with_name(destination.name + ".mp4")
        path.write_bytes(bytes(range(size)))
        return ClipFile(0.5, 1.5, path)

    return make


def test_the_cache_cuts_once_and_serves_chunks(tmp_path: Path) -> None:
    cache, calls = ClipCache(tmp_path / "clips", 1000), []
    clip, data = cache.read(key(0), 0, 60, maker(calls))
    assert data == bytes(range(60))
    assert (clip.size_bytes, clip.suffix, clip.start_seconds) == (100, ".mp4", 0.5)
    assert clip.sha256 == hashlib.sha256(bytes(range(100))).hexdigest()
    again, rest = ClipCache(tmp_path / "clips", 1000).read(key(0), 60, 60, maker(calls))
    assert (again, rest, len(calls)) == (clip, bytes(range(60, 100)), 1)
    assert cache.read(key(0), 500, 60, maker(calls))[1] == b""
    assert cache.read(key(0), 2**53, 60, maker(calls))[1] == b""


def test_the_cache_removes_the_least_recently_used_clip(tmp_path: Path) -> None:
    import os

    cache, calls = ClipCache(tmp_path / "clips", 250), []
    for age, start in enumerate((0, 1)):
        cache.read(key(start), 0, 1, maker(calls))
        os.utime(tmp_path / "clips" / f"{key(start).name}.mp4", (100 + age, 100 + age))
    cache.read(key(0), 0, 1, maker(calls))  # used again: now 1 is the oldest
    cache.read(key(2), 0, 1, maker(calls))
    assert len(calls) == 3
    names = {file.stem for file in (tmp_path / "clips").glob("*.mp4")}
    assert names == {key(0).name, key(2).name}
    cache.forget("a" * 64)
    assert list((tmp_path / "clips").iterdir()) == []


def test_the_cache_cuts_once_for_many_at_the_same_time(tmp_path: Path) -> None:
    cache, calls = ClipCache(tmp_path / "clips", 1000), []
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cache.read(key(0), 0, 100, maker(calls))[1], range(8)))
    assert answers == [bytes(range(100))] * 8
    assert len(calls) == 1


@pytest.mark.parametrize("suffix", [".json", ".mp4"])
@pytest.mark.parametrize("left", [b"", b"{}", b"null", b'{"start_seconds": 0.5, "end', b"\xff"])
def test_a_clip_torn_by_a_power_cut_is_cut_again(tmp_path: Path, suffix: str, left: bytes) -> None:
    cache, calls = ClipCache(tmp_path / "clips", 1000), []
    whole = cache.read(key(0), 0, 100, maker(calls))
    (tmp_path / "clips" / f"{key(0).name}{suffix}").write_bytes(left)
    assert cache.read(key(0), 0, 100, maker(calls)) == whole
    assert len(calls) == 2
    assert cache.read(key(0), 0, 100, maker(calls)) == whole
    assert len(calls) == 2


def test_a_clip_of_a_video_that_is_deleted_meanwhile_is_not_kept(tmp_path: Path) -> None:
    cache, videos_left = ClipCache(tmp_path / "clips", 1000), {"a" * 64}

    def make(destination: Path) -> ClipFile:
        videos_left.clear()
        cache.forget("a" * 64)
        return maker([])(destination)

    def check() -> None:
        if not videos_left:
            raise VideoNotFound("it was deleted")

    with pytest.raises(VideoNotFound):
        cache.read(key(0), 0, 100, make, check)
    assert list((tmp_path / "clips").iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_sound_that_ends_before_the_picture_is_followed_by_silence(tmp_path, name):
    codec = "vp9" if name.endswith("webm") else "h264"
    video = videos.make(tmp_path / name, frames=100, codec=codec, audio=True, audio_seconds=1.9)
    clip = cut_clip(video.path, 0.6, 4.0, "exact", tmp_path / "clip")
    assert [number for _, number in videos.read(clip.path)] == [i % videos.SLATES for i in range(15, 100)]
    first, last = loud(clip.path)
    assert first < 0.05 and last == pytest.approx(0.4, abs=2 * ONE_AAC_FRAME)
    assert samples_of(clip.path).shape[1] / videos.AUDIO_RATE == pytest.approx(3.4, abs=2 * ONE_AAC_FRAME)


def test_a_range_shorter_than_any_clock_can_measure_is_refused(tmp_path):
    video = videos.make(tmp_path / "a.mp4", frames=10).path
    with pytest.raises(InvalidTimeRange):
        cut_clip(video, 0.0, 5e-324, "exact", tmp_path / "clip")


@pytest.mark.shows("A size that changes in mid-video", "fitted, never stretched")
@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
@pytest.mark.parametrize(("second", "inside"), [((128, 48), (64, 24)), ((64, 96), (32, 48)), ((128, 96), (64, 48))])
def test_a_size_that_changes_is_fitted(tmp_path: Path, name: str, second: tuple[int, int], inside) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=25, options={"qp": "4", "bf": "0"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for place, size in enumerate(((64, 48), second)):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *size, "yuv420p", Fraction(1, 25)
            encoder.options = {"qp": "4", "bf": "0"}
            white = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 255, np.uint8), "rgb24")
            for n in range(25):
                white.pts, white.time_base = 25 * place + n, Fraction(1, 25)
                for packet in [*encoder.encode(white), *(encoder.encode(None) if n == 24 else [])]:
                    packet.stream, packet.time_base = track, Fraction(1, 25)
                    video.mux(packet)
    clip = cut_clip(path, 0.5, 1.5, "exact", tmp_path / "clip")
    with av.open(str(clip.path)) as made:
        frames = [frame.to_ndarray(format="rgb24")[..., 0] > 128 for frame in made.decode(video=0)]
    assert {frame.shape for frame in frames} == {(48, 64)}
    shown = [(int(frame.any(axis=0).sum()), int(frame.any(axis=1).sum())) for frame in frames]
    assert shown[:12] == [(64, 48)] * 12
    assert shown[13:] == [inside] * 13


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
@pytest.mark.parametrize("fps", [NTSC, 2 * NTSC])
def test_an_edge_at_a_frame_is_right_where_a_file_rounds_its_times(tmp_path: Path, name: str, fps: Fraction) -> None:
    """A frame that is stored up to half a millisecond late began at the edge all the same."""
    video = videos.make(tmp_path / name, fps=fps, frames=60)
    for first in range(10, 20):
        clip = cut_clip(video.path, float(first / fps), float((first + 30) / fps), "exact", tmp_path / "clip")
        assert [slate for _, slate in videos.read(clip.path)] == [n % videos.SLATES for n in range(first, first + 30)]
