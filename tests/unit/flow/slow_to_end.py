"""Processes of a Flow that Python would take long to take apart, as it does with torch on a busy machine."""

import atexit
import threading
import time
from pathlib import Path

from clipseek.config.settings import Settings
from executors.flow.executor import ChainExecutor

SECONDS = 30.0


def close_an_executor(folder: Path, *, fails: bool) -> None:
    """Start and close an executor whose state is written as it closes, or fail before it is closed."""
    executor = Saving(Settings(home=folder / "home", cache=folder / "cache"), runtime_args={"name": "saving"})
    if fails:
        raise SystemExit(7)
    atexit.register(time.sleep, SECONDS)
    executor.queues[""].submit("anyone", executor.work)
    executor.begun.wait()
    executor.close()


class Saving(ChainExecutor):
    def load(self) -> None:
        self.begun = threading.Event()
        self.settings.home.mkdir(exist_ok=True)

    def work(self) -> None:
        self.begun.set()
        time.sleep(0.5)
        (self.settings.home / "worked").touch()

    def close(self) -> None:
        super().close()
        (self.settings.home / "saved").touch()
