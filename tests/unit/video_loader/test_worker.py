"""Worker processes: their results, how they crash, hang or run out of memory, and their end."""

import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import psutil
import pytest

from clipseek.api.errors import DeadlineExceeded, DecoderCrashed, InvalidTimeRange, LimitExceeded, UnreadableVideo
from executors.machine.worker import WorkerPool
from executors.video_loader.workers.video_workers import explain_error
from tests.unit.video_loader import worker_tasks
from tests.unit.video_loader.worker_tasks import OPTIONS


@pytest.fixture(scope="module")
def workers():
    made = WorkerPool(1, OPTIONS)
    yield made
    made.close()


def run(workers, function, *args, deadline_seconds=60.0):
    return workers.run("the span [0, 30) s of 'a.mp4'", deadline_seconds, function, *args)


def test_a_process_starts_with_the_first_task_and_is_used_again_before_another_one():
    pool = WorkerPool(2, OPTIONS)
    try:
        started = [worker._process for worker in pool._all]
        assert len({run(pool, os.getpid) for _ in range(4)}) == 1
        assert (started, [worker._process for worker in pool._all].count(None)) == ([None, None], 1)
    finally:
        pool.close()


def test_results_come_back_from_the_same_process(workers):
    pid = run(workers, os.getpid)
    assert pid != os.getpid()
    assert run(workers, os.getpid) == pid
    assert run(workers, bytes, 20_000_000) == bytes(20_000_000)


def test_an_idle_worker_calls_its_function_and_works_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    idle = WorkerPool(1, replace(OPTIONS, when_idle=worker_tasks.make_idle_file, idle_seconds=0.05))
    try:
        pid = run(idle, os.getpid)
        deadline = time.monotonic() + 60
        while not Path(f"idle-{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Path(f"idle-{pid}").exists()
        assert run(idle, os.getpid) == pid
    finally:
        idle.close()


def test_a_worker_that_ends_when_idle_leaves_no_process_and_starts_again():
    pool = WorkerPool(1, replace(OPTIONS, ends_when_idle=True, idle_seconds=0.2))
    try:
        process = psutil.Process(run(pool, os.getpid))
        assert psutil.wait_procs([process], timeout=30) == ([process], [])
        assert run(pool, os.getpid) != process.pid
    finally:
        pool.close()


def test_no_task_fails_that_comes_as_a_worker_ends():
    pool = WorkerPool(1, replace(OPTIONS, ends_when_idle=True, idle_seconds=0.0))
    try:
        pids = set()
        for number in range(12):
            assert run(pool, pow, number, 2) == number**2
            pids.add(run(pool, os.getpid))
            pool._end_idle()
        assert len(pids) > 1
    finally:
        pool.close()
    assert all(worker._exit_code is not None for worker in pool._all)


def test_a_worker_at_work_is_not_idle():
    pool = WorkerPool(1, replace(OPTIONS, ends_when_idle=True, idle_seconds=0.0))
    try:
        run(pool, os.getpid)
        worker = pool._idle.get()  # as a task takes it
        pool._end_idle()
        pool._idle.put(worker)
        assert run(pool, pow, 2, 2) == 4
    finally:
        pool.close()


@pytest.mark.parametrize("number", [11, 6, 9])
def test_a_worker_that_crashes_is_named_and_replaced(workers, number):
    pid = run(workers, os.getpid)
    with pytest.raises(DecoderCrashed, match=r"The span \[0, 30\) s of 'a.mp4' crashed the decoder \(SIG.*Convert it$"):
        run(workers, worker_tasks.die, number)
    assert run(workers, os.getpid) != pid


def test_a_worker_killed_between_tasks_is_replaced(workers):
    pid = run(workers, os.getpid)
    victim = psutil.Process(pid)
    victim.kill()
    psutil.wait_procs([victim], timeout=30)
    assert run(workers, os.getpid) != pid


@contextmanager
def files_left(count: int) -> Iterator[None]:
    """Let this process open only this many more files."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = (number for number in range(usual[0]) if not Path(f"/proc/self/fd/{number}").exists())
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(islice(free, count, None)), usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def test_a_worker_that_cannot_start_again_is_tried_again_by_the_next_task():
    workers = WorkerPool(1, OPTIONS)
    try:
        with pytest.raises(DecoderCrashed):
            run(workers, worker_tasks.die, 9)
        before = psutil.Process().num_fds()
        with pytest.raises(OSError, match="Too many open files"), files_left(3):  # enough for its pipe, not for itself
            run(workers, os.getpid)
        assert psutil.Process().num_fds() <= before
        assert run(workers, os.getpid) != os.getpid()
        with pytest.raises(DecoderCrashed):
            run(workers, worker_tasks.die, 9)
        with pytest.raises(OSError, match="Too many open files"), files_left(3):
            run(workers, os.getpid)
    finally:
        workers.close()


def test_a_worker_killed_while_it_answers_is_named_and_replaced(workers):
    pid = run(workers, os.getpid)
    with pytest.raises(DecoderCrashed, match=r"The span \[0, 30\) s of 'a.mp4' crashed the decoder \(SIGKILL\)"):
        run(workers, worker_tasks.die_while_answering)
    assert run(workers, os.getpid) != pid


@pytest.mark.parametrize("deadline_seconds", [math.inf, 1e10])
def test_a_deadline_may_be_arbitrarily_late(workers, deadline_seconds):
    assert run(workers, bytes, 3, deadline_seconds=deadline_seconds) == bytes(3)
    assert run(workers, bytes, 5) == bytes(5)


def test_an_answer_that_was_not_waited_for_is_never_the_next_tasks(workers):
    with pytest.raises(ValueError, match="NaN"):
        run(workers, bytes, 3, deadline_seconds=math.nan)
    assert run(workers, bytes, 5) == bytes(5)


def test_a_worker_that_hangs_is_killed_at_its_deadline(workers):
    process = psutil.Process(run(workers, os.getpid))
    with pytest.raises(DeadlineExceeded, match=r"took more than 1 s.*CLIPSEEK_DECODE_TIMEOUT"):
        run(workers, time.sleep, 3600, deadline_seconds=1.0)
    assert not process.is_running()
    assert run(workers, os.getpid) != process.pid


def test_a_worker_that_needs_too_much_memory_is_refused(workers):
    with pytest.raises(LimitExceeded, match=r"more than the 0.5 GB.*CLIPSEEK_MAX_WORKER_GB"):
        run(workers, bytes, 2_000_000_000)


def test_an_answer_too_large_to_send_is_refused(workers):
    pid = run(workers, os.getpid)
    with pytest.raises(LimitExceeded, match=r"The span .* more than the 0.5 GB.*CLIPSEEK_MAX_WORKER_GB"):
        run(workers, bytes, 300_000_000)  # it fits once, but not twice
    assert run(workers, os.getpid) == pid


@pytest.mark.parametrize("memory_bytes", [math.inf, 1e20])
def test_a_worker_without_a_limit_has_the_systems(memory_bytes):
    unlimited = WorkerPool(1, replace(OPTIONS, memory_bytes=memory_bytes))
    try:
        assert run(unlimited, resource.getrlimit, resource.RLIMIT_DATA) == resource.getrlimit(resource.RLIMIT_DATA)
        with pytest.raises(LimitExceeded, match="needs more"):
            run(unlimited, bytes, 2**62)
    finally:
        unlimited.close()


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (InvalidTimeRange("not a range"), InvalidTimeRange, "^not a range$"),
        (ZeroDivisionError("by zero"), UnreadableVideo, "^The span .*ZeroDivisionError: by zero"),
    ],
)
def test_errors_come_back_named(workers, error, raised, message):
    with pytest.raises(raised, match=message):
        run(workers, worker_tasks.fail, error)


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (
            av.error.InvalidDataError(1, "Invalid data"),
            UnreadableVideo,
            "'a.mp4' cannot be decoded (FFmpeg: Invalid data)",
        ),
        (
            av.error.FileNotFoundError(2, "No such file"),
            UnreadableVideo,
            "'a.mp4' cannot be decoded (FFmpeg: No such file)",
        ),
        (ZeroDivisionError("by zero"), UnreadableVideo, "'a.mp4' cannot be decoded (ZeroDivisionError: by zero)"),
        (FileNotFoundError(2, "No such file"), FileNotFoundError, "[Errno 2] No such file"),
    ],
)
def test_what_a_video_provokes_is_named(error, raised, message):
    explained = explain_error("'a.mp4'", error)
    assert (type(explained), str(explained)) == (raised, message)


def test_the_start_of_a_process_is_not_the_time_of_its_task(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(2)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(tmp_path)
    slow = WorkerPool(1, replace(OPTIONS, module="slow_to_import"))
    try:
        assert run(slow, os.getpid, deadline_seconds=1.0) != os.getpid()
    finally:
        slow.close()


def test_a_killed_parent_leaves_no_worker():
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.video_loader.worker_tasks"], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
    assert not psutil.wait_procs(workers, timeout=30)[1]
