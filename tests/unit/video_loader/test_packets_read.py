"""Probing and cutting read a few seconds of a long video, never all of it: the packets are counted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic import videos
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.decode import packets
from executors.video_loader.decode.probe import TAIL_SECONDS, probe_video

FPS, SECONDS = 25, 60
AUDIO_RATE = 48  # packets a second
NAMES = ["a.mkv", "a.mp4"]


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many packets were read so far."""
    read = [0]
    demux = packets.demux

    def counted(*args: object) -> Iterator[object]:
        for packet in demux(*args):
            read[0] += 1
            yield packet

    monkeypatch.setattr(packets, "demux", counted)
    return lambda: read[0]


@pytest.fixture(scope="module")
def long_videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("long")
    return {name: videos.make(folder / name, frames=FPS * SECONDS, fps=FPS, gop=FPS, audio=True).path for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_reads_the_end_of_a_video(long_videos, count, name):
    assert probe_video(long_videos[name]).duration_seconds == pytest.approx(SECONDS, abs=0.1)
    assert FPS <= count() <= FPS * (TAIL_SECONDS + 2)


@pytest.mark.parametrize("mode", ["exact", "copy"])
@pytest.mark.parametrize("name", NAMES)
def test_a_cut_reads_little_more_than_its_range(long_videos, count, tmp_path, name, mode):
    cut_clip(long_videos[name], 30.0, 32.0, mode, tmp_path / "clip")
    assert FPS * 2 <= count() <= FPS * (TAIL_SECONDS + 2) + FPS * (2 + 2) + AUDIO_RATE * (2 + 2)  # end, pictures, sound
