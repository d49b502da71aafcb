"""What Jina leaves out of a child process's life: its end when its parent ends, and the cause when it cannot start."""

import contextlib
import logging
import multiprocessing
import os
import threading
import time
from pathlib import Path

from clipseek.config.settings import DOWN_SUFFIX, START_ERRORS_VARIABLE

_POLL_SECONDS = 0.5
# Whoever sends to an executor finds it at once when it was started again, and not after gRPC's own pause of up to two
# minutes. Not to be set in flow.yml: from there they reach the client of a `Flow` as well, which takes them in another
# form, and fails.
RECONNECTING = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
}


def report_start_failure(error: Exception) -> None:
    """Leave the cause where the process that starts the Flow looks for it: Jina tells it only that a child ended."""
    folder = os.environ.get(START_ERRORS_VARIABLE)
    if folder:
        (Path(folder) / f"{os.getpid()}.txt").write_text(f"{type(error).__name__}\n{error}", encoding="utf-8")
        logging.disable(logging.CRITICAL)  # what Jina would say of it besides


def processes_down() -> dict[str, str]:
    """Which processes of the service are down, and since when and why, as the process that restarts them tells."""
    folder = os.environ.get(START_ERRORS_VARIABLE)
    if not folder:
        return {}
    told = {}
    for file in sorted(Path(folder).glob(f"*{DOWN_SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # it is back since
            told[file.stem] = file.read_text(encoding="utf-8")
    return told


def end_with_parent() -> None:
    """Watch, from a daemon thread, the process that started this one; end at once when it is gone.

    Jina leaves orphans that go on serving on their ports.

    A poll of the parent's id works whatever the start method: under fork the pipe that multiprocessing offers for this
    is held open by the sibling processes.
    """
    started_by = multiprocessing.parent_process()
    parent = os.getppid() if started_by is None else started_by.pid

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
