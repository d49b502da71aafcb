"""Stops the service in time: asks every process to end, and kills those that do not."""

import contextlib
import math
import multiprocessing
import multiprocessing.util
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from typing import NoReturn

import psutil

from clipseek.config.settings import START_ERRORS_VARIABLE
from clipseek.machine.talk import say

STOP_SECONDS = 3.5  # executors finish what is under way, then they are killed
_LAST_SECONDS = 5.0  # then this process is ended, too, whatever it waits for
_KILL_SECONDS = 0.5  # until the system has removed a killed process
_POLL_SECONDS = 0.05
_beside: dict[str, psutil.Process] = {}  # the processes beside the Flow, by name


class Stop:
    """The wish to stop. Five seconds after it this process has ended, with all processes of the service.

    Attributes:
        deadline: monotonic time at which processes that still run are killed.
    """

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._asked = threading.Event()
        self.deadline = math.inf
        threading.Thread(target=self._enforce, name="stop", daemon=True).start()

    def listen(self) -> None:
        """Stop on SIGINT and SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            # An Event would not do: the code that a handler interrupts may hold its lock.
            signal.signal(number, lambda *_: self._requests.put(None))

    def ask(self) -> None:
        """Stop, whether a signal came or not."""
        self._requests.put(None)
        self._asked.wait()

    def is_asked(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for it, at most so long. Returns: whether to stop."""
        return self._asked.wait(seconds)

    def _enforce(self) -> None:
        self._requests.get()
        self.deadline = time.monotonic() + STOP_SECONDS
        self._asked.set()
        time.sleep(_LAST_SECONDS)
        exit_with_all("clipseek: The server did not stop in time, so it was killed.", exit_code=1)


def end_with_flow(name: str, process: subprocess.Popen[bytes]) -> None:
    """Count a process that runs beside the Flow as one of the service: it is killed if it does not end in time.

    What started it asks it to end. The latest process of a name takes the place of the one before.
    """
    _beside[name] = psutil.Process(process.pid)


def end_processes(deadline: float) -> list[str]:
    """Ask the processes of the Flow to end, and kill what runs at the deadline: all of the service, and what they
    started.

    Returns: the names of the service's processes that were killed.
    """
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    family = _family()
    while (alive := _alive(family)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        family |= _family()  # a process whose parent has ended is not found any more
    _kill(alive)
    late = {process.pid for process in alive}
    names = [(child.name.removesuffix("/rep-0"), child.pid) for child in children]  # what Jina adds to most names
    return [name for name, pid in [*names, *((name, process.pid) for name, process in _beside.items())] if pid in late]


def exit_with_all(message: str, exit_code: int, style: str = "") -> NoReturn:
    """Kill all processes of the service, and exit at once. The folder of this run is removed: nothing else would."""
    _kill(_family())
    say(message, style)
    for folder in (os.environ.get(START_ERRORS_VARIABLE, ""), multiprocessing.util.get_temp_dir()):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(exit_code)


def _family() -> set[psutil.Process]:
    """The processes of the service and all that they started. A browser that this process opened is not among them."""
    started = list(_beside.values())
    for child in multiprocessing.active_children():
        with contextlib.suppress(psutil.NoSuchProcess):
            started.append(psutil.Process(child.pid))
    family = set(started)
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            family.update(process.children(recursive=True))
    return family


def _alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    alive = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def _kill(processes: Iterable[psutil.Process]) -> None:
    """Kill them, and wait until they are gone: until then they hold their ports."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    until = time.monotonic() + _KILL_SECONDS
    while _alive(processes) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
