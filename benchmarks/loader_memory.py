"""How much memory the loader takes for a long video, and how fast it samples it.

Makes a 1080p30 H.264 video, samples it span by span in a fresh process that has imported what the loader's process
imports, and prints that process's memory. The video's length must not show in it.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.synthetic.labelled_videos import FPS, HEIGHT, WIDTH, looped_video, stripes

LOOP_SECONDS = 10  # of video that are encoded
SPAN_SECONDS = 30
PICTURE_PIXELS = 260  # a model's usual input, squared
LIMIT_MB = 600  # for the whole process, whatever the video's length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the video (default: 10)")
    parser.add_argument("--rate", type=float, default=1.0, help="frames sampled per second (default: 1)")
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)  # the fresh process: sample this video
    options = parser.parse_args()
    if options.video:
        json.dump(sample_video(options.video, options.rate), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as folder:
        video = looped_video(Path(folder) / "long.mp4", stripes(LOOP_SECONDS), options.minutes, preset="veryfast")
        command = [sys.executable, "-m", "benchmarks.loader_memory", "--video", str(video), "--rate", str(options.rate)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    print_table(options.minutes, json.loads(answer.stdout))


def sample_video(video: Path, rate: float) -> dict[str, float]:
    """Sample a video span by span in this process. Returns: seconds, frames, and memory in MB before and at its peak."""
    import executors.video_loader.executor  # noqa: F401  # with it comes jina
    from executors.video_loader.decode.picture import PictureShape
    from executors.video_loader.decode.probe import probe
    from executors.video_loader.sample.sampler import sample

    before = _peak_mb()
    begun = time.monotonic()
    length = probe(video).duration_seconds
    frames, start = 0, 0.0
    while start < length:
        shape = PictureShape(PICTURE_PIXELS, PICTURE_PIXELS)
        frames += sum(1 for _ in sample(video, start, start + SPAN_SECONDS, rate, shape))
        start += SPAN_SECONDS
    seconds = time.monotonic() - begun
    return {"video": length, "seconds": seconds, "frames": frames, "before": before, "peak": _peak_mb()}


def _peak_mb() -> float:
    """Peak resident memory, on Linux not by getrusage: that counts what the process was before `exec`, too."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def print_table(minutes: float, found: dict[str, float]) -> None:
    rows = [
        ("video", f"{minutes:g} min, {WIDTH}x{HEIGHT}, {FPS} fps, H.264"),
        ("frames sampled", f"{found['frames']:.0f}"),
        ("time", f"{found['seconds']:.1f} s"),
        ("speed", f"{found['video'] / found['seconds']:.1f} x realtime"),
        ("memory after imports", f"{found['before']:.0f} MB"),
        ("memory, peak", f"{found['peak']:.0f} MB (limit {LIMIT_MB})"),
    ]
    for name, value in rows:
        print(f"{name:22}{value}")
    if found["peak"] > LIMIT_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
