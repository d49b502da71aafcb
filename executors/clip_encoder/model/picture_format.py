"""How a model wants its pictures, read from its own configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipseek.api.errors import ModelError

# How training fitted pictures into the model's square, in open_clip's words, and in ours.
RESIZE_MODES = {"squash": "squash", "longest": "pad", "shortest": "crop"}
# open_clip's defaults for a model whose configuration has no values: those of the first CLIP.
DEFAULT_MEAN = (0.48145466, 0.4578275, 0.40821073)
DEFAULT_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class PictureFormat:
    """The pictures to send to a model: size in pixels, `fit` "squash", "pad" or "crop", RGB colour of the padding."""

    width: int
    height: int
    fit: str
    fill: tuple[int, int, int]


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its pictures: size in pixels, mean and std of RGB in [0, 1], interpolation and resize mode.

    `resize_mode` is the one used in training. Unless `fit` says otherwise, the model sees the whole frame: "squash"
    squashes it; "longest" fits it inside and pads with the model's own fill colour; "shortest", which cut off the
    frame's sides in training, fits it inside and pads with the model's mean colour, which becomes zero.
    """

    width: int
    height: int
    mean: tuple[float, float, float] = DEFAULT_MEAN
    std: tuple[float, float, float] = DEFAULT_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0
    fit: str = ""  # "squash", "pad" or "crop", the middle of the frame

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.resize_mode not in RESIZE_MODES or not all(self.std):
            raise ModelError(f"The model's preprocessing makes no sense: {self}. Check its open_clip_config.json.")

    @classmethod
    def from_config(cls, image_size: int | list[int], config: Mapping[str, Any]) -> "Preprocessing":
        """Read open_clip's `vision_cfg.image_size` (a side, or height and width) and `preprocess_cfg`.

        Raises: ModelError: a value is of the wrong kind.
        """
        try:
            height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
            return cls(
                width=int(width),
                height=int(height),
                mean=_parse_rgb(config.get("mean") or DEFAULT_MEAN),
                std=_parse_rgb(config.get("std") or DEFAULT_STD),
                # open_clip's "random" picks one in training and is bicubic in use.
                interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
                resize_mode=config.get("resize_mode") or "shortest",
                fill_color=int(config.get("fill_color") or 0),
            )
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The model's preprocessing cannot be read ({error}): size {image_size}, {config}. Check its "
                "open_clip_config.json."
            ) from error

    def describe(self) -> str:
        """Size and fit, and the fit in training where that was another one, for people."""
        fit, trained = self.picture_format.fit, RESIZE_MODES[self.resize_mode]
        return f"{self.width}x{self.height}, {fit}" + (f" (trained with {trained})" if trained != fit else "")

    @property
    def picture_format(self) -> PictureFormat:
        """The pictures to ask the video loader for."""
        fit = self.fit or ("squash" if self.resize_mode == "squash" else "pad")
        if fit != "pad":
            return PictureFormat(self.width, self.height, fit, (0, 0, 0))
        if self.resize_mode == "longest":
            return PictureFormat(self.width, self.height, fit, (self.fill_color,) * 3)
        red, green, blue = (min(255, round(value * 255)) for value in self.mean)
        return PictureFormat(self.width, self.height, fit, (red, green, blue))


def _parse_rgb(values: Any) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, int | float) else values
    return float(red), float(green), float(blue)
