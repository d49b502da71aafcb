"""The loader: what it refuses leaves nothing behind, in words that people read."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import fsspec
import pytest
from docarray import DocList

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest, LimitExceeded, UnreadableVideo
from clipseek.config.settings import Settings
from clipseek.schema import Video
from executors.flow.callers import Caller
from executors.video_loader.executor import VideoLoader
from tests.unit.video_loader.object_stores import FakeObjects

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


@pytest.fixture
def loader_with_objects(tmp_path: Path) -> Iterator[VideoLoader]:
    """Its videos lie in an object store, the folder `shared`."""
    fsspec.register_implementation("fake", FakeObjects, clobber=True)
    FakeObjects.reset()
    (tmp_path / "shared").mkdir()
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", media=f"fake://{tmp_path}/shared")
    loader = VideoLoader(settings, runtime_args={"name": "video_loader"})
    yield loader
    loader.close()
    FakeObjects.reset()


@pytest.mark.parametrize("is_readable", [True, False])
@pytest.mark.shows("What a limit refuses", "leaves nothing, in object stores neither")
def test_what_is_refused_leaves_nothing_in_an_object_store(loader_with_objects, tmp_path, is_readable):
    loader = loader_with_objects
    loader.settings = replace(loader.settings, max_video_hours=1 / 3600)
    path = videos.make(tmp_path / "a.mp4").path
    if not is_readable:
        path.write_bytes(b"no video" * 1000)
    record = loader.store(CALLER.library).add_file(path)
    shared, cache = tmp_path / "shared", tmp_path / "cache"
    assert [file for file in shared.rglob("*") if record.video_id in file.name]
    with pytest.raises(LimitExceeded if is_readable else UnreadableVideo):
        ask(loader, record.video_id)
    assert not [file for file in [*shared.rglob("*"), *cache.rglob("*")] if record.video_id in file.name]
    assert not loader.store(CALLER.library).is_known(record.video_id)


@pytest.mark.parametrize(
    ("limits", "options", "words"),
    [
        ({"max_video_hours": 1 / 3600}, {}, "The length of 'a.mp4', 0:02 hours, is above the server's limit"),
        ({"max_frame_megapixels": 0.001}, {}, "The picture of 'a.mp4'"),
        ({"max_video_frames": 30}, {"frames_per_second": 25.0}, "The count of frames of 'a.mp4', 50"),
        ({"max_video_frames": 1}, {}, "The count of frames of 'a.mp4', 2"),
    ],
)
@pytest.mark.shows("What a limit refuses", "leaves nothing, in object stores neither")
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


def test_a_track_is_chosen_when_a_video_is_added(loader, tmp_path):
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as video:
        tracks = [(video.add_stream("libx264", rate=25), frames) for frames in (50, 75)]
        for track, _ in tracks:
            track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for track, frames in tracks:
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(videos.slate(number), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                video.mux(track.encode(frame))
            video.mux(track.encode(None))
    record = loader.store(CALLER.library).add_file(path)
    with pytest.raises(InvalidRequest, match=r"has no video track 9, but 2 video tracks"):
        ask(loader, record.video_id, stream=9)
    chosen = ask(loader, record.video_id, stream=2)
    assert (chosen.duration_seconds, chosen.stream) == (pytest.approx(3.0), 2)
    assert chosen.notes == [
        "The file has 2 video tracks (1: 64x48, 2: 64x48). Track 2 is used: --stream chooses another."
    ]
    assert ask(loader, record.video_id).duration_seconds == pytest.approx(3.0)  # it stays chosen
    with pytest.raises(InvalidRequest, match="Delete it, then index it with --stream 1"):
        ask(loader, record.video_id, stream=1)
