"""Measures how fast decoding and encoding are by themselves, for videos of several sizes and codecs.

`benchmarks.indexing --limits` prints it.
"""

import statistics
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from benchmarks.synthetic.labelled_videos import FPS, toys
from benchmarks.synthetic.videos import same_scheduling
from executors.video_loader.decode.source import Needs, open_video
from executors.video_loader.sample.sampler import MOST_GAP_SECONDS

SECONDS = 4  # of video: the beginning of the toys, with two cuts
SIZES = ((640, 360), (1280, 720), (1920, 1080), (3840, 2160))
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "veryfast", "crf": "23"}),
    "hevc": ("libx265", {"preset": "veryfast", "crf": "28", "x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "33", "b": "0"}),
    "av1": ("libsvtav1", {"preset": "12", "crf": "35"}),
}
WAYS = {
    "every frame": (Needs.LOOKS, Fraction(0)),
    "as sampled": (Needs.LOOKS, MOST_GAP_SECONDS),
    "keyframes": (Needs.KEYFRAMES, Fraction(0)),
}


def show_limits(folder: Path, runs: int, pictures_per_second: float) -> None:
    """Print how many times faster than real time videos are decoded, and one picture a second is encoded.

    Args:
        folder: for the videos.
        runs: of each; the median counts.
    """
    print(f"{'x realtime':20}" + "".join(f"{way:>13}" for way in WAYS) + f"{'encode alone':>14}")
    frames = list(islice(toys(), SECONDS * FPS))
    for width, height in SIZES:
        scaled = [frame.reformat(width, height, "yuv420p") for frame in frames]
        for codec in ENCODERS:
            video = _make_video(folder / f"{codec}-{height}.mkv", scaled, codec)
            speeds = [_measure_speed(video, *way, runs) for way in WAYS.values()]
            name = f"{codec} {width}x{height}"
            print(f"{name:20}" + "".join(f"{speed:13.1f}" for speed in speeds) + f"{pictures_per_second:14.1f}")


def _make_video(path: Path, frames: Sequence[VideoFrame], codec: str) -> Path:
    encoder, options = ENCODERS[codec]
    with same_scheduling(), av.open(str(path), "w") as video:
        stream = cast(VideoStream, video.add_stream(encoder, rate=FPS, options=options))
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.gop_size = 2 * FPS
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    return path


def _measure_speed(video: Path, needs: Needs, most_gap_seconds: Fraction, runs: int) -> float:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        with open_video(video, needs=needs, most_gap_seconds=most_gap_seconds) as source:
            for _frame in source.frames():
                pass
        times.append(time.perf_counter() - started)
    return SECONDS / statistics.median(times)
