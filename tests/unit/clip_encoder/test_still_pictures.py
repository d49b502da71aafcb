"""Still pictures: encoded once, whatever the coding noise; anything that changes is encoded again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from executors.clip_encoder.run import still_pictures
from executors.clip_encoder.run.still_pictures import StillPictures

SIDE = 104


class Counting:
    """An encoder whose vector is the picture's own mean colours, and that knows how many it made."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.seen += len(pictures)
        return pictures.mean(axis=(1, 2), dtype=np.float32)


def scene(seed: int) -> np.ndarray:
    """A picture of large coloured fields."""
    fields = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), np.uint8)
    return fields.repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1)


def grainy(picture: np.ndarray, count: int, sigma: float = 1.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, (count, *picture.shape))
    return np.clip(picture + noise.round(), 0, 255).astype(np.uint8)


@pytest.fixture
def encode() -> Counting:
    return Counting()


def test_what_stands_still_is_encoded_once_over_many_spans(encode):
    still = StillPictures(encode)
    first = still.encode("video", grainy(scene(1), 30))
    assert first.encoded == 1
    np.testing.assert_array_equal(first.vectors, np.repeat(first.vectors[:1], 30, axis=0))
    later = [still.encode("video", grainy(scene(1), 30, seed=seed)) for seed in range(1, 5)]
    assert [found.encoded for found in later] == [0] * 4
    assert encode.seen == 1
    assert all((found.vectors == first.vectors).all() for found in later)


def test_vectors_stay_in_the_order_of_their_pictures(encode):
    still = StillPictures(encode)
    order = [1, 2, 2, 1, 3, 1, 2]
    found = still.encode("video", np.stack([scene(seed) for seed in order]))
    assert found.encoded == 3
    np.testing.assert_allclose(found.vectors, [scene(seed).mean(axis=(0, 1)) for seed in order], rtol=1e-5)
    again = still.encode("video", np.stack([scene(seed) for seed in (3, 4, 1)]))
    assert again.encoded == 1
    np.testing.assert_allclose(again.vectors, [scene(seed).mean(axis=(0, 1)) for seed in (3, 4, 1)], rtol=1e-5)


@pytest.mark.parametrize("place", [(0, 0), (50, 33), (98, 98)])
def test_a_small_thing_that_appears_is_a_change(encode, place):
    other = scene(1).copy()
    row, column = place
    other[row : row + 6, column : column + 6] += 30  # a third of a percent of the picture
    assert StillPictures(encode).encode("video", np.stack([scene(1), other])).encoded == 2


def test_a_slow_change_does_not_creep_through(encode):
    darker = np.stack([scene(1) - np.uint8(step) for step in range(12)])
    found = StillPictures(encode).encode("video", darker)
    assert found.encoded == 6
    truth = darker.mean(axis=(1, 2))
    assert np.abs(found.vectors - truth).max() <= still_pictures.MOST_MEAN_DIFFERENCE


def test_strong_noise_is_a_change(encode):
    assert StillPictures(encode).encode("video", grainy(scene(1), 5, sigma=20)).encoded == 5


def test_videos_and_sizes_are_kept_apart(encode):
    still = StillPictures(encode)
    assert still.encode("one", scene(1)[np.newaxis]).encoded == 1
    assert still.encode("two", scene(1)[np.newaxis]).encoded == 1
    assert still.encode("one", scene(1)[np.newaxis, ::2, ::2]).encoded == 1
    assert still.encode("one", scene(1)[np.newaxis]).encoded == 0


def test_no_pictures(encode):
    found = StillPictures(encode).encode("video", np.empty((0, 0, 0, 3), np.uint8))
    assert (found.encoded, len(found.vectors), encode.seen) == (0, 0, 0)


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(encode):
    still = StillPictures(encode)
    for seed in range(still_pictures.PICTURES_PER_VIDEO + 1):
        still.encode("video", scene(seed)[np.newaxis])
        still.encode("video", scene(0)[np.newaxis])  # used all the time
    assert still.encode("video", scene(0)[np.newaxis]).encoded == 0
    assert still.encode("video", scene(1)[np.newaxis]).encoded == 1
    for number in range(still_pictures.VIDEOS):
        still.encode(f"video {number}", scene(0)[np.newaxis])
    assert still.encode("video", scene(0)[np.newaxis]).encoded == 1
    assert {len(kept) for kept in still._videos.values()} == {1}
    assert len(still._videos) == still_pictures.VIDEOS


def test_threads_get_their_own_vectors(encode):
    still = StillPictures(encode)

    def work(seed: int) -> bool:
        found = still.encode("video", np.stack([scene(seed), scene(seed)]))
        return bool(np.allclose(found.vectors, scene(seed).mean(axis=(0, 1)), rtol=1e-5))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, [seed % 5 for seed in range(200)]))
