"""A stop ends every process in time, whatever they do, and so does the death of the process that started them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.stubborn import BESIDE, BROWSER, NICE, STOPPED, STUCK, WITH_CHILD

ROOT = Path(__file__).parents[3]
PROMISED_SECONDS = 5.0
BUSY_SECONDS = 2.0  # what a machine with other work may add to it


@dataclass
class Stubborn:
    """The processes of `tests/stubborn.py`, all running."""

    process: subprocess.Popen[str]
    family: list[psutil.Process]
    browser: psutil.Process  # the first process started it, and it belongs to the user
    folder: Path

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal to the first process. Returns: its exit code, and the seconds until all have ended."""
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        while any(map(is_running, self.family)) and time.monotonic() < started + PROMISED_SECONDS + BUSY_SECONDS:
            time.sleep(0.02)
        assert not [process for process in self.family if is_running(process)]
        return code, time.monotonic() - started


def is_running(process: psutil.Process) -> bool:
    """Whether it runs. A process that ended stays in the list of the system until its parent, or init, asks for it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def stubborn(tmp_path) -> Iterator[Stubborn]:
    told = tmp_path / "pids.json"
    arguments = [sys.executable, "-m", "tests.stubborn", str(told)]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        pids = json.loads(told.read_text())
        assert set(pids) == {BROWSER, BESIDE, NICE, STUCK, STOPPED, WITH_CHILD, f"{WITH_CHILD}/0"}
        browser = psutil.Process(pids.pop(BROWSER))
        family = [psutil.Process(pid) for pid in pids.values()]
        yield Stubborn(process, family, browser, tmp_path)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        for pid in json.loads(told.read_text()).values() if told.exists() else ():
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_process_in_five_seconds(stubborn, number):
    code, seconds = stubborn.end(number)
    assert code == 0
    assert seconds < PROMISED_SECONDS + BUSY_SECONDS
    assert stubborn.process.stdout.read() == f"after 3.5 s: {BESIDE} {STOPPED} {STUCK} {WITH_CHILD}\n"
    assert is_running(stubborn.browser)
    assert (stubborn.folder / "done").exists()  # who ends by itself finishes its work


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot kill a process with its parent")
def test_no_process_outlives_a_killed_parent(stubborn):
    orphan = stubborn.family.pop()  # its parent did not ask for it
    code, _ = stubborn.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    orphan.kill()
