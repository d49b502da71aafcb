"""Ends a child process with its parent, and at once after its work; reports why it cannot start. Jina does neither."""

import atexit
import contextlib
import logging
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path

from clipseek.config.settings import DOWN_SUFFIX, START_ERRORS_VARIABLE
from clipseek.machine.parent import kill_with_parent

_POLL_SECONDS = 0.5
# With these the gateway finds a restarted executor at once, and not after gRPC's own pause of up to two minutes. Do not
# set them in flow.yml: from there they reach the client of a `Flow` as well, which expects another form and fails.
RECONNECTING = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
}


def exit_without_teardown() -> None:
    """Have this process end with exit code 0 once its threads have ended. Call it when it has saved everything.

    Otherwise Python takes torch, Jina and all other modules apart first, which takes seconds on a busy machine: a stop
    of the service would kill it meanwhile.
    """
    atexit.register(_exit_at_once)


def exit_child_without_teardown() -> None:
    """The same where this is a process of a Flow, and not the program in which an executor runs."""
    if multiprocessing.parent_process() is not None:
        exit_without_teardown()


def _exit_at_once() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader is gone, or it is closed
            stream.flush()
    os._exit(0)


def report_start_failure(error: Exception) -> None:
    """Write the cause where the process that starts the Flow looks for it: Jina only reports that a child ended."""
    folder = os.environ.get(START_ERRORS_VARIABLE)
    if folder:
        (Path(folder) / f"{os.getpid()}.txt").write_text(f"{type(error).__name__}\n{error}", encoding="utf-8")
        logging.disable(logging.CRITICAL)  # or Jina logs the same error again


def processes_down() -> dict[str, str]:
    """The processes of the service that are down: name -> since when and why, by the process that restarts them."""
    folder = os.environ.get(START_ERRORS_VARIABLE)
    if not folder:
        return {}
    down = {}
    for file in sorted(Path(folder).glob(f"*{DOWN_SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # it has just come back
            down[file.stem] = file.read_text(encoding="utf-8")
    return down


def end_with_parent() -> None:
    """End this process at once when the process that started it is gone; a daemon thread watches.

    Jina leaves orphans that keep serving on their ports. Polling the parent's id works with every start method: under
    fork, sibling processes hold open the pipe that multiprocessing offers for this. A thread cannot run while C code
    holds the interpreter's lock, so the service, which starts its processes in its main thread, has the system do it.
    """
    started_by, parent = multiprocessing.parent_process(), os.getppid()
    if started_by is not None and START_ERRORS_VARIABLE in os.environ:
        kill_with_parent()

    def watch() -> None:
        while os.getppid() == parent and (started_by is None or started_by.is_alive()):
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
