"""From uint8 pictures to what an image tower reads, by the model's own configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from numpy.typing import NDArray

from clipseek.api.errors import InvalidRequest, ModelError

Pictures = NDArray[np.uint8]
RESIZE_MODES = ("squash", "longest", "shortest")
# What open_clip assumes for a model that says nothing: the values of the first CLIP.
DEFAULT_MEAN = (0.48145466, 0.4578275, 0.40821073)
DEFAULT_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class PictureFormat:
    """The pictures a model wants to be sent: size in pixels, `fit` "squash" or "pad", RGB colour of the padding."""

    width: int
    height: int
    fit: str
    fill: tuple[int, int, int]


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its pictures: size in pixels, mean and std of RGB in [0, 1], interpolation and resize mode.

    `resize_mode` is what the model was trained with. The pictures it is shown here always hold the whole frame:
    "squash" is squashed; "longest" is fitted inside and padded with the model's own fill colour; "shortest", which in
    training cut the frame's sides off, is fitted inside and padded with the model's mean colour, which becomes zero.
    """

    width: int
    height: int
    mean: tuple[float, float, float] = DEFAULT_MEAN
    std: tuple[float, float, float] = DEFAULT_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.resize_mode not in RESIZE_MODES or not all(self.std):
            raise ModelError(f"The model's preprocessing makes no sense: {self}. Check its open_clip_config.json.")

    @classmethod
    def from_config(cls, image_size: int | list[int], config: Mapping[str, Any]) -> "Preprocessing":
        """Read open_clip's `vision_cfg.image_size` (a side, or height and width) and `preprocess_cfg`.

        Raises:
            ModelError: a value is not of the kind it should be.
        """
        try:
            height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
            return cls(
                width=int(width),
                height=int(height),
                mean=_rgb(config.get("mean") or DEFAULT_MEAN),
                std=_rgb(config.get("std") or DEFAULT_STD),
                # open_clip's "random" picks one in training and is bicubic in use.
                interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
                resize_mode=config.get("resize_mode") or "shortest",
                fill_color=int(config.get("fill_color") or 0),
            )
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The model's preprocessing cannot be read ({error}): size {image_size}, {config}"
            ) from error

    @property
    def picture_format(self) -> PictureFormat:
        """What to ask of whoever makes the pictures."""
        if self.resize_mode == "squash":
            return PictureFormat(self.width, self.height, "squash", (0, 0, 0))
        if self.resize_mode == "longest":
            return PictureFormat(self.width, self.height, "pad", (self.fill_color,) * 3)
        red, green, blue = (min(255, round(value * 255)) for value in self.mean)
        return PictureFormat(self.width, self.height, "pad", (red, green, blue))

    def to_tensor(self, pictures: Pictures, device: str = "cpu") -> torch.Tensor:
        """Scale, then normalise on the device, whereto bytes are sent faster than floats.

        Args:
            pictures: uint8 [N, H, W, 3], RGB, of any one size.
            device: "cpu" or "cuda", where the result shall be.

        Returns: float32 [N, 3, height, width], on a GPU laid out channels last, as half precision wants it.

        Raises:
            InvalidRequest: the array is of another type or shape.
        """
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape[1:3]:
            raise InvalidRequest(
                f"pictures must be uint8 [N, H, W, 3], but are {pictures.dtype} {list(pictures.shape)}"
            )
        planes = torch.from_numpy(np.require(pictures, requirements=["C", "W"])).permute(0, 3, 1, 2)
        fitted = self._fitted(planes)
        if device == "cuda":
            fitted = fitted.pin_memory().to(device, non_blocking=True)
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (fitted.float() / 255 - mean) / std

    def _fitted(self, planes: torch.Tensor) -> torch.Tensor:
        """uint8 [N, 3, H, W] -> uint8 [N, 3, height, width]."""
        height, width = planes.shape[2:]
        if (height, width) == (self.height, self.width):
            return planes
        wanted = self.picture_format
        if wanted.fit == "squash":
            return self._resized(planes, self.height, self.width)
        factor = min(self.width / width, self.height / height)
        inner_width = min(self.width, max(1, round(width * factor)))
        inner_height = min(self.height, max(1, round(height * factor)))
        left, top = (self.width - inner_width) // 2, (self.height - inner_height) // 2
        canvas = torch.tensor(wanted.fill, dtype=torch.uint8).view(1, 3, 1, 1)
        canvas = canvas.repeat(len(planes), 1, self.height, self.width)
        inner = self._resized(planes, inner_height, inner_width)
        canvas[:, :, top : top + inner_height, left : left + inner_width] = inner
        return canvas

    def _resized(self, planes: torch.Tensor, height: int, width: int) -> torch.Tensor:
        # On uint8 this is what Pillow computes, at a tenth of the time.
        return F.interpolate(planes, size=(height, width), mode=self.interpolation, antialias=True, align_corners=False)


def _rgb(values: Any) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, int | float) else values
    return float(red), float(green), float(blue)
