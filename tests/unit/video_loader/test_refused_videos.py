"""The loader: what it refuses leaves nothing behind, in words that people read."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docarray import DocList

from benchmarks.synthetic import videos
from clipseek.api.documents import Video
from clipseek.api.errors import LimitExceeded
from clipseek.config.settings import Settings
from executors.flow.callers import Caller
from executors.video_loader.executor import VideoLoader

CALLER = Caller("anyone")


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[VideoLoader]:
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    loader = VideoLoader(settings, runtime_args={"name": "video_loader"})
    yield loader
    loader.close()


def ask(loader: VideoLoader, video_id: str, **more: float) -> Video:
    (video,) = asyncio.run(loader.probe(DocList[Video]([Video(video_id=video_id, **more)]), caller=CALLER))
    return video


@pytest.mark.parametrize(
    ("limits", "options", "words"),
    [
        ({"max_video_hours": 1 / 3600}, {}, "The length of 'a.mp4', 0:02 hours, is above the server's limit"),
        ({"max_frame_megapixels": 0.001}, {}, "The picture of 'a.mp4'"),
        ({"max_video_frames": 30}, {"frames_per_second": 25.0}, "The count of frames of 'a.mp4', 50"),
        ({"max_video_frames": 1}, {}, "The count of frames of 'a.mp4', 2"),
    ],
)
def test_what_a_limit_refuses_leaves_nothing(loader, tmp_path, limits, options, words):
    loader.settings = replace(loader.settings, **limits)
    store = loader.store(CALLER.library)
    record = store.add_file(videos.make(tmp_path / "a.mp4").path)
    with pytest.raises(LimitExceeded, match=words):
        ask(loader, record.video_id, **options)
    assert not [file for file in store.root.rglob("*") if record.video_id in file.name]
    assert not store.is_known(record.video_id)


def test_a_video_that_was_accepted_stays_when_a_limit_is_lowered(loader, tmp_path):
    store = loader.store(CALLER.library)
    record = store.add_file(videos.make(tmp_path / "a.mp4").path)
    assert ask(loader, record.video_id).duration_seconds == pytest.approx(2.0)
    loader._info.cache_clear()
    loader.settings = replace(loader.settings, max_video_hours=1 / 3600)
    with pytest.raises(LimitExceeded):
        ask(loader, record.video_id)
    assert store.path(record.video_id).exists()


def test_two_days_are_allowed():
    assert Settings(home=Path(), cache=Path()).max_video_hours == 48
