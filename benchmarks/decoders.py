"""Compares hardware decoders with software, in speed and results: `python -m benchmarks.decoders`.

Prints what hardware FFmpeg can open here. Then each decoder decodes videos of 1080 and 2160 lines, H.264 and HEVC (or
--video), in a process of its own as in the service:

- decode: every frame, not looked at, by `open_video`; by threads: a bare loop with this many of them (hardware),
- index: what indexing does at a frame a second, with skipped frames and previews,
- the same?: whether all frames, samples and cuts have the same times as in software, and how close the pictures for the
  model are to software's: the lowest signal-to-noise ratio in dB (inf: equal), and the lowest cosine of their pixels
  after subtracting the mean.

Failures are printed with their reason.
"""

import argparse
import ctypes
import math
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available

from benchmarks.synthetic.labelled_videos import looped_video, stills
from clipseek.api.errors import ClipSeekError
from clipseek.api.limits import EVEN
from clipseek.config.settings import SOFTWARE, Settings
from executors.machine.worker import WorkerOptions, WorkerPool
from executors.video_loader.decode import hardware
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.source import Needs, open_video
from executors.video_loader.workers.video_workers import SampledSpan, SpanOptions, explain_error, sample_span

HD, UHD = (1920, 1080), (3840, 2160)
# Name -> size, encoder, pixel format. Hardware gives 10 bits in another layout than 8.
VIDEOS = {
    "H.264 1080p": (HD, "libx264", "yuv420p"),
    "HEVC 1080p": (HD, "libx265", "yuv420p"),
    "HEVC 1080p, 10 bit": (HD, "libx265", "yuv420p10le"),
    "H.264 2160p": (UHD, "libx264", "yuv420p"),
    "HEVC 2160p": (UHD, "libx265", "yuv420p"),
}
CRF = "16"  # about 10 Mb/s at 1080 lines: the grain stays
LOOP_SECONDS = 2  # of video that are encoded; then they repeat
THREADS = (1, 4, 8)
DEADLINE_SECONDS = 60.0  # of each measurement: a hanging driver does not stop the rest
_SIDE = 260  # pixels: the starter model's input
_NO_LIMIT = 1 << 46  # bytes


@dataclass(frozen=True)
class Measurement:
    """A decoder's results for a video: seconds to the first frame; wall clock and processor seconds of each pass."""

    decoder: str  # the one in use at the end
    open_seconds: tuple[float, float]  # first in a new process, then again
    times: list[Fraction]
    decode_seconds: tuple[float, float]
    index_seconds: tuple[float, float]
    sampled: SampledSpan


class _Stopwatch:
    def __init__(self) -> None:
        self._started, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> tuple[float, float]:
        """Wall clock and processor seconds since the start."""
        return time.perf_counter() - self._started, time.process_time() - self._cpu


def measure(video: Path, decoder: str) -> Measurement:
    """Measure a decoder. Runs in a worker."""
    watch = _Stopwatch()
    with open_video(video, needs=Needs.LOOKS, decoder=decoder):
        first = watch.seconds()[0]
    watch = _Stopwatch()
    with open_video(video, needs=Needs.LOOKS, decoder=decoder) as source:
        again = watch.seconds()[0]
        watch = _Stopwatch()
        times = [timed.time for timed in source.frames()]
        decode_seconds, used = watch.seconds(), source.decoder
        end = float(times[-1] + source.frame_seconds)
    watch = _Stopwatch()
    options = SpanOptions(0.0, end, 1.0, EVEN, PictureShape(_SIDE, _SIDE), math.inf)
    sampled = sample_span(video, "video", options, decoder)
    return Measurement(used, (first, again), times, decode_seconds, watch.seconds(), sampled)


def bare_loop(video: Path, decoder: str, threads: int) -> float:
    """Frames a second with this many threads. Runs in a worker."""
    with av.open(str(video), hwaccel=hardware.make_accelerator(decoder)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "AUTO", threads
        watch = _Stopwatch()
        count = sum(1 for _ in container.decode(stream))
        return count / watch.seconds()[0]


def open_beside(video: Path, kind: str) -> tuple[float, float]:
    """Milliseconds to a second video's first frame while one is open, in its own CUDA context and in a shared one."""
    milliseconds = []
    contexts: tuple[dict[str, object], ...] = ({}, {"primary_ctx": "1"})
    for options in contexts:
        with av.open(str(video), hwaccel=HWAccel(kind, options=options)) as one:
            next(one.decode(video=0))
            watch = _Stopwatch()
            with av.open(str(video), hwaccel=HWAccel(kind, options=options)) as other:
                next(other.decode(video=0))
                milliseconds.append(1000 * watch.seconds()[0])
    return milliseconds[0], milliseconds[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="measure this video instead of those made here")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each video made here (default: 10)")
    options = parser.parse_args()
    show_machine()
    kinds = usable_hardware()
    with tempfile.TemporaryDirectory() as folder:
        if options.video:
            compare(str(options.video), options.video, kinds)
            return
        for name, ((width, height), encoder, pixel_format) in VIDEOS.items():
            frames = stills(LOOP_SECONDS, width, height)
            video = looped_video(
                Path(folder) / "video.mp4",
                frames,
                options.seconds / 60,
                encoder=encoder,
                pixel_format=pixel_format,
                preset="veryfast",
                crf=CRF,
            )
            compare(name, video, kinds)


def show_machine() -> None:
    """Print processors, versions, and the state of NVIDIA's driver."""
    print(f"{os.cpu_count()} processors, {platform.machine()}, PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}")
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, check=False, capture_output=True, text=True, timeout=30)
        print("nvidia-smi:", (answer.stdout or answer.stderr).strip())
    except (OSError, subprocess.TimeoutExpired) as error:
        print("nvidia-smi:", error)
    for library in ("libcuda.so.1", "libnvcuvid.so.1"):
        try:
            ctypes.CDLL(library)
            print(f"{library} loads")
        except OSError as error:
            print(f"{library} does not load: {error}")
            files = [str(path) for root in ("/usr", "/opt", "/lib") for path in Path(root).rglob(f"{library}*")]
            print(f"  files of this name: {', '.join(files) or 'none'}")


def _start_worker(memory_bytes: int) -> WorkerPool:
    return WorkerPool(
        1,
        WorkerOptions(
            module="benchmarks.decoders",
            memory_bytes=memory_bytes,
            explain=explain_error,
            crash_advice="",
            log_level="WARNING",
        ),
    )


def usable_hardware() -> dict[str, int]:
    """Print what hardware can be opened. Returns: the kinds that can, and the bytes of memory that a worker needs."""
    usual = round(Settings.from_env().max_worker_gb * 1e9)
    usable = {}
    for kind in hwdevices_available():
        if kind not in hardware.list_hardware():
            print(f"{kind}: not used by FFmpeg's ordinary decoders")
            continue
        for memory_bytes in (usual, _NO_LIMIT):
            problem = _find_problem(kind, memory_bytes)
            limit = f"in {memory_bytes / 1e9:g} GB" if memory_bytes == usual else "in a process without memory limit"
            print(f"{kind}, {limit}: {problem or 'opens'}", flush=True)
            if problem is None:
                usable[kind] = memory_bytes
                break
    return usable


def _find_problem(kind: str, memory_bytes: int) -> str | None:
    workers = _start_worker(memory_bytes)
    try:
        return workers.run(kind, DEADLINE_SECONDS, hardware.find_problem, kind)
    except (ClipSeekError, OSError) as error:
        return str(error)
    finally:
        workers.close()


def compare(name: str, video: Path, kinds: dict[str, int]) -> None:
    """Print the results of each decoder for a video, beside software."""
    print(f"\n{name}, {video.stat().st_size / 1e6:.1f} MB")
    print(f"{'':20}{'open, again':>14}{'decode':>12}{'x real':>8}{'CPU':>7}{'index x real':>14}{'CPU':>7}  the same?")
    software: Measurement | None = None
    usual = round(Settings.from_env().max_worker_gb * 1e9)
    for decoder, memory_bytes in {SOFTWARE: usual, **kinds}.items():
        workers = _start_worker(memory_bytes)
        try:
            result = workers.run(f"{decoder}, {name}", DEADLINE_SECONDS, measure, video, decoder)
            software = software or result
            print(f"{_format_row(decoder, result)}  {_compare_results(result, software)}".rstrip(), flush=True)
            if decoder == SOFTWARE:
                continue
            speeds = [
                f"{count}: {workers.run('the loop', DEADLINE_SECONDS, bare_loop, video, decoder, count):.0f}"
                for count in THREADS
            ]
            print(f"{'':20}frames/s by threads {', '.join(speeds)}", flush=True)
            if decoder == "cuda":
                own, shared = workers.run("opening", DEADLINE_SECONDS, open_beside, video, decoder)
                print(f"{'':20}a second video opens in {own:.0f} ms, in a shared context {shared:.0f} ms", flush=True)
        except (ClipSeekError, OSError) as error:
            print(f"{decoder:20}{error}", flush=True)
        finally:
            workers.close()


def _format_row(decoder: str, result: Measurement) -> str:
    """Processor seconds are per second of video."""
    (first, again), video_seconds = result.open_seconds, len(result.times) / _frame_rate(result)
    name = decoder if result.decoder == decoder else f"{decoder}: {result.decoder}!"
    return (
        f"{name:20}{first:6.2f} {again:5.2f} s{len(result.times) / result.decode_seconds[0]:8.0f} f/s"
        f"{video_seconds / result.decode_seconds[0]:8.1f}{result.decode_seconds[1] / video_seconds:7.3f}"
        f"{video_seconds / result.index_seconds[0]:14.1f}{result.index_seconds[1] / video_seconds:7.3f}"
    )


def _frame_rate(result: Measurement) -> float:
    return (len(result.times) - 1) / float(result.times[-1] - result.times[0])


def _compare_results(result: Measurement, software: Measurement) -> str:
    if result is software:
        return ""
    ours, theirs = result.sampled, software.sampled
    times = "times" if result.times == software.times else "OTHER TIMES"
    sampled = "samples" if ours.pts_seconds == theirs.pts_seconds else "OTHER SAMPLES"
    cuts = "cuts" if ours.cut_seconds == theirs.cut_seconds else "OTHER CUTS"
    if len(ours.pictures) != len(theirs.pictures):
        return f"{times}, {sampled}, {cuts}"
    one, other = (np.frombuffer(s.pictures, np.uint8).reshape(-1, _SIDE**2 * 3).astype(float) for s in (ours, theirs))
    noise = ((one - other) ** 2).mean(axis=1).max()
    least = 10 * math.log10(255**2 / noise) if noise else math.inf
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    cosine = ((one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)).min()
    return f"{times}, {sampled}, {cuts}; pictures {least:.1f} dB, cosine {cosine:.6f}"


if __name__ == "__main__":
    main()
