"""Measures what decoding in worker processes costs: thumbnails and spans, there and in this process, side by side."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.synthetic.labelled_videos import looped_video, stripes
from clipseek.config.settings import Settings
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.workers.video_workers import SpanOptions, VideoWorkers, sample_span

SPAN = SpanOptions(30.0, 60.0, 1.0, "even", PictureShape(260, 260), 4000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind, in turn (default: 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        video = looped_video(Path(folder) / "video.mp4", stripes(10.0), 2.0, preset="veryfast")
        workers = VideoWorkers(Settings(Path(folder), Path(folder)))
        workers.make_thumbnail(video, 1.0, 320, "video")  # starts the workers
        workers.sample(video, "video", SPAN)
        print(f"{'':34}{'here':>9}{'worker':>9}{'ratio':>8}")
        compare(
            "thumbnail at 45 s, ms",
            rounds,
            lambda: make_thumbnail(video, 45.0, 320),
            lambda: workers.make_thumbnail(video, 45.0, 320, "video"),
        )
        compare(
            "span of 30 s, 1 frame a second, ms",
            rounds,
            lambda: sample_span(video, "video", SPAN),
            lambda: workers.sample(video, "video", SPAN),
        )
        children = psutil.Process().children()
        shares = ", ".join(
            f"{c.memory_full_info().pss / 1e6:.0f}" for c in children if "spawn_main" in " ".join(c.cmdline())
        )
        print(f"memory of each worker, MB (shared pages by share): {shares}")
        workers.close()


def compare(what: str, rounds: int, here: Callable[[], object], there: Callable[[], object]) -> None:
    """Call both in turn, and print their medians and the ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for own_times, call in zip(times, (here, there), strict=True):
            started = time.monotonic()
            call()
            own_times.append((time.monotonic() - started) * 1000)
    one, other = map(statistics.median, times)
    print(f"{what:34}{one:9.0f}{other:9.0f}{other / one:8.2f}", flush=True)


if __name__ == "__main__":
    main()
