"""The runner of jobs beside the service: one that hangs is killed, and another one starts."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil

from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port
from clipseek.service import job_process
from clipseek.service.job_process import JobProcess


def runners() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE and "jobs" in child.cmdline()]


def until(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_runner_that_cannot_be_started_is_tried_again(tmp_path, capfd, monkeypatch):
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", port=free_port("127.0.0.1"))
    start, starts = subprocess.Popen, []

    def start_something(_, **options):
        starts.append(time.monotonic())
        if len(starts) in (2, 3):
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        code = "pass" if len(starts) == 1 else "import sys; sys.stdin.read()"
        return start([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", start_something)
    monkeypatch.setattr(job_process, "FIRST_PAUSE_SECONDS", 0.01)
    with JobProcess(replace(settings, flow_secret="5e" * 32)) as process:
        until(lambda: len(starts) == 4, 30.0)
        until(lambda: process._process.poll() is None)
    told = capfd.readouterr().err
    assert told.count("The job runner cannot be started ([Errno 11] Resource temporarily unavailable).") == 2


def test_a_runner_that_hangs_is_replaced(tmp_path, capfd):
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", port=free_port("127.0.0.1"))
    with JobProcess(replace(settings, flow_secret="5e" * 32), silent_seconds=5.0):
        until(runners)
        [first] = runners()
        os.kill(first.pid, signal.SIGSTOP)
        until(lambda: [runner for runner in runners() if runner.pid != first.pid])
        assert not first.is_running()
    assert "The job runner hangs: no sign of life for 5 s. It is killed." in capfd.readouterr().err
    assert not runners()
