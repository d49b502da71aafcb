"""Damaged videos that once caused unnamed errors, and their results now."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from clipseek.api.errors import UnreadableVideo
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.join import ReelPiece, cut_and_join
from executors.video_loader.clips.thumbnails import MAX_HEIGHT, make_thumbnail

DAMAGED = Path(__file__).parent / "damaged"


@pytest.fixture
def video(tmp_path, request) -> Path:
    return Path(shutil.copy(DAMAGED / request.param, tmp_path / request.param))


@pytest.mark.parametrize("video", ["late-track.nut"], indirect=True)
@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_a_track_that_begins_in_the_middle_is_reported(video, mode):
    with pytest.raises(UnreadableVideo, match="a track begins in the middle of the file"):
        cut_clip(video, 0.1, 0.4, mode, video.with_name("clip"))
    assert list(video.parent.iterdir()) == [video]


@pytest.mark.parametrize("video", ["tower.webm"], indirect=True)
def test_a_video_that_claims_to_be_a_tower_still_has_a_thumbnail(video):
    made = make_thumbnail(video, 0.3, 160)
    picture = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (MAX_HEIGHT, 160, 3)


@pytest.mark.parametrize("video", ["no-pictures-in-a-copy.wmv"], indirect=True)
def test_a_copy_without_pictures_is_joined_exactly(video):
    made = cut_and_join([ReelPiece(video, 0.0, 0.2, "video")] * 2, video.with_name("reel"), "copy")
    assert made.path.stat().st_size > 1000
