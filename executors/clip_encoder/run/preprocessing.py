"""Turns uint8 pictures into the array that an image half reads."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipseek.api.errors import InvalidRequest
from clipseek.api.picture_fit import size_around, size_inside
from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.spec import Pictures

_INTERPOLATION = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def prepare(pictures: Pictures, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Fit pictures to the model's size and normalise them; see `fit` and `normalise`."""
    return normalise(fit(pictures, preprocessing), preprocessing)


def fit(pictures: Pictures, wanted: Preprocessing) -> Pictures:
    """Squash, pad or crop pictures to the model's size.

    Args:
        pictures: uint8 [N, H, W, 3], RGB, all of one size.

    Returns: uint8 [N, height, width, 3].
    Raises: InvalidRequest: the array has another type or shape.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape[1:3]:
        raise InvalidRequest(f"pictures must be uint8 [N, H, W, 3], but are {pictures.dtype} {list(pictures.shape)}")
    if not len(pictures) or pictures.shape[1:3] == (wanted.height, wanted.width):
        return pictures.reshape(-1, wanted.height, wanted.width, 3)
    fit_one = _FITS[wanted.picture_format.fit]
    return np.stack([np.asarray(fit_one(Image.fromarray(picture), wanted)) for picture in pictures])


def normalise(pictures: Pictures, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Subtract the model's mean and divide by its deviation.

    Args:
        pictures: uint8 [N, height, width, 3].

    Returns: float32 [N, 3, height, width].
    """
    planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32)
    mean, std = (np.array(rgb, np.float32).reshape(3, 1, 1) for rgb in (preprocessing.mean, preprocessing.std))
    planes *= 1 / (255 * std)
    planes -= mean / std
    return planes


def _squash(picture: Image.Image, wanted: Preprocessing) -> Image.Image:
    return _resize(picture, (wanted.width, wanted.height), wanted)


def _pad(picture: Image.Image, wanted: Preprocessing) -> Image.Image:
    width, height = size_inside(picture.size, (wanted.width, wanted.height))
    canvas = Image.new("RGB", (wanted.width, wanted.height), wanted.picture_format.fill)
    corner = (wanted.width - width) // 2, (wanted.height - height) // 2
    canvas.paste(_resize(picture, (width, height), wanted), corner)
    return canvas


def _crop(picture: Image.Image, wanted: Preprocessing) -> Image.Image:
    width, height = size_around(picture.size, (wanted.width, wanted.height))
    left, top = (width - wanted.width) // 2, (height - wanted.height) // 2
    outer = _resize(picture, (width, height), wanted)
    return outer.crop((left, top, left + wanted.width, top + wanted.height))


def _resize(picture: Image.Image, size: tuple[int, int], wanted: Preprocessing) -> Image.Image:
    return picture.resize(size, _INTERPOLATION[wanted.interpolation])


_FITS: dict[str, Callable[[Image.Image, Preprocessing], Image.Image]] = {"squash": _squash, "pad": _pad, "crop": _crop}
