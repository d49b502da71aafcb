"""The runner of jobs beside the service: one that hangs is killed, and another one starts."""

import os
import signal
import time
from dataclasses import replace

import psutil

from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port
from clipseek.service.job_process import JobProcess


def runners() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE and "jobs" in child.cmdline()]


def until(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
