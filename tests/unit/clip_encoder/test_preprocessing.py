from dataclasses import replace

import numpy as np
import pytest
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from clipseek.api.errors import ModelError
from clipseek.api.picture_fit import size_around, size_inside
from executors.clip_encoder.model.picture_format import DEFAULT_MEAN, PictureFormat, Preprocessing
from executors.clip_encoder.run.preprocessing import prepare
from tests.pictures import read_photograph

CONFIG = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic", "resize_mode": "squash"}


def photograph() -> np.ndarray:
    return read_photograph("coffee")  # 400 x 600


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [32, 224, 450])
def test_squashing_is_what_open_clips_own_transform_does(size, interpolation):
    config = CONFIG | {"interpolation": interpolation}
    expected = image_transform_v2(PreprocessCfg(size=size, **config), is_train=False)(Image.fromarray(photograph()))
    ours = prepare(photograph()[None], Preprocessing.from_config(size, config))[0]
    grey_level = 1 / 255 / 0.2  # one step of 8 bits, divided by the smallest std
    difference = np.abs(ours - expected.numpy())
    assert difference.max() <= 2.01 * grey_level  # each of the two directions rounds to 8 bits
    assert difference.mean() <= 0.01 * grey_level


def test_a_picture_of_the_models_size_is_only_normalised():
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    ours = prepare(picture, Preprocessing.from_config(32, CONFIG))[0].transpose(1, 2, 0)
    np.testing.assert_allclose(ours, (picture[0] / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4], atol=1e-5)


def test_padding_shows_the_whole_picture_in_the_middle_of_the_mean_colour():
    preprocessing = Preprocessing.from_config(40, CONFIG | {"resize_mode": "shortest"})
    wide = np.full((1, 100, 200, 3), 255, np.uint8)
    values = prepare(wide, preprocessing)[0]
    assert preprocessing.picture_format == PictureFormat(40, 40, "pad", (102, 128, 153))
    white = (1 - np.array([0.4, 0.5, 0.6])) / [0.2, 0.3, 0.4]
    np.testing.assert_allclose(values[:, 10:30], np.broadcast_to(white.reshape(3, 1, 1), (3, 20, 40)), rtol=1e-5)
    assert np.abs(values[:, :10]).max() < 0.01
    assert np.abs(values[:, 30:]).max() < 0.01


def test_cropping_is_what_open_clips_own_transform_does():
    config = CONFIG | {"resize_mode": "shortest"}
    expected = image_transform_v2(PreprocessCfg(size=224, **config), is_train=False)(Image.fromarray(photograph()))
    preprocessing = replace(Preprocessing.from_config(224, config), fit="crop")
    assert preprocessing.picture_format == PictureFormat(224, 224, "crop", (0, 0, 0))
    difference = np.abs(prepare(photograph()[None], preprocessing)[0] - expected.numpy())
    assert difference.max() <= 2.01 / 255 / 0.2 and difference.mean() <= 0.01 / 255 / 0.2


def test_a_strip_of_a_few_lines_is_cropped_within_the_memory():
    assert size_around((40_000, 2), (224, 224)) == (896, 224) and size_around((2, 40_000), (224, 224)) == (224, 896)
    assert size_around((600, 400), (224, 224)) == (336, 224) and size_inside((600, 400), (224, 224)) == (224, 149)
    strip = np.zeros((1, 2, 40_000, 3), np.uint8)
    assert prepare(strip, replace(Preprocessing.from_config(224, CONFIG), fit="crop")).shape == (1, 3, 224, 224)


def test_the_fit_is_told_with_that_of_the_training():
    wide = Preprocessing.from_config(224, CONFIG | {"resize_mode": "shortest"})
    assert wide.describe() == "224x224, pad (trained with crop)"
    assert replace(wide, fit="crop").describe() == "224x224, crop"
    assert replace(wide, fit="squash").describe() == "224x224, squash (trained with crop)"


def test_padding_a_model_trained_with_padding_takes_its_own_colour():
    config = CONFIG | {"resize_mode": "longest", "fill_color": 7}
    assert Preprocessing.from_config(40, config).picture_format == PictureFormat(40, 40, "pad", (7, 7, 7))


def test_a_model_that_says_nothing_gets_clips_own_values_and_size_is_height_then_width():
    preprocessing = Preprocessing.from_config([20, 30], {})
    assert (preprocessing.height, preprocessing.width) == (20, 30)
    assert preprocessing.mean == DEFAULT_MEAN
    assert preprocessing.resize_mode == "shortest"
    assert prepare(np.zeros((2, 9, 9, 3), np.uint8), preprocessing).shape == (2, 3, 20, 30)


@pytest.mark.parametrize("config", [{"mean": [1, 2]}, {"std": "wide"}, {"resize_mode": "twist"}, {"std": [0, 1, 1]}])
def test_nonsense_is_refused(config):
    with pytest.raises(ModelError, match="preprocessing"):
        Preprocessing.from_config(32, config)
