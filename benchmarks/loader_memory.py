"""Measures the loader's memory for a long video, and its sampling speed.

Makes a 1080p30 H.264 video, samples it span by span in a fresh process with all imports of the loader, and prints that
process's memory. It must not grow with the video's length.
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

LOOP_SECONDS = 10  # of video that are encoded; then they repeat
SPAN_SECONDS = 30
PICTURE_PIXELS = 260  # each side of a model's usual input
LIMIT_MB = 600  # for the whole process, whatever the video's length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the video (default: 10)")
    parser.add_argument("--rate", type=float, default=1.0, help="frames sampled per second (default: 1)")
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)  # only for the fresh process
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
    """Sample a video span by span in this process. Returns: seconds, frames, and memory in MB before and at most."""
    import executors.video_loader.executor  # noqa: F401  # imports jina
    from benchmarks.spans import sample_frames
    from executors.video_loader.decode.picture import PictureShape
    from executors.video_loader.decode.probe import probe_video

    before = _peak_mb()
    started = time.monotonic()
    length = probe_video(video).duration_seconds
    frames, start = 0, 0.0
    while start < length:
        shape = PictureShape(PICTURE_PIXELS, PICTURE_PIXELS)
        frames += sum(1 for _ in sample_frames(video, start, start + SPAN_SECONDS, rate, shape))
        start += SPAN_SECONDS
    seconds = time.monotonic() - started
    return {"video": length, "seconds": seconds, "frames": frames, "before": before, "peak": _peak_mb()}


def _peak_mb() -> float:
    """Peak resident memory. On Linux getrusage would also count the process before `exec`."""
    status = Path("/proc/self/status")
    if status.exists():
        line = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if line:
            return int(line[1]) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3  # macOS counts bytes, others kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def print_table(minutes: float, result: dict[str, float]) -> None:
    rows = [
        ("video", f"{minutes:g} min, {WIDTH}x{HEIGHT}, {FPS} fps, H.264"),
        ("frames sampled", f"{result['frames']:.0f}"),
        ("time", f"{result['seconds']:.1f} s"),
        ("speed", f"{result['video'] / result['seconds']:.1f} x realtime"),
        ("memory after imports", f"{result['before']:.0f} MB"),
        ("memory, peak", f"{result['peak']:.0f} MB (limit {LIMIT_MB})"),
    ]
    for name, value in rows:
        print(f"{name:22}{value}")
    if result["peak"] > LIMIT_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
