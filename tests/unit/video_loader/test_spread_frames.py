from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from clipseek.errors import MediaMissing, NoFrames
from executors.video_loader.picture import PictureShape
from executors.video_loader.spread_frames import spread
from tests.films import make, make_scenes, scenes

SHAPE = PictureShape(64, 64)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("films") / "scenes.mp4", 80)


def nearest(pictures):
    """The number of the scene that each picture is most like."""
    known = scenes(80, 64).astype(float)
    return [int(np.abs(known - picture).mean(axis=(1, 2, 3)).argmin()) for picture in pictures]


def test_the_first_halves_calibrate_and_the_second_ones_check(film):
    first, second = spread([nullcontext(film)], 40, SHAPE)
    assert nearest(first) == list(range(0, 40, 2))
    assert nearest(second) == list(range(40, 80, 2))


def test_of_many_films_some_are_opened_and_of_each_two_frames_at_least(film):
    opened = []

    @contextmanager
    def opening(number):
        opened.append(number)
        yield film

    first, second = spread([opening(number) for number in range(100)], 40, SHAPE)
    assert opened == list(range(0, 100, 5))
    assert nearest(first) == [0] * 20
    assert nearest(second) == [40] * 20


def test_films_that_were_moved_and_pictures_with_nothing_to_see_do_not_count(film, tmp_path):
    @contextmanager
    def moved():
        raise MediaMissing("gone")
        yield

    blank = make(tmp_path / "blank.mp4", frames=40, fps=1).path
    first, second = spread([moved(), nullcontext(blank), nullcontext(film)], 120, SHAPE)
    assert nearest(first) + nearest(second) == list(range(0, 80, 2))
    with pytest.raises(NoFrames, match="1 films gave 0 frames"):
        spread([nullcontext(blank)], 40, SHAPE)
