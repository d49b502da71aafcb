"""What hardware decoders gain over software, and whether they give the same: `python -m benchmarks.decoders`.

Says what hardware FFmpeg can open here. Then videos of 1080 and 2160 lines, H.264 and HEVC (or --video) are decoded by
each decoder, in a process of its own as the service does it:

- decode: every frame, not looked at, as `open_media` does it; by threads: a bare loop with so many of them (hardware),
- index: what indexing does at a frame a second, frames left out and glimpses included,
- the same?: whether all frames have the times that software gives them, whether samples and cuts have, and how near the
  pictures for the model are to software's: the least ratio of signal to noise in dB (inf: equal), and the least cosine
  of their pixels once the mean is taken off.

What fails is named with its reason.
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

from benchmarks.synthetic.labelled_videos import looped_video, photographs
from clipseek.api.errors import ClipSeekError
from clipseek.api.limits import EVEN
from clipseek.config.settings import SOFTWARE, Settings
from executors.video_loader.decode import hardware
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.source import Needs, open_media
from executors.video_loader.workers.video_jobs import SampledSpan, SpanOptions, sample_span
from executors.video_loader.workers.worker import WorkerOptions, Workers

HD, UHD = (1920, 1080), (3840, 2160)
# Name -> size, encoder, pixel format; 10 bits come out of hardware in another layout than 8.
VIDEOS = {
    "H.264 1080p": (HD, "libx264", "yuv420p"),
    "HEVC 1080p": (HD, "libx265", "yuv420p"),
    "HEVC 1080p, 10 bit": (HD, "libx265", "yuv420p10le"),
    "H.264 2160p": (UHD, "libx264", "yuv420p"),
    "HEVC 2160p": (UHD, "libx265", "yuv420p"),
}
CRF = "16"  # some 10 Mb/s at 1080 lines: the grain stays
LOOP_SECONDS = 2  # of video that are encoded; then they come again
THREADS = (1, 4, 8)
DEADLINE_SECONDS = 60.0  # of each way: a driver that hangs does not stop the rest
_SIDE = 260  # pixels of a picture: the starter model's
_NO_LIMIT = 1 << 46  # bytes


@dataclass(frozen=True)
class Measured:
    """What a decoder did with a video: seconds to the first frame, then of wall clock and processors for each pass."""

    decoder: str  # the one that was at work at the end
    open_seconds: tuple[float, float]  # first in a new process, then again
    times: list[Fraction]
    decode_seconds: tuple[float, float]
    index_seconds: tuple[float, float]
    sampled: SampledSpan


class _Stopwatch:
    def __init__(self) -> None:
        self._begun, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> tuple[float, float]:
        """Of wall clock and of processors, since it was made."""
        return time.perf_counter() - self._begun, time.process_time() - self._cpu


def measure(video: Path, decoder: str) -> Measured:
    """Runs in a worker."""
    watch = _Stopwatch()
    with open_media(video, needs=Needs.LOOKS, decoder=decoder):
        first = watch.seconds()[0]
    watch = _Stopwatch()
    with open_media(video, needs=Needs.LOOKS, decoder=decoder) as source:
        again = watch.seconds()[0]
        watch = _Stopwatch()
        times = [timed.time for timed in source.frames()]
        decode_seconds, used = watch.seconds(), source.decoder
        end = float(times[-1] + source.frame_seconds)
    watch = _Stopwatch()
    options = SpanOptions(0.0, end, 1.0, EVEN, PictureShape(_SIDE, _SIDE), math.inf)
    sampled = sample_span(video, "video", options, decoder)
    return Measured(used, (first, again), times, decode_seconds, watch.seconds(), sampled)


def bare_loop(video: Path, decoder: str, threads: int) -> float:
    """Frames a second with so many threads. Runs in a worker."""
    with av.open(str(video), hwaccel=hardware.hardware(decoder)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "AUTO", threads
        watch = _Stopwatch()
        count = sum(1 for _ in container.decode(stream))
        return count / watch.seconds()[0]


def open_beside(video: Path, kind: str) -> tuple[float, float]:
    """Milliseconds to the first frame with a second video open, in a CUDA context of its own and in a shared one."""
    taken = []
    contexts: tuple[dict[str, object], ...] = ({}, {"primary_ctx": "1"})
    for options in contexts:
        with av.open(str(video), hwaccel=HWAccel(kind, options=options)) as one:
            next(one.decode(video=0))
            watch = _Stopwatch()
            with av.open(str(video), hwaccel=HWAccel(kind, options=options)) as other:
                next(other.decode(video=0))
                taken.append(1000 * watch.seconds()[0])
    return taken[0], taken[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="instead of those made here")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each video made here (default: 10)")
    options = parser.parse_args()
    show_machine()
    kinds = usable_hardware()
    with tempfile.TemporaryDirectory() as folder:
        if options.video:
            compare(str(options.video), options.video, kinds)
            return
        for name, ((width, height), encoder, pixel_format) in VIDEOS.items():
            frames = photographs(LOOP_SECONDS, width, height)
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
    """Print processors, versions and what there is of NVIDIA's driver."""
    print(f"{os.cpu_count()} processors, {platform.machine()}, PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}")
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, check=False, capture_output=True, text=True, timeout=30)
        print("nvidia-smi:", (told.stdout or told.stderr).strip())
    except (OSError, subprocess.TimeoutExpired) as error:
        print("nvidia-smi:", error)
    for library in ("libcuda.so.1", "libnvcuvid.so.1"):
        try:
            ctypes.CDLL(library)
            print(f"{library} loads")
        except OSError as error:
            print(f"{library} does not load: {error}")
            found = [str(path) for root in ("/usr", "/opt", "/lib") for path in Path(root).rglob(f"{library}*")]
            print(f"  files of this name: {', '.join(found) or 'none'}")


def _workers(memory_bytes: int) -> Workers:
    return Workers(1, WorkerOptions(module="benchmarks.decoders", memory_bytes=memory_bytes, log_level="WARNING"))


def usable_hardware() -> dict[str, int]:
    """Print what hardware can be opened. Returns: the kinds that can, and the memory, in bytes, that a worker needs."""
    usual = round(Settings.from_env().max_worker_gb * 1e9)
    usable = {}
    for kind in hwdevices_available():
        if kind not in hardware.offered():
            print(f"{kind}: not used by FFmpeg's ordinary decoders")
            continue
        for memory_bytes in (usual, _NO_LIMIT):
            problem = _problem(kind, memory_bytes)
            limit = (
                f"in {memory_bytes / 1e9:g} GB" if memory_bytes == usual else "in a process without a limit of memory"
            )
            print(f"{kind}, {limit}: {problem or 'opens'}", flush=True)
            if problem is None:
                usable[kind] = memory_bytes
                break
    return usable


def _problem(kind: str, memory_bytes: int) -> str | None:
    workers = _workers(memory_bytes)
    try:
        return workers.run(kind, DEADLINE_SECONDS, hardware.problem_of, kind)
    except (ClipSeekError, OSError) as error:
        return str(error)
    finally:
        workers.close()


def compare(name: str, video: Path, kinds: dict[str, int]) -> None:
    """Print what each decoder does with a video, beside software."""
    print(f"\n{name}, {video.stat().st_size / 1e6:.1f} MB")
    print(f"{'':20}{'open, again':>14}{'decode':>12}{'x real':>8}{'CPU':>7}{'index x real':>14}{'CPU':>7}  the same?")
    software: Measured | None = None
    usual = round(Settings.from_env().max_worker_gb * 1e9)
    for decoder, memory_bytes in {SOFTWARE: usual, **kinds}.items():
        workers = _workers(memory_bytes)
        try:
            made = workers.run(f"{decoder}, {name}", DEADLINE_SECONDS, measure, video, decoder)
            software = software or made
            print(f"{_row(decoder, made)}  {_sameness(made, software)}".rstrip(), flush=True)
            if decoder == SOFTWARE:
                continue
            speeds = [
                f"{count}: {workers.run('the loop', DEADLINE_SECONDS, bare_loop, video, decoder, count):.0f}"
                for count in THREADS
            ]
            print(f"{'':20}frames/s by threads {', '.join(speeds)}", flush=True)
            if decoder == "cuda":
                own, shared = workers.run("opening", DEADLINE_SECONDS, open_beside, video, decoder)
                print(
                    f"{'':20}a second video opens in {own:.0f} ms, in a shared context in {shared:.0f} ms", flush=True
                )
        except (ClipSeekError, OSError) as error:
            print(f"{decoder:20}{error}", flush=True)
        finally:
            workers.close()


def _row(decoder: str, made: Measured) -> str:
    """Processor seconds are those for a second of video."""
    (first, again), video_seconds = made.open_seconds, len(made.times) / _rate(made)
    name = decoder if made.decoder == decoder else f"{decoder}: {made.decoder}!"
    return (
        f"{name:20}{first:6.2f} {again:5.2f} s{len(made.times) / made.decode_seconds[0]:8.0f} f/s"
        f"{video_seconds / made.decode_seconds[0]:8.1f}{made.decode_seconds[1] / video_seconds:7.3f}"
        f"{video_seconds / made.index_seconds[0]:14.1f}{made.index_seconds[1] / video_seconds:7.3f}"
    )


def _rate(made: Measured) -> float:
    return (len(made.times) - 1) / float(made.times[-1] - made.times[0])


def _sameness(made: Measured, software: Measured) -> str:
    if made is software:
        return ""
    ours, theirs = made.sampled, software.sampled
    times = "times" if made.times == software.times else "OTHER TIMES"
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
