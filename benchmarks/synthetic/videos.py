"""Videos with known content, made by PyAV. Frame `i` of a video shows `slate(i)`, a colour that stands for the number.

`make(path, ...)` writes one and describes it. The colours survive lossy coding: each channel has three levels, far
apart, so `read_slate` finds the number (modulo 27) in a decoded picture.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.stream import Disposition
from av.video.frame import VideoFrame

LEVELS = (40, 128, 216)
SLATES = len(LEVELS) ** 3
AUDIO_RATE = 48000
TONE_HZ = 440

# Codec -> encoder, and fast options that keep the slates readable.
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "ultrafast", "crf": "12"}),
    "h264_b": ("libx264", {"preset": "veryfast", "crf": "12", "bf": "3", "x264-params": "scenecut=0:open_gop=1"}),
    "h264_b_closed": (
        "libx264",
        {"preset": "veryfast", "crf": "12", "bf": "3", "x264-params": "scenecut=0:open_gop=0"},
    ),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:crf=12"}),
    # One thread: several would wait for each other by spinning, and take the processors from other processes.
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "2M", "threads": "1"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}),
    "av1": ("libsvtav1", {"preset": "12", "crf": "25"}),
    "mpeg4": ("mpeg4", {"q": "2"}),
    "mpeg4_b": ("mpeg4", {"q": "2", "bf": "2"}),
    "msmpeg4": ("msmpeg4", {"q": "2"}),
    "mjpeg": ("mjpeg", {"q": "2"}),
    "h264_interlaced": ("libx264", {"preset": "veryfast", "crf": "12", "bf": "2", "x264-params": "tff=1"}),
    "mpeg2_interlaced": ("mpeg2video", {"q": "2", "bf": "2", "flags": "+ildct+ilme"}),
    "h264_10_bit": ("libx264", {"preset": "ultrafast", "crf": "12"}),
    "hevc_b": ("libx265", {"preset": "veryfast", "x265-params": "log-level=none:crf=12:bframes=3:open-gop=1"}),
    "mpeg2_b": ("mpeg2video", {"q": "2", "bf": "2"}),
    "mpeg1": ("mpeg1video", {"q": "2"}),
    "wmv2": ("wmv2", {"q": "2"}),
    "flv1": ("flv", {"q": "2"}),
    "rv20": ("rv20", {"q": "2"}),
    "prores": ("prores_ks", {}),
    "ffv1": ("ffv1", {}),
}
PIXEL_FORMATS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le", "h264_10_bit": "yuv420p10le"}


@dataclass(frozen=True)
class Video:
    """A written video: the time of every frame, in exact seconds from the first, and when the last one ends."""

    path: Path
    times: tuple[Fraction, ...]
    duration: Fraction


def slate(index: int, width: int = 64, height: int = 48) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The picture of frame `index`: uint8 [height, width, 3] RGB, one colour."""
    digits = index % SLATES
    colour = [LEVELS[digits % 3], LEVELS[digits // 3 % 3], LEVELS[digits // 9]]
    return np.full((height, width, 3), colour, np.uint8)


def scenes(count: int, side: int = 32, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Different pictures of soft blots: uint8 [count, side, side, 3] RGB."""
    blots = np.random.default_rng(seed).integers(0, 256, (count, 5, 5, 3), np.uint8)
    return np.stack([cv2.resize(blot, (side, side), interpolation=cv2.INTER_CUBIC) for blot in blots])


def make_scenes(path: Path, count: int) -> Path:
    """Make a video of `scenes(count, 64)`, one per second."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=1, options={"crf": "12"})
        stream.width = stream.height = 64
        for picture in scenes(count, 64):
            output.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode())
    return path


def read_slate(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The number (modulo 27) of the slate in the middle of a picture."""
    height, width = picture.shape[:2]
    middle = (
        picture[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None].reshape(-1, 3).mean(axis=0)
    )
    digits = [int(np.argmin([abs(value - level) for level in LEVELS])) for value in middle]
    return digits[0] + 3 * digits[1] + 9 * digits[2]


def make(
    path: Path,
    *,
    frames: int = 50,
    fps: Fraction | int = 25,
    codec: str = "h264",
    size: tuple[int, int] = (64, 48),
    gop: int = 10,
    times: Sequence[Fraction] | None = None,
    first: Fraction = Fraction(0),
    rotation_degrees: int = 0,
    aspect: Fraction | None = None,
    audio: bool = False,
    audio_seconds: float = math.inf,
    audio_first: bool = False,
    cover: bool = False,
    small_first: bool = False,
    container: str | None = None,
    pictures: Sequence[np.ndarray[Any, np.dtype[np.uint8]]] | None = None,
) -> Video:
    """Write a video. Frame `i` of `frames` shows `slate(i)`, or `pictures[i]` if given.

    Args:
        times: of the frames in seconds, for a variable rate; by default frame `i` is shown from `i / fps` on.
        audio_seconds: the sound's end, if before the picture's.
        audio_first: the sound is the file's first stream.
        first: the first frame's timestamp in seconds.
        rotation_degrees: clockwise, as a display matrix.
        aspect: of a sample (pixel).
        cover: add a cover picture, larger than the video.
        small_first: add a smaller, black video as the first video stream, marked as default.
    """
    frames = frames if pictures is None else len(pictures)
    frame_times = list(times) if times is not None else [Fraction(i) / Fraction(fps) for i in range(frames)]
    with same_scheduling(), av.open(str(path), "w", format=container) as output:
        sound = _sound_track(output, path) if audio_first else None
        decoy = _track(output, "h264", (32, 24), fps, gop) if small_first else None
        track = _track(output, codec, size, fps, gop)
        if times is not None:
            track.codec_context.time_base = Fraction(1, 90000)
        if aspect:
            track.codec_context.sample_aspect_ratio = aspect
        if rotation_degrees:
            track.set_display_rotation(-rotation_degrees)
        if decoy:
            decoy.disposition, track.disposition = Disposition.default, Disposition(0)
        picture = _track(output, "mjpeg", (640, 480), 1, 1) if cover else None
        if picture:
            picture.disposition = Disposition.attached_pic
        sound = _sound_track(output, path) if audio else sound
        if picture:
            output.mux(picture.encode(VideoFrame.from_ndarray(slate(1, 640, 480), "rgb24")))
            output.mux(picture.encode(None))
        samples = 0
        for index, seconds in enumerate(frame_times):
            image = slate(index, *size) if pictures is None else pictures[index]
            output.mux(track.encode(_frame(image, seconds + first)))
            if decoy:
                output.mux(decoy.encode(_frame(slate(0, 32, 24), seconds + first)))
            if sound:
                ends = seconds + Fraction(1) / Fraction(fps)
                while samples < ends * AUDIO_RATE and samples < audio_seconds * AUDIO_RATE:
                    output.mux(sound.encode(_tone(samples, first)))
                    samples += 1024
        for stream in (track, decoy, sound):
            if stream:
                output.mux(stream.encode(None))
    return Video(
        path, tuple(frame_times), (frame_times[-1] if frame_times else Fraction(0)) + Fraction(1) / Fraction(fps)
    )


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Restore this thread's scheduling at the end of the block.

    SVT-AV1 gives the thread that starts it the highest real-time priority where it may (as root). All threads and
    processes started later inherit it. A few of them that wait by spinning stop a machine with two processors.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def make_sound(path: Path, seconds: int = 1) -> Path:
    """Make a file with a tone and no picture."""
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=AUDIO_RATE)
        for begin in range(0, seconds * AUDIO_RATE, 1024):
            output.mux(sound.encode(_tone(begin, Fraction(0))))
        output.mux(sound.encode(None))
    return path


def read(path: Path) -> list[tuple[float, int]]:
    """Time and slate of every frame of a file, from its beginning; times count from the container's zero."""
    with av.open(str(path)) as container:
        return [
            (float(f.time), read_slate(f.to_ndarray(format="rgb24").astype(np.uint8, copy=False)))
            for f in container.decode(video=0)
        ]


def _track(output: Any, codec: str, size: tuple[int, int], fps: Fraction | int, gop: int) -> Any:
    name, options = ENCODERS[codec]
    track = output.add_stream(name, rate=fps, options=options)
    track.width, track.height = size
    track.pix_fmt = PIXEL_FORMATS.get(codec, "yuv420p")
    track.gop_size = gop
    return track


def _sound_track(output: Any, path: Path) -> Any:
    codec = {".webm": "libopus", ".mpg": "mp2", ".wmv": "libmp3lame", ".flv": "libmp3lame"}.get(path.suffix, "aac")
    return output.add_stream(codec, rate=AUDIO_RATE)


def _frame(image: np.ndarray[Any, np.dtype[np.uint8]], seconds: Fraction) -> VideoFrame:
    frame = VideoFrame.from_ndarray(image, format="rgb24")
    frame.pts, frame.time_base = round(seconds * 90000), Fraction(1, 90000)
    return frame


def _tone(begin: int, first: Fraction) -> AudioFrame:
    """1024 samples, silent in every odd second, so that a clip's sound shows where it was cut."""
    index = np.arange(begin, begin + 1024)
    wave = 0.5 * np.sin(2 * np.pi * TONE_HZ * index / AUDIO_RATE) * (index // AUDIO_RATE % 2 == 0)
    frame = AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = (
        AUDIO_RATE,
        begin + round(first * AUDIO_RATE),
        Fraction(1, AUDIO_RATE),
    )
    return frame
