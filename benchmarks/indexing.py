"""Measures indexing speed, beside its limits and other ways: `python -m benchmarks.indexing`.

Makes a 1080p30 H.264 video from the sample videos (or uses --video) and runs with one model and engine

- decoding alone: every frame decoded, none looked at; only the frames that sampling decodes; and only keyframes,
- encoding alone: the pictures of the video's samples through the model,
- ClipSeek: `clipseek serve` and `Client.index`, from the file to the durable index; also by keyframes,
- VCED's way: OpenCV reads the video into a list of frames, one a second, then Pillow preprocesses and the model encodes
  each by itself (written from its description),
- the package amon-hen, its decoder and sampler with this model, if it is installed.

Each way runs in its own process, `--runs` times in turn, and the medians are printed. Loading the model does not count.
Peak memory is that of all processes of the way.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
import psutil
from PIL import Image

from benchmarks.limits import show_limits
from benchmarks.spans import read_span
from benchmarks.synthetic.labelled_videos import looped_video, toys
from clipseek.api.errors import ServerError
from clipseek.api.limits import EVEN, KEYFRAMES
from clipseek.client import Client
from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.source import Needs, open_video
from executors.video_loader.sample.sampler import MOST_GAP_SECONDS
from executors.video_loader.sample.span_reader import SampledFrame

T = TypeVar("T")

RATE = 1.0  # frames a second, in every way
_WHOLE_VIDEO = 10**6  # seconds: beyond any end
_AMON_HEN_BATCH = 16  # its own default
_POLL_SECONDS = 0.05  # between two measurements of a way's memory
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Run:
    """The cost of one way: wall-clock and processor seconds, samples, and the index's bytes (0: none)."""

    seconds: float
    cpu_seconds: float
    frames: int
    index_bytes: int = 0


class Stopwatch:
    """Starts when it is created. Processor seconds are those of this process and all its descendants."""

    def __init__(self) -> None:
        self._cpu, self._started = _cpu_seconds(), time.perf_counter()

    def run(self, frames: int, index_bytes: int = 0) -> Run:
        """The run up to now."""
        seconds = time.perf_counter() - self._started
        return Run(seconds, _cpu_seconds() - self._cpu, frames, index_bytes)


def _cpu_seconds() -> float:
    seconds = sum(os.times()[:4])  # includes children that have ended
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            seconds += child.cpu_times().user + child.cpu_times().system
    return seconds


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _tower(engine: str) -> ImageTower:
    settings = Settings.from_env()
    return ImageTower(Registry(settings.cache).resolve(settings.model), choose_device(settings.device, engine))


def _shape(tower: ImageTower) -> PictureShape:
    form = tower.spec.preprocessing.picture_format
    return PictureShape(form.width, form.height, form.fit, form.fill)


def decode(video: Path, _: str, needs: Needs = Needs.LOOKS, most_gap_seconds: Fraction = Fraction(0)) -> Run:
    """Decode every frame, and look at none."""
    watch = Stopwatch()
    with open_video(video, needs=needs, most_gap_seconds=most_gap_seconds) as source:
        frames = sum(1 for _ in source.frames())
    return watch.run(frames)


def decode_sampled(video: Path, engine: str) -> Run:
    """Like `decode`, but skip the frames that sampling skips."""
    return decode(video, engine, most_gap_seconds=MOST_GAP_SECONDS)


def decode_keyframes(video: Path, engine: str) -> Run:
    """Like `decode`, but keyframes only."""
    return decode(video, engine, Needs.KEYFRAMES)


def encode(video: Path, engine: str) -> Run:
    """Encode the video's samples, decoded before."""
    tower = _tower(engine)
    items = read_span(video, 0, _WHOLE_VIDEO, RATE, _shape(tower))
    pictures = np.stack([item.picture for item in items if isinstance(item, SampledFrame)])
    tower.encode(pictures[:1])
    watch = Stopwatch()
    tower.encode(pictures)
    return watch.run(len(pictures))


def clipseek(video: Path, engine: str, sampling: str = EVEN) -> Run:
    """Index through the Flow. The video is already on the server's disk, so only spans are sent."""
    with tempfile.TemporaryDirectory() as folder, _service(Path(folder), video.parent, engine) as client:
        watch = Stopwatch()
        result = client.index(video, on_server=True, sampling=sampling)
        run = watch.run(result.video.frames)
        size = sum(file.stat().st_size for file in Path(folder).rglob("index*") if file.is_file())
    return replace(run, index_bytes=size)


def clipseek_keyframes(video: Path, engine: str) -> Run:
    """Like `clipseek`, with `--sampling keyframes`."""
    return clipseek(video, engine, KEYFRAMES)


@contextlib.contextmanager
def _service(home: Path, videos: Path, engine: str) -> Iterator[Client]:
    port = free_port("127.0.0.1")
    environ = {"CLIPSEEK_HOME": str(home), "CLIPSEEK_PORT": str(port), "CLIPSEEK_ENGINE": engine}
    server = subprocess.Popen(
        [sys.executable, "-m", "clipseek", "serve"],
        env={**os.environ, **environ, "CLIPSEEK_MEDIA_ROOTS": str(videos)},
        stderr=subprocess.DEVNULL,
    )
    try:
        with Client(f"grpc://127.0.0.1:{port}") as client:
            _wait_until_ready(client, server)
            yield client
    finally:
        server.terminate()
        server.wait()


def _wait_until_ready(client: Client, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            client.health()
        except ServerError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise SystemExit("clipseek serve did not start")


def vced(video: Path, engine: str) -> Run:
    """Read the whole video into memory, then encode its frames one by one."""
    tower = _tower(engine)
    size = (_shape(tower).width, _shape(tower).height)
    tower.encode(np.zeros((1, *size[::-1], 3), np.uint8))
    watch = Stopwatch()
    capture = cv2.VideoCapture(str(video))
    step = round(capture.get(cv2.CAP_PROP_FPS) / RATE)
    frames, count = [], 0
    while (read := capture.read())[0]:
        if count % step == 0:
            frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
        count += 1
    pictures = (Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC) for frame in frames)
    vectors = [tower.encode(np.asarray(picture)[np.newaxis])[0] for picture in pictures]
    return watch.run(len(vectors))


def amon_hen(video: Path, engine: str) -> Run:
    """Use its decoder, default sampler and batches with our model, but not its store: many Python builds refuse it."""
    from amonhen.decode import iter_frames
    from amonhen.sample import build_sampler

    tower = _tower(engine)
    tower.encode(np.zeros((1, _shape(tower).height, _shape(tower).width, 3), np.uint8))
    watch = Stopwatch()
    sampler = build_sampler("fixed", RATE)
    samples = (frame.image for frame in iter_frames(video, RATE) if sampler.keep(frame.image))
    vectors = [tower.encode(np.stack(images)) for images in batched(samples, _AMON_HEN_BATCH)]
    return watch.run(sum(map(len, vectors)))


WAYS: dict[str, Callable[[Path, str], Run]] = {
    "decode alone": decode,
    "decode alone, as sampled": decode_sampled,
    "encode alone": encode,
    "ClipSeek": clipseek,
    "VCED's way": vced,
    "amon-hen": amon_hen,
    "decode alone, keyframes": decode_keyframes,
    "ClipSeek, keyframes": clipseek_keyframes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="measure this video instead of a generated one")
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the generated video (default: 2)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way; the median counts (default: 3)")
    parser.add_argument(
        "--engine", default="auto", help="like CLIPSEEK_ENGINE: auto, torch or openvino (default: auto)"
    )
    parser.add_argument(
        "--limits", action="store_true", help="measure decoding and encoding alone, for several sizes and codecs"
    )
    parser.add_argument("--full", action="store_true", help="10 minutes of video and 5 runs")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # only for the fresh process
    options = parser.parse_args()
    if options.way:
        json.dump(asdict(WAYS[options.way](options.video, options.engine)), sys.stdout)
        return
    if options.full:
        options.minutes, options.runs = 10.0, 5
    with tempfile.TemporaryDirectory() as folder:
        if options.limits:
            video = looped_video(Path(folder) / "toys.mp4", toys(), 0.5)
            encoded = encode(video, options.engine)
            show_limits(Path(folder), options.runs, encoded.frames / encoded.seconds)
            return
        video = options.video or looped_video(Path(folder) / "toys.mp4", toys(), options.minutes)
        report(video, options.engine, options.runs)


def report(video: Path, engine: str, runs: int) -> None:
    """Run the ways in turn and print their costs."""
    with av.open(str(video)) as container:
        seconds = float((container.duration or 0) / av.time_base)
        stream = container.streams.video[0]
        about = f"{seconds / 60:.1f} min of {stream.width}x{stream.height} {stream.codec_context.name}"
    print(f"{about}, {RATE:g} frame a second; {os.cpu_count()} x {processor()}; median of {runs}\n", flush=True)
    ways = [way for way in WAYS if way != "amon-hen" or find_spec("amonhen")]
    runs_by_way: dict[str, list[tuple[Run, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            runs_by_way[way].append(_measure(way, video, engine))
    medians = {way: statistics.median(run.seconds for run, _ in done) for way, done in runs_by_way.items()}
    print(f"{'':26}{'seconds':>9}{'x realtime':>12}{'CPU s':>8}{'frames':>8}{'peak RSS':>11}{'index per hour':>16}")
    for way, done in runs_by_way.items():
        run, peak = done[0][0], max(peak for _, peak in done)
        size = f"{run.index_bytes / 1e6 / seconds * 3600:.1f} MB" if run.index_bytes else ""
        speed = seconds / medians[way]
        cpu_seconds = statistics.median(run.cpu_seconds for run, _ in done)
        print(
            f"{way:26}{medians[way]:9.2f}{speed:12.1f}{cpu_seconds:8.1f}{run.frames:8d}{peak / 1e6:8.0f} MB{size:>16}"
        )
    limit = max(medians["decode alone"], medians["encode alone"])
    print(f"\nClipSeek / the slower of decoding and encoding alone: {medians['ClipSeek'] / limit:.2f}")
    for other in ("VCED's way", "amon-hen"):
        if other in medians:
            print(f"{other} / ClipSeek: {medians[other] / medians['ClipSeek']:.2f}")
    if "amon-hen" not in medians:
        print("amon-hen is not installed: pip install --target FOLDER amon-hen, then PYTHONPATH=FOLDER")


def _measure(way: str, video: Path, engine: str) -> tuple[Run, float]:
    """Run a way in a fresh process. Returns: the run, and the peak of its processes' memory in bytes."""
    command = [sys.executable, "-m", "benchmarks.indexing", "--way", way, "--video", str(video), "--engine", engine]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_POLL_SECONDS):
            with contextlib.suppress(psutil.Error):
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                peak = max(peak, float(sum(member.memory_info().rss for member in family)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer, errors = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{way} failed:\n{errors}")
    return Run(**json.loads(answer)), peak


def processor() -> str:
    try:
        names = [
            line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "name" in line
        ]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
