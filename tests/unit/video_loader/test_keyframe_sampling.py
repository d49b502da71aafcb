"""Sampling by keyframes: the first one of each step, at its true time, and nothing else is decoded."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.spans import read_span
from benchmarks.synthetic import videos
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.source import Needs, VideoSource, open_video
from executors.video_loader.sample.span_reader import SampledFrame

SHAPE = PictureShape(64, 48)


def sampled(path: Path, rate: float, start: float = 0, end: float = 999) -> list[SampledFrame]:
    return list(read_span(path, start, end, rate, SHAPE, "", "keyframes"))


def keyframe_times(path: Path) -> list[float]:
    """The keyframes, from a decoder that decodes everything."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float((f.pts - frames[0].pts) * f.time_base) for f in frames if f.key_frame]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [*product(["mp4", "mkv", "ts"], ["h264", "h264_b", "mpeg4"]), *product(["avi"], ["h264", "mpeg4"])],
)
@pytest.mark.parametrize("gop", [5, 60])
def test_the_first_keyframe_of_each_step_is_sampled(tmp_path: Path, suffix: str, codec: str, gop: int) -> None:
    video = videos.make(tmp_path / f"a.{suffix}", frames=200, fps=25, gop=gop, codec=codec)
    keys = keyframe_times(video.path)
    first = {int(time): time for time in reversed(keys)}
    found = sampled(video.path, 1)
    assert [frame.pts_seconds for frame in found] == sorted(first.values())
    assert len(found) >= 200 // max(25, gop)
    assert [videos.read_slate(frame.picture) for frame in found] == [
        round(f.pts_seconds * 25) % videos.SLATES for f in found
    ]


@pytest.mark.parametrize(("gop", "rate"), [(7, 1), (25, 1), (40, 0.5), (3, 4)])
def test_spans_give_what_a_run_through_the_video_gives(tmp_path: Path, gop: int, rate: float) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=250, fps=25, gop=gop, codec="h264_b")
    whole = [frame.pts_seconds for frame in sampled(video.path, rate)]
    for length in (0.6, 1.0, 3.7):
        starts = np.arange(0, 10, length)
        parts = [sampled(video.path, rate, start, start + length) for start in starts]
        assert [frame.pts_seconds for part in parts for frame in part] == whole


def test_other_frames_are_not_decoded(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=250, fps=25, gop=50, codec="h264")
    with open_video(video.path, needs=Needs.KEYFRAMES) as source:
        decoded = list(source.frames(Fraction(2)))
        assert [float(timed.time) for timed in decoded] == [2, 4, 6, 8]
        assert all(timed.frame.key_frame for timed in decoded)


@pytest.mark.parametrize(("start", "end"), [(0, 10), (2, 10), (2.4, 2.6)])
def test_the_first_keyframe_is_sampled_though_it_is_not_the_first_frame(tmp_path, monkeypatch, start, end):
    video = videos.make(tmp_path / "a.mp4", frames=100, fps=25, gop=20, codec="h264")

    whole = VideoSource.frames

    def late(_source, _from_seconds=Fraction(0)):
        with open_video(video.path, needs=Needs.KEYFRAMES) as source:
            yield from (timed for timed in whole(source) if timed.time >= Fraction("2.4"))

    monkeypatch.setattr(VideoSource, "frames", late)
    assert sampled(video.path, 1, start, end)[0].pts_seconds == 2.4
