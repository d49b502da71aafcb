"""Videos for benchmarks: of any length, and cheap to make, because a short encoded part repeats."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from benchmarks.synthetic.sample_moments import STILLS, read_still
from executors.video_loader.media import sample_videos

FPS = 30
WIDTH, HEIGHT = 1920, 1080
_GRAIN_LEVELS = 3.0  # standard deviation, like a camera's: without grain, scaled-up video is too easy to decode
_GRAINS = 7


def looped_video(
    path: Path,
    frames: Iterable[VideoFrame],
    minutes: float,
    fps: int = FPS,
    *,
    encoder: str = "libx264",
    pixel_format: str = "yuv420p",
    **options: str,
) -> Path:
    """Make a video that repeats frames of one size, `fps` a second, with a keyframe every 4 s.

    Args:
        encoder: `libx264` or `libx265`.
        options: of the encoder.
    """
    frames = iter(frames)
    first = next(frames)
    with av.open(str(path), "w") as video:
        closed = {"libx264": {"x264-params": "open-gop=0"}, "libx265": {"x265-params": "open-gop=0:log-level=none"}}
        stream = cast(
            VideoStream, video.add_stream(encoder, rate=fps, options={"crf": "23"} | closed[encoder] | options)
        )
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = first.width, first.height, pixel_format, 4 * fps
        packets, count = [], 0
        for frame in chain([first], frames, [None]):
            if frame is not None:
                frame.pts, frame.time_base = count, Fraction(1, fps)
                count += 1
            packets += stream.encode(frame)
        times = [(packet.pts or 0, packet.dts or 0, packet.time_base) for packet in packets]
        for loop in range(max(1, round(minutes * 60 * fps / count))):
            for packet, (pts, dts, time_base) in zip(packets, times, strict=True):
                video.mux(_shift(packet, pts, dts, time_base, round(loop * count / fps / time_base), stream))
    return path


def stripes(seconds: float) -> Iterator[VideoFrame]:
    """Moving stripes in grey."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    for index in range(round(seconds * FPS)):
        luma = ((columns + 4 * index) // 8 + (rows - 2 * index) // 8) * 5 % 220 + 16
        planes = np.concatenate([luma.astype(np.uint8), np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])
        yield VideoFrame.from_ndarray(planes, format="yuv420p")


def stills(seconds: float, width: int, height: int) -> Iterator[VideoFrame]:
    """One frame of the sample videos per second, in colour, with grain; the camera moves over it."""
    pictures = [read_still(seen)[:, :, ::-1] for seen in STILLS]
    generator = np.random.default_rng(0)
    grain = [generator.normal(0, _GRAIN_LEVELS, (height, width, 3)).astype(np.int16) for _ in range(_GRAINS)]
    count = round(seconds * FPS)
    for index in range(count):
        if index % FPS == 0:
            picture = pictures[index // FPS % len(pictures)]
            wide = cv2.resize(picture, (width + 4 * FPS, height), interpolation=cv2.INTER_CUBIC)
        left = 4 * (index % FPS)
        noisy = cv2.add(wide[:, left : left + width], grain[index % _GRAINS], dtype=cv2.CV_8U)
        yield VideoFrame.from_ndarray(np.asarray(noisy, np.uint8), format="bgr24")


def toys() -> Iterator[VideoFrame]:
    """40 s of toys in colour, handheld, with cuts: a sample video and its mirror image, scaled up, with grain."""
    video = sample_videos.FOLDER / "toys.mp4"
    generator = np.random.default_rng(0)
    grain = [generator.normal(0, _GRAIN_LEVELS, (HEIGHT, WIDTH, 1)).astype(np.int16) for _ in range(_GRAINS)]
    count = 0
    for step in (1, -1):
        with av.open(str(video)) as container:
            shown = list(container.decode(video=0))
        times = [frame.time or 0.0 for frame in shown]
        for place in np.searchsorted(times, np.arange(0, times[-1], 1 / FPS)):
            picture = cv2.resize(shown[place].to_ndarray(format="rgb24")[:, ::step], (WIDTH, HEIGHT))
            noisy = np.clip(picture.astype(np.int16) + grain[count % _GRAINS], 0, 255).astype(np.uint8)
            count += 1
            yield VideoFrame.from_ndarray(noisy, format="rgb24")


def _shift(
    packet: Packet[Any], pts: int, dts: int, time_base: Fraction, shift: int, stream: av.VideoStream
) -> Packet[Any]:
    copy: Packet[Any] = Packet(bytes(packet))
    copy.pts, copy.dts, copy.time_base = pts + shift, dts + shift, time_base
    copy.is_keyframe, copy.stream, copy.duration = packet.is_keyframe, stream, packet.duration
    return copy
