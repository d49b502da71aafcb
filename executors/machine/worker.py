"""Processes that decode, so that a codec that hangs, crashes or uses up memory fails only its own task.

Each process has its own pipe and runs one task at a time: nothing is shared that a killed process could leave locked.
Our own errors arrive unchanged; `WorkerOptions.explain` says what others become. This is no sandbox: if a codec is
tricked into running foreign code, that code has the rights of the service.
"""

import contextlib
import functools
import gc
import importlib
import importlib.util
import math
import multiprocessing
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, ParamSpec, TypeVar

from clipseek.api.errors import ClipSeekError, DeadlineExceeded, DecoderCrashed, LimitExceeded
from clipseek.config.settings import variable_of
from clipseek.machine import logs
from clipseek.machine.parent import kill_with_parent
from executors.flow.lifetime import end_with_parent

P = ParamSpec("P")
T = TypeVar("T")

_SPAWN = multiprocessing.get_context("spawn")  # a forked child would inherit locks held by the executor's threads
_MOST_WAIT_SECONDS = 2_000_000.0  # the system counts milliseconds in 32 bits
_START_SECONDS = 60.0  # until a process has imported its modules
# All workers start in one thread, which never ends: the system kills each of them with the thread that started it. That
# also guards multiprocessing's list of children, which has no lock.
_STARTER = ThreadPoolExecutor(1, "start-decoder")


@dataclass(frozen=True)
class WorkerOptions:
    """How to start a worker.

    Args:
        module: imported before the first task.
        memory_bytes: the most it may use; may be infinite.
        explain: a module's function, which turns an unexpected error of a task, named in its first argument, into the
            one that its caller sees.
        crash_advice: what to do about a file that crashes the worker.
        niceness: above 0, it leaves the processors to processes that need them.
        when_idle: a module's function, called when no task came for `idle_seconds`. By default that is longer than a
            client takes from one answer to its next request.
        ends_when_idle: end the process then, which frees its memory. The next task starts it again.
        name: what it is to people.
    """

    module: str
    memory_bytes: float
    explain: Callable[[str, Exception], Exception]
    crash_advice: str
    log_level: str
    log_format: str = "text"
    niceness: int = 0
    when_idle: Callable[[], None] | None = None
    idle_seconds: float = 10.0
    ends_when_idle: bool = False
    name: str = "decoder"


class WorkerPool:
    """At most so many worker processes. Each starts with its first task, and again if it is lost.

    Any thread may call `run`.
    """

    def __init__(self, count: int, options: WorkerOptions) -> None:
        self._all = [_Worker(options) for _ in range(count)]
        self._ends_after = options.idle_seconds if options.ends_when_idle else math.inf
        self._timer: threading.Timer | None = None
        self._timer_lock = threading.Lock()
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()  # the last one first: it has started
        for worker in self._all:
            self._idle.put(worker)

    def run(self, what: str, deadline_seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in the next idle worker. The function, its arguments and its result must be picklable.

        Args:
            what: names the task in messages, e.g. "the span [0, 30) s of 'holiday.mp4'".
            deadline_seconds: after this time from its start the worker is killed. May be infinite.

        Raises:
            DeadlineExceeded, DecoderCrashed: the worker did not answer in time, or died.
            LimitExceeded: the task needs more memory than a worker may use.
            ClipSeekError: raised by `function`; its other errors as `WorkerOptions.explain` says.
            OSError: the system could not start a process. The next task tries again.
        """
        worker = self._idle.get()
        try:
            return worker.run(what, deadline_seconds, functools.partial(function, *args, **kwargs))
        finally:
            worker.idle_since = time.monotonic()
            self._idle.put(worker)
            self._end_later()

    def close(self) -> None:
        """End the processes at once."""
        with self._timer_lock:
            self._ends_after = math.inf
            if self._timer:
                self._timer.cancel()
        for worker in self._all:
            worker.kill()

    def _end_later(self) -> None:
        with self._timer_lock:
            if self._timer:
                self._timer.cancel()
            if math.isfinite(self._ends_after):
                self._timer = threading.Timer(self._ends_after, self._end_idle)
                self._timer.daemon = True
                self._timer.start()

    def _end_idle(self) -> None:
        """End the processes that had no task for long. No task can get one meanwhile: it waits, and starts it again."""
        idle: list[_Worker] = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for worker in reversed(idle):  # the last one out goes in last
            if time.monotonic() - worker.idle_since >= self._ends_after:
                worker.kill()
            self._idle.put(worker)


class _Worker:
    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self.idle_since = 0.0
        self._process: multiprocessing.process.BaseProcess | None = None

    def _start(self) -> None:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_serve, args=(theirs, self._options), name=self._options.name, daemon=True)
        try:
            _STARTER.submit(_start_lean, process).result()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._pipe, self._process = ours, process  # last: a process that did not start cannot be used or killed
        self._is_ready = False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    @property
    def _exit_code(self) -> int | None:
        return self._process.exitcode if self._process else None

    def run(self, what: str, deadline_seconds: float, task: Callable[[], T]) -> T:
        if self._process is None or wait([self._process.sentinel], timeout=0):  # not started, or ended
            self._start()
        try:
            succeeded, answer = self._ask(what, deadline_seconds, task)
        except (EOFError, OSError) as error:
            self.kill()
            raise DecoderCrashed(
                f"{_sentence(what)} crashed the {self._options.name} ({_describe_exit(self._exit_code)}); the service "
                f"goes on. {self._options.crash_advice}"
            ) from error
        except BaseException:
            self.kill()  # otherwise its late answer would be taken for the next task's
            raise
        if succeeded:
            result: T = answer
            return result
        raise answer

    def _ask(self, what: str, deadline_seconds: float, task: Callable[[], T]) -> tuple[bool, Any]:
        if not self._is_ready:  # its start is not the task's time
            self._receive(what, _START_SECONDS)
            self._is_ready = True
        self._pipe.send((what, task))
        return self._receive(what, deadline_seconds)

    def _receive(self, what: str, deadline_seconds: float) -> tuple[bool, Any]:
        wait_seconds = min(deadline_seconds, _MOST_WAIT_SECONDS)
        if not self._pipe.poll(None if math.isinf(deadline_seconds) else wait_seconds):
            raise DeadlineExceeded(
                f"{_sentence(what)} took more than {wait_seconds:.0f} s, and its {self._options.name} was stopped. "
                f"Try again when the server is less busy, or raise {variable_of('decode_timeout_seconds')}"
            )
        answer: tuple[bool, Any] = self._pipe.recv()
        return answer


def _start_lean(process: multiprocessing.process.BaseProcess) -> None:
    """Start a process that does not import the program of this one: a spawned child imports that first."""
    main = sys.modules["__main__"]
    usual, main.__spec__ = main.__spec__, importlib.util.find_spec(__name__)
    try:
        process.start()
    finally:
        main.__spec__ = usual


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]


def _describe_exit(exit_code: int | None) -> str:
    return signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"


def _serve(pipe: Connection, options: WorkerOptions) -> None:
    kill_with_parent()
    end_with_parent()
    os.nice(options.niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    logs.start(options.log_level, options.log_format, options.name)
    importlib.import_module(options.module)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.memory_bytes <= sys.maxsize:  # the system accepts no larger limit
        resource.setrlimit(resource.RLIMIT_DATA, (round(options.memory_bytes),) * 2)
    pipe.send((True, None))  # ready
    gc.freeze()  # imported modules stay: collections after each video need not look through them
    while True:
        if options.when_idle and not pipe.poll(options.idle_seconds):
            options.when_idle()
        try:
            what, task = pipe.recv()
        except EOFError:
            return
        with contextlib.suppress(MemoryError):  # the answer is copied before sending: if that fails, nothing was sent
            pipe.send(_run_task(what, task, options))
            continue
        pipe.send((False, _make_memory_error(what, options)))


def _run_task(what: str, task: Callable[[], Any], options: WorkerOptions) -> tuple[bool, Any]:
    try:
        return True, task()
    except ClipSeekError as error:
        return False, error
    except MemoryError:
        return False, _make_memory_error(what, options)
    except Exception as error:  # noqa: BLE001 (the options say what it means)
        return False, options.explain(_sentence(what), error)


def _make_memory_error(what: str, options: WorkerOptions) -> LimitExceeded:
    variable = variable_of("max_worker_gb")
    if math.isinf(options.memory_bytes):
        return LimitExceeded(f"{_sentence(what)} needs more memory than the server has ({variable} is unlimited)")
    most = f"the {options.memory_bytes / 1e9:g} GB that a {options.name} may use ({variable})"
    return LimitExceeded(f"{_sentence(what)} needs more than {most}")
