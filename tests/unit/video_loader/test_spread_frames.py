from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from benchmarks.synthetic.videos import make, make_scenes, scenes
from clipseek.api.errors import MediaMissing, NoFrames
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.workers.library_frames import spread_frames

SHAPE = PictureShape(64, 64)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("videos") / "scenes.mp4", 80)


def nearest(pictures):
    """The number of the scene that each picture resembles most."""
    known = scenes(80, 64).astype(float)
    return [int(np.abs(known - picture).mean(axis=(1, 2, 3)).argmin()) for picture in pictures]


def test_the_first_halves_calibrate_and_the_second_ones_check(video):
    first, second = spread_frames([nullcontext(video)], 40, SHAPE)
    assert nearest(first) == list(range(0, 40, 2))
    assert nearest(second) == list(range(40, 80, 2))


def test_of_many_videos_some_are_opened_for_at_least_two_frames_each(video):
    opened = []

    @contextmanager
    def opening(number):
        opened.append(number)
        yield video

    first, second = spread_frames([opening(number) for number in range(100)], 40, SHAPE)
    assert opened == list(range(0, 100, 5))
    assert nearest(first) == [0] * 20
    assert nearest(second) == [40] * 20


def test_moved_videos_and_blank_pictures_do_not_count(video, tmp_path):
    @contextmanager
    def moved():
        raise MediaMissing("gone")
        yield

    blank = make(tmp_path / "blank.mp4", frames=40, fps=1).path
    first, second = spread_frames([moved(), nullcontext(blank), nullcontext(video)], 120, SHAPE)
    assert nearest(first) + nearest(second) == list(range(0, 80, 2))
    with pytest.raises(NoFrames, match="1 videos gave 0 frames"):
        spread_frames([nullcontext(blank)], 40, SHAPE)
