"""What the service takes while idle, and whether that grows with the length of a video.

`python -m benchmarks.service_memory` starts a service with the starter model and prints the memory of every process,
shared pages divided (PSS). It exits with 1 if all of them take more than IDLE_MB. Then it indexes a short video and a
long one, each by a service of its own, and prints the peak memory of every process. The videos show one still
photograph: all their frames are decoded, sent and stored, but few are encoded, so that the longer one takes minutes and
not hours. Linux only.
"""

import argparse
import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import psutil
from av.video.frame import VideoFrame

from benchmarks.synthetic.labelled_videos import looped_video
from benchmarks.synthetic.sample_moments import read_still
from benchmarks.torture.service import Service
from clipseek.config.settings import Settings

FPS, SIZE, LOOP_SECONDS = 12, (320, 180), 20
IDLE_MB = 900
_START_SECONDS = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=float, default=10.0, help="minutes of the short video (default: 10)")
    parser.add_argument("--long", type=float, default=180.0, help="minutes of the long video (default: 180)")
    parser.add_argument("--idle", action="store_true", help="index nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        idle = measure_idle(Path(folder) / "idle")
        total = sum(megabytes for _, megabytes in idle)
        print("idle, MB")
        for name, megabytes in [*idle, (f"total (at most {IDLE_MB})", total)]:
            print(f"{name:26}{megabytes:6.0f}")
        if options.idle:
            sys.exit(total > IDLE_MB)
        short, long = (peaks(Path(folder) / f"{minutes:g}", minutes) for minutes in (options.short, options.long))
    print(f"{'peak memory, MB':20}{options.short:6g} min{options.long:6g} min{'growth':>9}")
    for (name, few), (_, many) in zip(short, long, strict=True):
        print(f"{name:20}{few:10.0f}{many:10.0f}{many / few - 1:9.0%}")
    sys.exit(total > IDLE_MB)


def measure_idle(folder: Path) -> list[tuple[str, float]]:
    """Start a service. Returns: each process's name and PSS in MB, in the order in which they were started."""
    with started(folder) as service:
        return [(name, process.memory_full_info().pss / 1e6) for name, process in processes_of(service)]


def peaks(folder: Path, minutes: float) -> list[tuple[str, float]]:
    """Index a video. Returns: each process's name and peak in MB, in the order in which they were started."""
    with started(folder) as service:
        video = looped_video(folder / "still.mp4", still(), minutes, FPS)
        with service.client() as client:
            client.index(video)
        return [(name, _peak_mb(process)) for name, process in processes_of(service)]


@contextmanager
def started(folder: Path) -> Iterator[Service]:
    """A service of its own with the starter model, ready."""
    folder.mkdir()
    service = Service(folder)
    service.settings = replace(service.settings, model="starter", words="auto", cache=Settings.from_env().cache)
    service.start()
    try:
        service.wait_until_ready(_START_SECONDS)
        yield service
    finally:
        service.stop()


def processes_of(service: Service) -> list[tuple[str, psutil.Process]]:
    """The processes and their names, in the order in which they were started."""
    main, *others = sorted(service.family(), key=lambda process: process.create_time())
    flow = service.processes()
    names = dict.fromkeys(flow, "executor or gateway")
    for process in others:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            command = " ".join(process.cmdline())
            if " jobs run" in command:
                names[process] = "runner of jobs"
            elif process.parent() in flow and "spawn_main" in command:
                names[process] = "decoder"
            elif "multiprocessing.forkserver" in command and process not in flow:
                names[process] = "starts the others"
    return [("server", main), *((names[process], process) for process in others if process in names)]


def still() -> Iterator[VideoFrame]:
    """One picture, again and again."""
    picture = cv2.resize(read_still("a red flower"), SIZE)
    for _ in range(LOOP_SECONDS * FPS):
        yield VideoFrame.from_ndarray(picture, format="rgb24")


def _peak_mb(process: psutil.Process) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) / 1e3 if found else 0.0


if __name__ == "__main__":
    main()
