"""Turns uint8 pictures into the tensor that an image tower reads."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from numpy.typing import NDArray

from clipseek.api.errors import InvalidRequest
from clipseek.api.picture_fit import size_around, size_inside
from executors.clip_encoder.model.picture_format import Preprocessing

Pictures = NDArray[np.uint8]


def to_tensor(pictures: Pictures, preprocessing: Preprocessing, device: str = "cpu") -> torch.Tensor:
    """Fit pictures to the model's size and normalise them.

    Args:
        pictures: uint8 [N, H, W, 3], RGB, all of one size.
        device: "cpu" or "cuda", where to put the result.

    Returns: float32 [N, 3, height, width], on a GPU in channels-last layout, which half precision needs.
    Raises: InvalidRequest: the array has another type or shape.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape[1:3]:
        raise InvalidRequest(f"pictures must be uint8 [N, H, W, 3], but are {pictures.dtype} {list(pictures.shape)}")
    planes = torch.from_numpy(np.require(pictures, requirements=["C", "W"])).permute(0, 3, 1, 2)
    fitted = _fit(planes, preprocessing)
    if device == "cuda":  # normalise there: bytes travel faster than floats
        fitted = fitted.pin_memory().to(device, non_blocking=True)
    rgb = (preprocessing.mean, preprocessing.std)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in rgb)
    return (fitted.float() / 255 - mean) / std


def _fit(planes: torch.Tensor, wanted: Preprocessing) -> torch.Tensor:
    """Squash, pad or crop uint8 [N, 3, H, W] to uint8 [N, 3, height, width]."""
    height, width = planes.shape[2:]
    if (height, width) == (wanted.height, wanted.width):
        return planes
    if wanted.picture_format.fit == "squash":
        return _resize(planes, wanted.height, wanted.width, wanted.interpolation)
    return _pad(planes, wanted) if wanted.picture_format.fit == "pad" else _crop(planes, wanted)


def _pad(planes: torch.Tensor, wanted: Preprocessing) -> torch.Tensor:
    height, width = planes.shape[2:]
    inner_width, inner_height = size_inside((width, height), (wanted.width, wanted.height))
    left, top = (wanted.width - inner_width) // 2, (wanted.height - inner_height) // 2
    canvas = torch.tensor(wanted.picture_format.fill, dtype=torch.uint8).view(1, 3, 1, 1)
    canvas = canvas.repeat(len(planes), 1, wanted.height, wanted.width)
    inner = _resize(planes, inner_height, inner_width, wanted.interpolation)
    canvas[:, :, top : top + inner_height, left : left + inner_width] = inner
    return canvas


def _crop(planes: torch.Tensor, wanted: Preprocessing) -> torch.Tensor:
    height, width = planes.shape[2:]
    outer_width, outer_height = size_around((width, height), (wanted.width, wanted.height))
    left, top = (outer_width - wanted.width) // 2, (outer_height - wanted.height) // 2
    outer = _resize(planes, outer_height, outer_width, wanted.interpolation)
    return outer[:, :, top : top + wanted.height, left : left + wanted.width]


def _resize(planes: torch.Tensor, height: int, width: int, interpolation: str) -> torch.Tensor:
    # On uint8 this computes what Pillow does, in a tenth of the time.
    return F.interpolate(planes, size=(height, width), mode=interpolation, antialias=True, align_corners=False)
