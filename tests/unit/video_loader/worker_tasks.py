"""Tasks that tests give to worker processes. As a program: a parent of two workers that waits to be killed."""

import multiprocessing
import os
import signal
import struct
import sys
import time
from pathlib import Path

from executors.video_loader.workers.worker import WorkerOptions, WorkerPool


def die(number: int) -> None:
    """End this process by a signal."""
    os.kill(os.getpid(), number)


def die_while_answering() -> None:
    """Send the beginning of a message of 1000 bytes, then die as if the system ran out of memory."""
    pipe = multiprocessing.current_process()._args[0]  # type: ignore[attr-defined]
    os.write(pipe.fileno(), struct.pack("!i", 1000) + b"some")
    os.kill(os.getpid(), signal.SIGKILL)


def make_idle_file() -> None:
    """Leave a file named idle-PID in the working folder."""
    Path(f"idle-{os.getpid()}").touch()


def fail(error: Exception) -> None:
    """Raise the error."""
    raise error


if __name__ == "__main__":
    started = WorkerPool(2, WorkerOptions("executors.video_loader.workers.worker", 1_000_000_000, "WARNING"))
    print(*(worker._process.pid for worker in started._all), flush=True)
    time.sleep(3600)
    sys.exit(1)
