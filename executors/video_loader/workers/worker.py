"""A process that decodes, so that a codec which hangs, crashes or wants all memory harms nothing but its own job.

Each process has a pipe of its own and does one job at a time: nothing is shared that a killed process could leave
locked. What it raises arrives whole if it is one of ours; anything else that a video provokes is told as
`UnreadableVideo`, with the traceback in the log. It is no sandbox: a codec that is made to run foreign code runs it
with the rights of the service.
"""

import contextlib
import functools
import gc
import importlib
import logging
import math
import multiprocessing
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, ParamSpec, TypeVar

import av

from clipseek.api.errors import ClipSeekError, DeadlineExceeded, DecoderCrashed, LimitExceeded, UnreadableVideo
from clipseek.config.settings import variable_of
from clipseek.machine import logs
from executors.flow.lifetime import end_with_parent

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_SPAWN = multiprocessing.get_context("spawn")  # a forked child would share the locks of the executor's threads
_MOST_WAIT_SECONDS = 2_000_000.0  # the system counts milliseconds in 32 bits
_START_LOCK = threading.Lock()  # multiprocessing keeps its list of children without one


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker is started with: the module it imports before its first job, and what it may use.

    `memory_bytes` may be infinite, which is no limit.

    With a `niceness` above 0 it leaves the processors to others that want them.

    `when_idle`, a function of a module, is called once no job has come for `idle_seconds`, by default longer than a
    client takes from one answer to the next request.
    """

    module: str
    memory_bytes: float
    log_level: str
    log_format: str = "text"
    niceness: int = 0
    when_idle: Callable[[], None] | None = None
    idle_seconds: float = 10.0


class Workers:
    """So many worker processes, each started at once and anew after it was lost. Any thread may call `run`."""

    def __init__(self, count: int, options: WorkerOptions) -> None:
        self._all = [_Worker(options) for _ in range(count)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)

    def run(self, what: str, deadline_seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in the next idle worker. It, what it is given and what it returns must be picklable.

        Args:
            what: the job as messages call it, e.g. "the span [0, 30) s of 'film.mp4'".
            deadline_seconds: from its start on; then the worker is killed. It may be infinite.

        Raises:
            DeadlineExceeded, DecoderCrashed: the worker did not answer in time, or not at all.
            LimitExceeded: it needs more memory than a worker has.
            ClipSeekError, OSError: what `function` raised; UnreadableVideo for anything else that it raised.
            OSError: the system lets no process start in place of a lost one. The next job tries again.
        """
        worker = self._idle.get()
        try:
            return worker.run(what, deadline_seconds, functools.partial(function, *args, **kwargs))
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self._all:
            worker.kill()


class _Worker:
    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._start()

    def _start(self) -> None:
        with _START_LOCK:
            ours, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(target=_serve, args=(theirs, self._options), name="decoder", daemon=True)
            try:
                process.start()
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
        self._pipe, self._process = ours, process  # not before: a process that never started cannot be asked or ended

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def run(self, what: str, deadline_seconds: float, job: Callable[[], T]) -> T:
        if wait([self._process.sentinel], timeout=0):  # it has ended
            self._start()
        try:
            is_done, answer = self._answer(what, deadline_seconds, job)
        except (EOFError, OSError) as error:
            self.kill()
            raise DecoderCrashed(
                f"{_sentence(what)} crashed the decoder ({_cause(self._process.exitcode)}); the service goes on. "
                "Convert the video to H.264 in MP4, or leave this part out"
            ) from error
        except BaseException:
            self.kill()  # else the answer that is still to come would be taken for the next job's
            raise
        if is_done:
            result: T = answer
            return result
        raise answer

    def _answer(self, what: str, deadline_seconds: float, job: Callable[[], T]) -> tuple[bool, Any]:
        """What `_done` gave. Raises: EOFError, OSError: the worker has ended, be it in the middle of its answer."""
        self._pipe.send((what, job))
        wait_seconds = min(deadline_seconds, _MOST_WAIT_SECONDS)
        if not self._pipe.poll(None if math.isinf(deadline_seconds) else wait_seconds):
            raise DeadlineExceeded(
                f"{_sentence(what)} was given up after {wait_seconds:.0f} s, and its decoder ended. Try again "
                f"when the server has less to do, or raise {variable_of('decode_timeout_seconds')}"
            )
        answer: tuple[bool, Any] = self._pipe.recv()
        return answer


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]


def _cause(exit_code: int | None) -> str:
    return signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"


def _serve(pipe: Connection, options: WorkerOptions) -> None:
    """The life of a worker: jobs from the pipe until it closes."""
    end_with_parent()
    os.nice(options.niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to end
    logs.start(options.log_level, options.log_format, "decoder")
    importlib.import_module(options.module)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.memory_bytes <= sys.maxsize:  # of more the system knows nothing: it is no limit
        resource.setrlimit(resource.RLIMIT_DATA, (round(options.memory_bytes),) * 2)
    gc.freeze()  # what is imported by now stays: the collections after each video need not look through it again
    while True:
        if options.when_idle and not pipe.poll(options.idle_seconds):
            options.when_idle()
        try:
            what, job = pipe.recv()
        except EOFError:
            return
        with contextlib.suppress(MemoryError):  # an answer is copied first: if that fails, nothing of it has left
            pipe.send(_done(what, job, options.memory_bytes))
            continue
        pipe.send((False, _too_much_memory(what, options.memory_bytes)))


def _done(what: str, job: Callable[[], Any], memory_bytes: float) -> tuple[bool, Any]:
    """Whether the job was done, and its result, else its error."""
    try:
        return True, job()
    except ClipSeekError as error:
        return False, error
    except (MemoryError, av.error.MemoryError):
        return False, _too_much_memory(what, memory_bytes)
    except av.FFmpegError as error:
        return False, UnreadableVideo(f"{_sentence(what)} cannot be decoded (FFmpeg: {error.strerror})")
    except OSError as error:
        return False, error
    except Exception as error:
        logger.exception("%s failed", what)
        return False, UnreadableVideo(f"{_sentence(what)} cannot be decoded ({type(error).__name__}: {error})")


def _too_much_memory(what: str, memory_bytes: float) -> LimitExceeded:
    variable = variable_of("max_worker_gb")
    if math.isinf(memory_bytes):
        return LimitExceeded(f"{_sentence(what)} needs more memory than the server has ({variable} sets no limit)")
    return LimitExceeded(
        f"{_sentence(what)} needs more than the {memory_bytes / 1e9:g} GB that a decoder may use ({variable})"
    )
