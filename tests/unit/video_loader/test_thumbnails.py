"""Thumbnails: the right picture, upright, of the right size."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidTimeRange
from executors.video_loader.clips.thumbnails import make_thumbnail


@pytest.mark.parametrize(("at", "index"), [(0, 0), (0.039, 0), (0.04, 1), (0.5, 12), (1.96, 49), (2.0, 49), (2.3, 49)])
def test_the_frame_on_screen(tmp_path: Path, at: float, index: int) -> None:
    video = videos.make(tmp_path / "a.mp4", codec="h264_b", first=Fraction(7, 2))
    found = make_thumbnail(video.path, at, 64)
    picture = np.asarray(Image.open(io.BytesIO(found.jpeg)))
    assert videos.read_slate(picture) == index % videos.SLATES
    assert found.pts_seconds == pytest.approx(index / 25, abs=1e-6)
    assert picture.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("options", "width", "size"),
    [({}, 320, (320, 240)), ({"rotation_degrees": 90}, 96, (96, 128)), ({}, 1, (16, 12)), ({}, 9999, (1920, 1440))],
)
def test_size(tmp_path: Path, options: dict, width: int, size: tuple[int, int]) -> None:
    video = videos.make(tmp_path / "a.mp4", frames=2, **options)
    assert Image.open(io.BytesIO(make_thumbnail(video.path, 0, width).jpeg)).size == size


@pytest.mark.parametrize("at", [-0.1, 2.6, 100, float("nan"), float("inf")])
def test_times_outside(tmp_path: Path, at: float) -> None:
    video = videos.make(tmp_path / "a.mp4")
    with pytest.raises(InvalidTimeRange, match=r"is not a time in 'a\.mp4'"):
        make_thumbnail(video.path, at, 64)
