"""Worker processes: what they answer, what becomes of one that crashes, hangs or wants too much, and their end."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import psutil
import pytest

from clipseek.errors import DeadlineExceeded, DecoderCrashed, InvalidTimeRange, LimitExceeded, UnreadableVideo
from executors.video_loader.worker import WorkerOptions, Workers
from tests.unit.video_loader import worker_jobs

OPTIONS = WorkerOptions("executors.video_loader.worker", 500_000_000, "WARNING")


@pytest.fixture(scope="module")
def workers():
    made = Workers(1, OPTIONS)
    yield made
    made.close()


def run(workers, function, *args, deadline_seconds=60.0):
    return workers.run("the span [0, 30) s of 'a.mp4'", deadline_seconds, function, *args)


def test_results_come_back_from_the_same_process(workers):
    pid = run(workers, os.getpid)
    assert pid != os.getpid()
    assert run(workers, os.getpid) == pid
    assert run(workers, bytes, 20_000_000) == bytes(20_000_000)


def test_an_idle_worker_is_told_so_and_works_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    idle = Workers(1, replace(OPTIONS, when_idle=worker_jobs.make_idle_file, idle_seconds=0.05))
    try:
        pid = run(idle, os.getpid)
        deadline = time.monotonic() + 60
        while not Path(f"idle-{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Path(f"idle-{pid}").exists()
        assert run(idle, os.getpid) == pid
    finally:
        idle.close()


@pytest.mark.parametrize("number", [11, 6, 9])
def test_a_worker_that_crashes_is_named_and_replaced(workers, number):
    pid = run(workers, os.getpid)
    with pytest.raises(DecoderCrashed, match=r"The span \[0, 30\) s of 'a.mp4' crashed the decoder \(SIG"):
        run(workers, worker_jobs.die, number)
    assert run(workers, os.getpid) != pid


def test_a_worker_killed_between_jobs_is_replaced(workers):
    pid = run(workers, os.getpid)
    victim = psutil.Process(pid)
    victim.kill()
    psutil.wait_procs([victim], timeout=30)
    assert run(workers, os.getpid) != pid


def test_a_worker_that_hangs_is_killed_at_its_deadline(workers):
    process = psutil.Process(run(workers, os.getpid))
    with pytest.raises(DeadlineExceeded, match=r"was given up after 1 s.*CLIPSEEK_DECODE_TIMEOUT"):
        run(workers, time.sleep, 3600, deadline_seconds=1.0)
    assert not process.is_running()
    assert run(workers, os.getpid) != process.pid


def test_a_worker_that_wants_too_much_memory_is_refused_it(workers):
    with pytest.raises(LimitExceeded, match=r"more than the 0.5 GB.*CLIPSEEK_MAX_WORKER_GB"):
        run(workers, bytes, 2_000_000_000)


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (InvalidTimeRange("not a range"), InvalidTimeRange, "^not a range$"),
        (av.error.InvalidDataError(1, "Invalid data"), UnreadableVideo, "FFmpeg: Invalid data"),
        (ZeroDivisionError("by zero"), UnreadableVideo, "ZeroDivisionError: by zero"),
        (FileNotFoundError(2, "No such file"), FileNotFoundError, "No such file"),
    ],
)
def test_errors_come_back_named(workers, error, raised, message):
    with pytest.raises(raised, match=message):
        run(workers, worker_jobs.fail, error)


def test_a_killed_parent_leaves_no_worker():
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.video_loader.worker_jobs"], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
    assert not psutil.wait_procs(workers, timeout=30)[1]
