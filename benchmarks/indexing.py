"""How fast videos are indexed, beside what limits it and beside other ways: `python -m benchmarks.indexing`.

Makes a 1080p30 H.264 video out of the sample library (or takes --video) and puts it through, with one model and engine,

- decoding alone: every frame decoded, none looked at; those that sampling decodes; and by keyframes,
- encoding alone: the pictures of the video's samples through the model,
- ClipSeek: `clipseek serve` and `Client.index`, from the file to the durable index; by keyframes, too,
- VCED's way: the video read by OpenCV into a list of frames, one a second, each then preprocessed by Pillow and encoded
  by itself (written from its description),
- the package amon-hen, its decoder and sampler given this model, where it can be imported.

Each way runs in a process of its own, `--runs` times in turn; medians are printed. Model loading is left out. Peak
memory is that of all processes of the way.
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
from benchmarks.synthetic.labelled_videos import looped_video, street
from clipseek.api.errors import ServerError
from clipseek.api.limits import EVEN, KEYFRAMES
from clipseek.client import Client
from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.source import Needs, open_media
from executors.video_loader.sample.sampler import MOST_GAP_SECONDS, read_span
from executors.video_loader.sample.span_reader import SampledFrame

T = TypeVar("T")

RATE = 1.0  # frames a second, in every way
_ALL = 10**6  # seconds: to the video's end
_AMON_HENS_BATCH = 16  # its own default
_SAMPLE_SECONDS = 0.05  # between two looks at a way's memory
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Run:
    """What one way took: wall-clock and processor seconds, frames that were kept, the index's bytes (0: none)."""

    seconds: float
    cpu_seconds: float
    frames: int
    index_bytes: int = 0


class Stopwatch:
    """Runs from when it is made. Processor seconds are those of this process and all below it."""

    def __init__(self) -> None:
        self._cpu, self._begun = _cpu_seconds(), time.perf_counter()

    def run(self, frames: int, index_bytes: int = 0) -> Run:
        """What was done until now."""
        seconds = time.perf_counter() - self._begun
        return Run(seconds, _cpu_seconds() - self._cpu, frames, index_bytes)


def _cpu_seconds() -> float:
    seconds = sum(os.times()[:4])  # those of children that have ended, too
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            seconds += child.cpu_times().user + child.cpu_times().system
    return seconds


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch


def _tower(engine: str) -> ImageTower:
    settings = Settings.from_env()
    return ImageTower(Registry(settings.cache).resolve(settings.model), choose_device(settings.device, engine))


def _shape(tower: ImageTower) -> PictureShape:
    wanted = tower.spec.preprocessing.picture_format
    return PictureShape(wanted.width, wanted.height, wanted.fit, wanted.fill)


def decode(video: Path, _: str, needs: Needs = Needs.LOOKS, most_gap_seconds: Fraction = Fraction(0)) -> Run:
    """Every frame, not looked at."""
    watch = Stopwatch()
    with open_media(video, needs=needs, most_gap_seconds=most_gap_seconds) as source:
        frames = sum(1 for _ in source.frames())
    return watch.run(frames)


def decode_sampled(video: Path, engine: str) -> Run:
    """As `decode`, but without the frames that sampling leaves out."""
    return decode(video, engine, most_gap_seconds=MOST_GAP_SECONDS)


def decode_keyframes(video: Path, engine: str) -> Run:
    """As `decode`, but only what decodes by itself."""
    return decode(video, engine, Needs.KEYFRAMES)


def encode(video: Path, engine: str) -> Run:
    """The video's samples, decoded before."""
    tower = _tower(engine)
    found = read_span(video, 0, _ALL, RATE, _shape(tower))
    pictures = np.stack([one.picture for one in found if isinstance(one, SampledFrame)])
    tower.encode(pictures[:1])
    watch = Stopwatch()
    tower.encode(pictures)
    return watch.run(len(pictures))


def clipseek(video: Path, engine: str, sampling: str = EVEN) -> Run:
    """Through the Flow, the video on the server's disk already: what is sent are spans."""
    with tempfile.TemporaryDirectory() as folder, _service(Path(folder), video.parent, engine) as client:
        watch = Stopwatch()
        done = client.index(video, on_server=True, sampling=sampling)
        run = watch.run(done.video.frames)
        size = sum(file.stat().st_size for file in Path(folder).rglob("index*") if file.is_file())
    return replace(run, index_bytes=size)


def clipseek_keyframes(video: Path, engine: str) -> Run:
    """As `clipseek`, `--sampling keyframes`."""
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
            time.sleep(_SAMPLE_SECONDS)
        else:
            return
    raise SystemExit("clipseek serve did not start")


def vced(video: Path, engine: str) -> Run:
    """The whole video as frames in memory, then one after the other."""
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
    """Its decoder, default sampler and batches, our model; without its store, which many builds of Python refuse."""
    from amonhen.decode import iter_frames
    from amonhen.sample import build_sampler

    tower = _tower(engine)
    tower.encode(np.zeros((1, _shape(tower).height, _shape(tower).width, 3), np.uint8))
    watch = Stopwatch()
    sampler = build_sampler("fixed", RATE)
    kept = (frame.image for frame in iter_frames(video, RATE) if sampler.keep(frame.image))
    vectors = [tower.encode(np.stack(images)) for images in batched(kept, _AMON_HENS_BATCH)]
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
    parser.add_argument("--video", type=Path, help="a video of yours instead of the one that is made")
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the video that is made (default: 2)")
    parser.add_argument("--runs", type=int, default=3, help="of each way, the median counts (default: 3)")
    parser.add_argument("--engine", default="auto", help="as CLIPSEEK_ENGINE: auto, torch or openvino (default: auto)")
    parser.add_argument(
        "--limits", action="store_true", help="decoding and encoding alone, of several sizes and codecs"
    )
    parser.add_argument("--full", action="store_true", help="10 minutes of video and 5 runs")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # the fresh process
    options = parser.parse_args()
    if options.way:
        json.dump(asdict(WAYS[options.way](options.video, options.engine)), sys.stdout)
        return
    if options.full:
        options.minutes, options.runs = 10.0, 5
    with tempfile.TemporaryDirectory() as folder:
        if options.limits:
            video = looped_video(Path(folder) / "street.mp4", street(Path(folder)), 0.5)
            encoded = encode(video, options.engine)
            show_limits(Path(folder), options.runs, encoded.frames / encoded.seconds)
            return
        video = options.video or looped_video(Path(folder) / "street.mp4", street(Path(folder)), options.minutes)
        report(video, options.engine, options.runs)


def report(video: Path, engine: str, runs: int) -> None:
    """Run the ways in turn and print what they took."""
    with av.open(str(video)) as container:
        seconds = float((container.duration or 0) / av.time_base)
        stream = container.streams.video[0]
        about = f"{seconds / 60:.1f} min of {stream.width}x{stream.height} {stream.codec_context.name}"
    print(f"{about}, {RATE:g} frame a second; {os.cpu_count()} x {processor()}; median of {runs}\n", flush=True)
    ways = [way for way in WAYS if way != "amon-hen" or find_spec("amonhen")]
    found: dict[str, list[tuple[Run, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            found[way].append(_measured(way, video, engine))
    medians = {way: statistics.median(run.seconds for run, _ in made) for way, made in found.items()}
    print(f"{'':26}{'seconds':>9}{'x realtime':>12}{'CPU s':>8}{'frames':>8}{'peak RSS':>11}{'index per hour':>16}")
    for way, made in found.items():
        run, peak = made[0][0], max(peak for _, peak in made)
        size = f"{run.index_bytes / 1e6 / seconds * 3600:.1f} MB" if run.index_bytes else ""
        speed = seconds / medians[way]
        cpu_seconds = statistics.median(run.cpu_seconds for run, _ in made)
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


def _measured(way: str, video: Path, engine: str) -> tuple[Run, float]:
    """Run a way in a fresh process. Returns: what it took, and the peak of its processes' memory in bytes."""
    command = [sys.executable, "-m", "benchmarks.indexing", "--way", way, "--video", str(video), "--engine", engine]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_SAMPLE_SECONDS):
            with contextlib.suppress(psutil.Error):
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                peak = max(peak, float(sum(each.memory_info().rss for each in family)))

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
