"""Turns a decoded frame into the picture a viewer sees: upright, with square pixels, at the wanted size."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from clipseek.api.errors import InvalidRequest
from clipseek.api.picture_fit import FITS, size_around, size_inside
from executors.video_loader.decode.interlace import take_field
from executors.video_loader.decode.tone_map import ToneMapper, is_hdr

Picture = NDArray[np.uint8]

# Measured against Pillow's bicubic of the full RGB frame, 18 real videos of 180 to 1080 lines scaled to 260 x 260: mean
# absolute difference 0.25 grey levels, 0.47 in the worst video, 1.8 ms a frame. Without the chroma flags it is 1.70.
_FULL_CHROMA = Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | _FULL_CHROMA
# For videos that do not name their colour matrix, players use BT.709 from this height on, BT.601 below.
HD_HEIGHT = 720
_UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
_FIXED_POINT = 1 << 16  # unit of the display matrix


@dataclass(frozen=True)
class PictureShape:
    """Size in pixels of the picture a model looks at.

    `squash`: the whole picture, stretched to exactly this size. `pad`: the whole picture, centred, in its own
    proportions, the rest filled with `fill` (RGB). `crop`: the middle of the picture, in its own proportions.
    """

    width: int
    height: int
    fit: str = "squash"
    fill: tuple[int, int, int] = (0, 0, 0)

    @property
    def size_bytes(self) -> int:
        return self.width * self.height * 3

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.fit not in FITS:
            raise InvalidRequest(
                f"A picture of {self.width}x{self.height} with fit '{self.fit}' is not possible: width and height must "
                f"be 1 or more, fit one of {', '.join(FITS)}"
            )


@dataclass(frozen=True)
class Orientation:
    """Turns the stored picture into the shown one: mirrored left to right if needed, then turned clockwise."""

    rotation_degrees: int = 0  # 0, 90, 180 or 270, clockwise
    mirrored: bool = False

    @property
    def is_sideways(self) -> bool:
        return self.rotation_degrees in {90, 270}

    def apply(self, picture: Picture) -> Picture:
        """Turn an array whose first axes are rows and columns."""
        upright = picture[:, ::-1] if self.mirrored else picture
        return np.ascontiguousarray(np.rot90(upright, k=-(self.rotation_degrees // 90)))


class FrameRenderer:
    """Renders the frames of one video: upright, with square pixels, at the wanted size.

    Args:
        frame: any frame of the video. Its display matrix is used for all that are turned by the same angle: reading it
            from each would fill memory (see `quirks.free_frames`).
        aspect: the stream's sample aspect ratio, None for 1.
    """

    def __init__(self, frame: VideoFrame, aspect: Fraction | None) -> None:
        self.orientation, self._rotation = _read_orientation(frame), frame.rotation
        self._aspect = aspect or Fraction(1)
        self._scaler = VideoReformatter()  # reused: it keeps swscale's tables from frame to frame
        self._tone_mapper = ToneMapper()

    def measure(self, frame: VideoFrame) -> tuple[int, int]:
        """Shown width and height in pixels."""
        self._follow_rotation(frame)
        width, height = max(1, round(frame.width * self._aspect)), frame.height
        return (height, width) if self.orientation.is_sideways else (width, height)

    def render(self, frame: VideoFrame, shape: PictureShape) -> Picture:
        """The picture for the model. Returns: uint8 [shape.height, shape.width, 3], RGB."""
        if shape.fit == "squash":
            return self.scale(frame, shape.width, shape.height)
        return self._pad(frame, shape) if shape.fit == "pad" else self._crop(frame, shape)

    def _pad(self, frame: VideoFrame, shape: PictureShape) -> Picture:
        inner_width, inner_height = size_inside(self.measure(frame), (shape.width, shape.height))
        left, top = (shape.width - inner_width) // 2, (shape.height - inner_height) // 2
        canvas = np.empty((shape.height, shape.width, 3), np.uint8)
        canvas[:] = shape.fill
        canvas[top : top + inner_height, left : left + inner_width] = self.scale(frame, inner_width, inner_height)
        return canvas

    def _crop(self, frame: VideoFrame, shape: PictureShape) -> Picture:
        width, height = size_around(self.measure(frame), (shape.width, shape.height))
        left, top = (width - shape.width) // 2, (height - shape.height) // 2
        outer = self.scale(frame, width, height)
        return np.ascontiguousarray(outer[top : top + shape.height, left : left + shape.width])

    def scale(self, frame: VideoFrame, width: int, height: int) -> Picture:
        """Scale the whole frame to exactly this size, in one pass from the decoder's format, then turn it.

        Returns: uint8 [height, width, 3], RGB.
        """
        self._follow_rotation(frame)
        size = self.stored_size(width, height)
        frame = add_grey_chroma(take_field(frame))
        if is_hdr(frame):
            frame = self._tone_mapper.convert(frame, *size, SCALING)
        small = self._scaler.reformat(
            frame,
            *size,
            "rgb24",
            src_colorspace=_colour_matrix(frame),
            interpolation=SCALING,
            dst_color_range="JPEG",
            threads=1,
        )
        picture: Picture = small.to_ndarray().astype(np.uint8, copy=False)
        return picture if self.orientation == Orientation() else self.orientation.apply(picture)

    def _follow_rotation(self, frame: VideoFrame) -> None:
        if frame.rotation != self._rotation:  # it changes in mid-video
            self.orientation, self._rotation = _read_orientation(frame), frame.rotation

    def stored_size(self, width: int, height: int) -> tuple[int, int]:
        """The stored size of a picture that is shown as `width` x `height`."""
        return (height, width) if self.orientation.is_sideways else (width, height)


def add_grey_chroma(frame: VideoFrame) -> VideoFrame:
    """A grey frame of limited range as one with colours; others as they are. FFmpeg takes grey for full range."""
    name = frame.format.name
    if not name.startswith("gray") or frame.color_range != LIMITED_RANGE or name.endswith(("be", "f32le")):
        return frame
    coloured = VideoFrame(frame.width, frame.height, name.replace("gray", "yuv420p"))
    bits = frame.format.components[0].bits
    grey = np.array([1 << bits - 1], np.uint8 if bits == 8 else np.uint16).tobytes()
    coloured.planes[0].update(_fit_rows(frame.planes[0], coloured.planes[0].line_size))
    for plane in coloured.planes[1:]:
        plane.update(grey * (plane.buffer_size // len(grey)))
    coloured.pts, coloured.color_range = frame.pts, LIMITED_RANGE
    if frame.time_base:
        coloured.time_base = frame.time_base
    return coloured


def _fit_rows(plane: VideoPlane, line_size: int) -> bytes:
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    wide = np.zeros((plane.height, line_size), np.uint8)
    length = min(line_size, plane.line_size)
    wide[:, :length] = rows[:, :length]
    return wide.tobytes()


def _read_orientation(frame: VideoFrame) -> Orientation:
    for data in cast(Iterable[SideData], frame.side_data):  # the stub calls it a dict
        if data.type is Type.DISPLAYMATRIX:
            a, b, _, c, d = (float(v) / _FIXED_POINT for v in np.frombuffer(bytes(data), np.int32)[:5])
            mirrored = a * d - b * c < 0
            degrees = math.degrees(math.atan2(-b if mirrored else b, -a if mirrored else a))
            return Orientation(round(degrees / 90) % 4 * 90, mirrored)
    return Orientation()


def _colour_matrix(frame: VideoFrame) -> int | None:
    if frame.colorspace == _UNSPECIFIED_MATRIX and frame.height >= HD_HEIGHT and not frame.format.is_rgb:
        return int(Colorspace.ITU709)
    return None
