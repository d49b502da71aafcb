"""The sample videos: what they show and when."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.spans import sample_frames
from benchmarks.synthetic.sample_moments import MOMENTS
from clipseek.api.errors import SamplesUnavailable
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.media import sample_videos


def test_the_videos_show_what_the_moments_say(tmp_path: Path) -> None:
    videos = sample_videos.build(tmp_path / "samples")
    assert [video.name for video in videos] == ["bikes.mp4", "bigbuckbunny.mp4", "photographs.mp4"]
    lengths = {video.name: probe_video(video).duration_seconds for video in videos}
    assert lengths["photographs.mp4"] == 24.0
    for moment in MOMENTS:
        assert 0 <= moment.start_seconds < moment.end_seconds <= lengths[moment.video] + 0.5
    moments = [m for m in MOMENTS if m.video == "photographs.mp4"]
    for moment, photograph in zip(moments, sample_videos.PHOTOGRAPHS, strict=True):
        with Image.open(sample_videos._find_shipped_file(photograph.package, photograph.file)) as image:
            truth = np.asarray(ImageOps.fit(image.convert("RGB"), sample_videos.SIZE).resize((64, 48))).astype(int)
        for begin, end in ((moment.start_seconds, moment.start_seconds + 0.04), (moment.end_seconds - 0.04, 99)):
            frame = next(sample_frames(videos[2], begin, end, 25, PictureShape(64, 48)))
            assert np.abs(frame.picture - truth).mean() < 8


def test_a_second_build_changes_nothing(tmp_path: Path) -> None:
    before = [(video, video.stat().st_mtime_ns) for video in sample_videos.build(tmp_path)]
    assert [(video, video.stat().st_mtime_ns) for video in sample_videos.build(tmp_path)] == before


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SamplesUnavailable, match="pip install scikit-image scikit-learn"):
        sample_videos.build(tmp_path)


def test_two_processes_that_build_at_once_do_not_write_into_each_others_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode_slowly(_: object, draft: Path) -> None:
        with draft.open("wb", buffering=0) as file:
            monkeypatch.setattr(sample_videos, "_encode", lambda _, other: other.write_bytes(b"whole"))
            other = sample_videos.build(tmp_path)[-1]
            file.write(b"torn")
            assert other.read_bytes() == b"whole"

    monkeypatch.setattr(sample_videos, "_encode", encode_slowly)
    sample_videos.build(tmp_path)
