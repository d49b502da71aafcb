"""The sample videos: what they show and when, and that anybody may have them."""

import re
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.spans import sample_frames
from benchmarks.synthetic.sample_moments import (
    MOMENTS,
    SECONDS_PER_STILL,
    STILL_MOMENTS,
    STILLS,
    make_stills_video,
    read_still,
)
from clipseek.api.errors import NoVideosFound
from clipseek.api.limits import SEEN
from clipseek.cli.commands.demo import KNOWN_ANSWERS
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.media import sample_videos
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut

VIDEOS = {video.name: video for video in sample_videos.list_sample_videos()}
LENGTHS = {name: probe_video(video).duration_seconds for name, video in VIDEOS.items()}


def find_cuts(video: Path, length: float) -> list[float]:
    reader = VideoReader(video, 1.0, PictureShape(64, 48))
    try:
        return [item.pts_seconds for item in reader.read(0.0, length + 1) if isinstance(item, Cut)]
    finally:
        reader.close()


def test_the_videos_are_few_small_and_short() -> None:
    assert list(VIDEOS) == [
        *("fantasy-figure.mp4", "nature.mp4", "old-film.mp4", "silent-film.mp4"),
        *("slides.mp4", "space-telescope.mp4", "toys.mp4"),
    ]
    assert sum(video.stat().st_size for video in VIDEOS.values()) < 6_000_000
    assert all(5 < length <= 20 for length in LENGTHS.values())
    assert (LENGTHS["nature.mp4"], LENGTHS["toys.mp4"]) == (8.0, 20.0)


def test_an_install_without_them_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(sample_videos, "FOLDER", tmp_path / "gone")
    with pytest.raises(NoVideosFound, match="This server has no sample videos"):
        sample_videos.list_sample_videos()


def test_the_notice_says_of_each_video_what_it_is_and_that_it_is_free() -> None:
    notice = (sample_videos.FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\S+\.mp4) \|.*\| (CC0 1\.0|public domain[^|]*) \|$", notice, re.MULTILINE))
    assert set(rows) == set(VIDEOS) == {file.name for file in sample_videos.FOLDER.iterdir()} - {"NOTICE.md"}


@pytest.mark.parametrize("name", VIDEOS)
def test_every_browser_can_play_them_at_once(name: str) -> None:
    video = VIDEOS[name]
    with av.open(str(video)) as container:
        [stream] = container.streams.video
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.width <= 640
        sound = [stream.codec_context.name for stream in container.streams.audio]
        assert sound == ["aac"] * (name in ("old-film.mp4", "silent-film.mp4", "space-telescope.mp4"))
        assert len(container.streams) == 1 + len(sound)
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
    data = video.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("name", ["nature.mp4", "toys.mp4"])
def test_the_cuts_are_where_the_moments_say(name: str) -> None:
    moments = [moment for moment in MOMENTS if moment.video == name]
    assert find_cuts(VIDEOS[name], LENGTHS[name]) == [moment.start_seconds for moment in moments[1:]]
    assert moments[-1].end_seconds == LENGTHS[name]


def test_moments_and_known_answers_lie_in_their_videos() -> None:
    for moment in MOMENTS:
        assert 0 <= moment.start_seconds < moment.end_seconds <= LENGTHS[moment.video]
    moments = {(moment.video, moment.start_seconds, moment.end_seconds) for moment in MOMENTS}
    seen = [known for known in KNOWN_ANSWERS if known.reason == SEEN]
    assert {(known.title, known.start_seconds, known.end_seconds) for known in seen} <= moments
    assert all(known.end_seconds <= LENGTHS[known.title] for known in KNOWN_ANSWERS)


def test_the_video_of_stills_shows_each_from_cut_to_cut(tmp_path: Path) -> None:
    video = make_stills_video(tmp_path / "stills.mp4")
    assert probe_video(video).duration_seconds == len(STILLS) * SECONDS_PER_STILL
    for moment in STILL_MOMENTS:
        truth = PictureShape(64, 36)
        for begin, end in ((moment.start_seconds, moment.start_seconds + 0.04), (moment.end_seconds - 0.04, 99)):
            frame = next(sample_frames(video, begin, end, 25, truth))
            still = read_still(moment.seen).reshape(36, 10, 64, 10, 3).mean(axis=(1, 3))
            assert np.abs(frame.picture - still).mean() < 8
    assert find_cuts(video, 24.0) == [moment.start_seconds for moment in STILL_MOMENTS[1:]]
