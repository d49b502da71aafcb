"""More samples where the picture moves, and only there; blank frames are recognised."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spans import read_span
from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.sample.frame_picker import LEAST_MOTION, QUARTERS, FramePicker
from executors.video_loader.sample.span_reader import SampledFrame
from tests.unit.video_loader.test_shots import black, grain, make, noise, pan, still

SHAPE = PictureShape(32, 24)
NTSC = Fraction(30000, 1001)


def sampled(path: Path, rate: float, start: float = 0, end: float = 999, sampling: str = "adaptive") -> list[float]:
    found = read_span(path, start, end, rate, SHAPE, "", sampling)
    return [one.pts_seconds for one in found if isinstance(one, SampledFrame)]


def level(value: float) -> np.ndarray:
    return np.full((2, 2, 3), value, np.int16)


def taken(values: list[float], rate: int = 1, fps: int = 20, adaptive: bool = True) -> list[int]:
    """The numbers of the frames that become samples, for frames with these levels."""
    picker = FramePicker(Fraction(rate), adaptive)
    return [i for i, value in enumerate(values) if picker.picks(Fraction(i, fps), level(value))]


def test_a_still_picture_is_sampled_at_the_base_rate():
    assert taken([50] * 60) == [0, 20, 40]


def test_a_picture_that_moves_is_sampled_four_times_as_often():
    moving = [(i * 7) % 250 for i in range(40)]
    assert taken(moving) == list(range(0, 40, 20 // QUARTERS))
    assert taken(moving, adaptive=False) == [0, 20]


def test_a_change_is_sampled_once_and_only_if_it_is_large_enough():
    assert taken([50] * 7 + [50 + LEAST_MOTION] * 33) == [0, 10, 20]
    assert taken([50] * 7 + [50 + LEAST_MOTION - 1] * 33) == [0, 20]


def test_a_slow_change_is_sampled_when_it_has_added_up():
    assert taken(list(range(40))) == [0, 15, 20, 35]


def test_a_step_not_seen_from_its_beginning_gets_no_more_samples():
    moving = [(i * 7) % 250 for i in range(40)]
    picker = FramePicker(Fraction(1), adaptive=True)
    found = [i for i in range(3, 40) if picker.picks(Fraction(i, 20), level(moving[i]))]
    assert found == [20, 25, 30, 35]


def test_frames_further_apart_than_a_step():
    picker = FramePicker(Fraction(1), adaptive=True)
    assert [picker.picks(Fraction(t), level(t * 9)) for t in (0, 3, 7, 20)] == [True] * 4


@pytest.mark.parametrize(("fps", "gop", "rate"), [(25, 10, 1), (25, 250, 0.7), (NTSC, 37, 2), (12, 24, 0.1)])
def test_a_span_gives_the_same_as_a_run_through_the_video(tmp_path: Path, fps: Fraction, gop: int, rate: float) -> None:
    generator = np.random.default_rng(3)
    makers = (still, pan, grain, noise, lambda seed, count: pan(seed, count, pixels=12))
    pictures = [p for seed in range(14) for p in makers[generator.integers(5)](seed, int(generator.integers(5, 40)))]
    video = make(tmp_path / "a.mp4", pictures, fps=fps, gop=gop, codec="h264_b")
    whole = sampled(video.path, rate)
    even = sampled(video.path, rate, sampling="even")
    assert whole == sorted(set(whole))
    assert len(even) < len(whole) <= QUARTERS * len(even) + len(pictures) // 5
    picker = {int(t * rate) for t in even}
    assert {int(t * rate) for t in whole} == picker
    for length in (0.37, 3.0):
        starts = np.arange(0, float(video.duration), length)
        assert [time for start in starts for time in sampled(video.path, rate, start, start + length)] == whole


def test_a_video_that_moves_in_its_second_half(tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", still(1, 50) + pan(1, 50, pixels=4))
    times = sampled(video.path, 1)
    assert [time for time in times if time < 2] == [0, 1]
    assert [time for time in times if time >= 2] == [2, 2.28, 2.52, 2.76, 3, 3.28, 3.52, 3.76]


def test_an_unknown_sampling_is_refused(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=2)
    with pytest.raises(InvalidRequest, match="sampling is 'odd', but must be one of even, adaptive, keyframes"):
        sampled(video.path, 1, sampling="odd")


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_black_and_blank_frames_are_recognised(tmp_path: Path, codec: str) -> None:
    white = [np.full_like(black(1)[0], 255)] * 25
    pictures = still(1, 25) + black(25) + grain(2, 25) + white + still(3, 12)
    video = make(tmp_path / "a.mkv", pictures, codec=codec)
    frames = [one for one in read_span(video.path, 0, 99, 2, SHAPE) if isinstance(one, SampledFrame)]
    blank = [frame.pts_seconds for frame in frames if frame.is_blank]
    assert blank == [frame.pts_seconds for frame in frames if 1 <= frame.pts_seconds < 2 or 3 <= frame.pts_seconds < 4]
    assert len(blank) == 4
