"""Threads that callers share fairly: each caller's next task comes before another caller's second one."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class FairQueue:
    """A queue of tasks in front of `threads` threads, with a line for each caller. The lines take turns."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._lines: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}  # the next one first
        self._lock = threading.Lock()

    def submit(self, caller: str, task: Callable[[], T]) -> Future[T]:
        """Put a task at the end of its caller's line. Returns: its result, once it has been done."""
        future: Future[T] = Future()
        with self._lock:
            self._lines.setdefault(caller, deque()).append((future, task))
        self._pool.submit(self._work)
        return future

    def _work(self) -> None:
        """Do the next task; there is one for each call, unless it was refused."""
        with self._lock:
            caller = next(iter(self._lines), None)
            if caller is None:
                return
            line = self._lines.pop(caller)
            future, task = line.popleft()
            if line:
                self._lines[caller] = line  # behind the others
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(task())
        except BaseException as error:  # noqa: BLE001 (raised again where the result is read)
            future.set_exception(error)

    def refuse_waiting(self, error: Exception) -> None:
        """Fail the tasks that wait; those under way, and later ones, are done."""
        with self._lock:
            waiting = [future for line in self._lines.values() for future, _ in line]
            self._lines.clear()
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def close(self) -> None:
        """Cancel the tasks that wait, and wait for those under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting = [future for line in self._lines.values() for future, _ in line]
        for future in waiting:
            future.cancel()
        self._pool.shutdown(wait=True)
