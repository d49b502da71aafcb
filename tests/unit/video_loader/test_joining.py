"""Joined videos: the right pictures at the right times, in the first clip's size, with the clips' sound."""

import resource
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synthetic.videos import make, read
from clipseek.api.errors import InvalidTimeRange
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.join import RATE, ReelPiece, cut_and_join


def test_the_clips_follow_one_another_exactly(tmp_path):
    silent = make(tmp_path / "silent.mp4", frames=50).path
    loud = make(tmp_path / "loud.mp4", frames=100, fps=Fraction(30000, 1001), size=(96, 64), audio=True).path
    pieces = [ReelPiece(silent, 0.4, 0.8, "a"), ReelPiece(loud, 0.0, 1.001, "b"), ReelPiece(silent, 1.2, 1.4, "c")]
    video = cut_and_join(pieces, tmp_path / "video")
    assert video.path == tmp_path / "video.mp4"
    assert video.end_seconds == pytest.approx(1.601, abs=0.001)
    frames = read(video.path)
    assert [number for _, number in frames[:10]] == list(range(10, 20))
    assert [number for _, number in frames[10:40]] == [place % 27 for place in range(30)]
    assert [number for _, number in frames[40:]] == [place % 27 for place in range(30, 35)]
    assert frames[0][0] == 0.0
    assert frames[10][0] == pytest.approx(0.4, abs=0.001)
    assert frames[40][0] == pytest.approx(1.401, abs=0.001)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["loud.mp4", "silent.mp4", "video.mp4"]
    with av.open(str(video.path)) as opened:
        picture = next(opened.decode(video=0))
        assert (picture.width, picture.height) == (64, 48)
        opened.seek(0)
        sound = np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])

    def loudness(start, end):
        return float(np.abs(sound[round(start * RATE) : round(end * RATE)]).mean())

    assert loudness(0.0, 0.35) < 0.01 and loudness(0.45, 1.35) > 0.2 and loudness(1.45, 1.6) < 0.01


def test_without_any_sound_there_is_no_track_for_it(tmp_path):
    silent = make(tmp_path / "silent.mp4", frames=50).path
    video = cut_and_join([ReelPiece(silent, 0.0, 0.2, "a")], tmp_path / "video")
    with av.open(str(video.path)) as opened:
        assert not opened.streams.audio


def test_a_piece_outside_its_video_is_refused(tmp_path):
    silent = make(tmp_path / "silent.mp4", frames=50).path
    with pytest.raises(InvalidTimeRange):
        cut_and_join([ReelPiece(silent, 0.0, 0.2, "a"), ReelPiece(silent, 9.0, 9.5, "a")], tmp_path / "video")
    assert not (tmp_path / "video.mp4").exists()


def pictures_of(path):
    """The encoded pictures, as they are in the file."""
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(video=0) if packet.size]


@pytest.mark.parametrize("codec", ["h264", "h264_b_closed", "vp9"])
def test_clips_of_one_format_are_joined_as_they_are(tmp_path, codec):
    video = make(tmp_path / "video.mp4", frames=100, gop=10, codec=codec, audio=True).path
    ranges = [(2.0, 2.8), (0.4, 0.8), (2.0, 2.4)]
    clips = [cut_clip(video, *each, "copy", tmp_path / str(place)).path for place, each in enumerate(ranges)]
    joined = cut_and_join([ReelPiece(video, *each, "a") for each in ranges], tmp_path / "joined", "copy")
    assert set(pictures_of(joined.path)) <= set(pictures_of(video))
    expected, begin = [], 0.0
    for clip in clips:
        expected += [(begin + time, number) for time, number in read(clip)]
        begin = expected[-1][0] + 1 / 25
    frames = read(joined.path)
    assert [number for _, number in frames] == [number for _, number in expected]
    assert [time for time, _ in frames] == pytest.approx([time for time, _ in expected], abs=0.001)
    assert joined.end_seconds == pytest.approx(begin, abs=0.001)
    with av.open(str(joined.path)) as opened:
        sound = opened.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(
            joined.end_seconds, abs=0.2
        )  # a clip's last picture may last longer


@pytest.mark.parametrize("codec", ["h264_b", "hevc_b"])
def test_videos_of_open_gops_are_cut_exactly_anyway(tmp_path, codec):
    video = make(tmp_path / "video.mp4", frames=100, gop=10, codec=codec).path
    pieces = [ReelPiece(video, 2.0, 2.8, "a"), ReelPiece(video, 0.4, 0.8, "b")]
    assert read(cut_and_join(pieces, tmp_path / "fast", "copy").path) == read(
        cut_and_join(pieces, tmp_path / "exact").path
    )


@pytest.mark.parametrize("other", [{"size": (96, 64)}, {"rotation_degrees": 90}, {"audio": True}, {"codec": "mpeg4"}])
def test_clips_of_several_formats_are_cut_exactly_anyway(tmp_path, other):
    one = make(tmp_path / "one.mp4", frames=50).path
    two = make(tmp_path / "two.mp4", frames=50, **other).path
    pieces = [ReelPiece(one, 0.6, 0.8, "a"), ReelPiece(two, 0.6, 0.8, "b")]
    exact, fast = cut_and_join(pieces, tmp_path / "exact"), cut_and_join(pieces, tmp_path / "fast", "copy")
    assert read(fast.path) == read(exact.path)


def _peak_bytes(counts: list[int], video: Path, mode: str) -> list[int]:
    """The peak address space of this process after joining this many clips, with a limit on open files."""
    most_files = max(int(file.name) for file in Path("/proc/self/fd").iterdir()) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    peaks = []
    for count in counts:
        cut_and_join([ReelPiece(video, 0.4, 0.8, "a")] * count, video.with_name(f"joined-{count}"), mode)
        status = Path("/proc/self/status").read_text()
        peaks.append(1024 * int(status.partition("VmPeak:")[2].split()[0]))
    return peaks


@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_memory_and_open_files_do_not_grow_with_the_number_of_clips(tmp_path, mode):
    video = make(tmp_path / "video.mp4", frames=50).path
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        few, many = pool.submit(_peak_bytes, [3, 30], video, mode).result()
    assert many - few < 100_000_000  # each open decoder with its threads takes about 20 MB
