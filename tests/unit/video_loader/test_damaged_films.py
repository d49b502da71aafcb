"""Films that were damaged by chance and got through once: what they are told of, or what comes of them."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from clipseek.errors import UnreadableVideo
from executors.video_loader.cutting import cut
from executors.video_loader.joining import Part, cut_joined
from executors.video_loader.thumbnails import MAX_HEIGHT, thumbnail

DAMAGED = Path(__file__).parent / "damaged"


@pytest.fixture
def film(tmp_path, request) -> Path:
    return Path(shutil.copy(DAMAGED / request.param, tmp_path / request.param))


@pytest.mark.parametrize("film", ["late-track.nut"], indirect=True)
@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_a_track_that_begins_in_the_middle_is_named(film, mode):
    with pytest.raises(UnreadableVideo, match="a track begins in the middle of the file"):
        cut(film, 0.1, 0.4, mode, film.with_name("clip"))
    assert list(film.parent.iterdir()) == [film]


@pytest.mark.parametrize("film", ["tower.webm"], indirect=True)
def test_a_film_that_says_it_is_a_tower_has_a_thumbnail_all_the_same(film):
    made = thumbnail(film, 0.3, 160)
    picture = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (MAX_HEIGHT, 160, 3)


@pytest.mark.parametrize("film", ["no-pictures-in-a-copy.wmv"], indirect=True)
def test_a_copy_without_pictures_is_joined_exactly(film):
    made = cut_joined([Part(film, 0.0, 0.2, "film")] * 2, film.with_name("reel"), "copy")
    assert made.path.stat().st_size > 1000
