"""Tasks that tests give to worker processes. As a program: a parent of two workers that waits to be killed."""

import multiprocessing
import os
import signal
import struct
import sys
import time
from pathlib import Path

from clipseek.api.errors import UnreadableVideo
from executors.machine.worker import WorkerOptions, WorkerPool


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


def explain(what: str, error: Exception) -> Exception:
    """What tests see of an unexpected error."""
    return UnreadableVideo(f"{what} cannot be decoded ({type(error).__name__}: {error})")


OPTIONS = WorkerOptions(
    module="executors.machine.worker",
    memory_bytes=500_000_000,
    explain=explain,
    crash_advice="Convert it",
    log_level="WARNING",
)

if __name__ == "__main__":
    from tests.unit.video_loader import worker_tasks  # a worker cannot import what belongs to this program

    started = WorkerPool(2, worker_tasks.OPTIONS)
    print(*(worker.run("its number", 60.0, os.getpid) for worker in started._all), flush=True)
    time.sleep(3600)
    sys.exit(1)
