"""Thumbnails: single pictures of a video, as JPEG."""

import math
from dataclasses import dataclass
from fractions import Fraction

import cv2

from clipseek.api.errors import InvalidTimeRange
from executors.video_loader.clips.cut import END_TOLERANCE_SECONDS
from executors.video_loader.containers.parts import VideoFile
from executors.video_loader.decode.picture import FrameRenderer
from executors.video_loader.decode.probe import measure_shown_seconds
from executors.video_loader.decode.source import TimedFrame, VideoSource, exact_seconds, open_video

MIN_WIDTH, MAX_WIDTH = 16, 1920  # pixels
MAX_HEIGHT = 8192  # for videos that claim to be extremely tall: JPEG ends at 65,500
JPEG_QUALITY = 85  # about 15 kB at 320 pixels width, without visible blocks


@dataclass(frozen=True)
class JpegPicture:
    """The bytes of a JPEG file, and the time of its frame in seconds from the first frame."""

    pts_seconds: float
    jpeg: bytes


def make_thumbnail(file: VideoFile, at_seconds: float, width: int, title: str = "") -> JpegPicture:
    """Render the frame on screen at `at_seconds`, upright, `width` pixels wide (moved into 16 to 1920).

    Raises: InvalidTimeRange: the time is outside the video. UnreadableVideo: see `open_video`.
    """
    with open_video(file, title) as source:
        timed = _find_frame_on_screen(source, at_seconds)
        renderer = FrameRenderer(source.first_frame, source.stream.sample_aspect_ratio)
        full_width, full_height = renderer.measure(timed.frame)
        width = min(max(width, MIN_WIDTH), MAX_WIDTH)
        height = min(max(round(width * full_height / full_width), 1), MAX_HEIGHT)
        picture = renderer.scale(timed.frame, width, height)
    _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])  # OpenCV wants BGR
    return JpegPicture(float(timed.time), jpeg.tobytes())


def _find_frame_on_screen(source: VideoSource, at_seconds: float) -> TimedFrame:
    last: TimedFrame | None = None
    if math.isfinite(at_seconds) and at_seconds >= 0:
        for timed in source.frames(exact_seconds(at_seconds)):
            if last is not None and timed.time > exact_seconds(at_seconds):
                return last
            last = timed
    end = Fraction(0) if last is None else measure_shown_seconds(source, at_seconds)
    if last is None or at_seconds > end + Fraction(END_TOLERANCE_SECONDS):
        length = "" if last is None else f", which ends at {float(end):.3f} s"
        raise InvalidTimeRange(f"{at_seconds:g} s is not a time in '{source.title}'{length}")
    return last
