"""The runner of jobs beside the service: a process of its own, restarted when it dies, that ends with this one."""

import contextlib
import os
import selectors
import subprocess
import threading
import time
from typing import Self

from clipseek.config.settings import Settings, variable_of
from clipseek.machine.module_call import PYTHON
from clipseek.machine.talk import say
from clipseek.service.stop import end_with_flow
from clipseek.service.supervise import FIRST_PAUSE_SECONDS, HEALTHY_SECONDS, LONGEST_PAUSE_SECONDS

BEAT_SECONDS = 1.0  # between two signs of life
_SILENT_SECONDS = 60.0  # of a process that hangs; on a busy machine the start alone takes half of that
_STOP_SECONDS = 1.5  # then it is killed, where no stop of the service has killed it before
UNTIL_STDIN_ENDS = "--until-stdin-ends"


class JobProcess:
    """`clipseek jobs run` for the server that these settings start; it waits until that answers.

    It reads the other end of a pipe as its standard input. That ends with this process, however it ends. On its
    standard output it gives signs of life: without one for `silent_seconds` it hangs, and is killed.
    """

    def __init__(self, settings: Settings, silent_seconds: float = _SILENT_SECONDS) -> None:
        self._silent_seconds = silent_seconds
        own = {variable_of("host"): settings.local_host, variable_of("flow_secret"): settings.flow_secret}
        self._environ = {**os.environ, **settings.to_env(), **own}
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="watch-jobs", daemon=True)
        self._closing = threading.Event()
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        self._start()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask_to_end(self) -> None:
        """Have it give its jobs back and exit."""
        self._closing.set()
        with self._changing:
            if self._process and self._process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()

    def close(self) -> None:
        """End it, and kill it if that takes long."""
        self.ask_to_end()
        if self._process:
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._watcher.is_alive():
            self._watcher.join(_STOP_SECONDS)

    def _start(self) -> None:
        with self._changing:
            if not self._closing.is_set():
                self._process = subprocess.Popen(
                    [*PYTHON, "-m", "clipseek", "jobs", "run", UNTIL_STDIN_ENDS],
                    env=self._environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C goes to this process only, which then ends it
                )
                end_with_flow("job runner", self._process)

    def _watch(self) -> None:
        """Start it again each time it dies, after a pause that doubles until it has run for a minute."""
        pause = FIRST_PAUSE_SECONDS
        while self._process and not self._closing.is_set():
            started = time.monotonic()
            code = self._wait(self._process)
            if self._closing.is_set():
                return
            if time.monotonic() - started > HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            say(f"clipseek: The job runner died: exit code {code}. It restarts in {pause:g} s.")
            if self._closing.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            pause = self._start_again(pause)

    def _start_again(self, pause: float) -> float:
        """Start it, as soon as the system has room for a process. Returns: the pause after its next death."""
        while True:
            try:
                self._start()
            except OSError as error:
                say(f"clipseek: The job runner cannot be started ({error}). The next try is in {pause:g} s.")
                if not self._closing.wait(pause):
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                    continue
            return pause

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait until a process has ended, and end it if it hangs. Returns: its exit code."""
        assert process.stdin is not None and process.stdout is not None
        with selectors.DefaultSelector() as selector, process.stdin, process.stdout as output:
            selector.register(output, selectors.EVENT_READ)
            while signs := selector.select(self._silent_seconds):
                if not os.read(output.fileno(), 4096):  # it ends
                    break
            if not signs and not self._closing.is_set():
                say(f"clipseek: The job runner hangs: no sign of life for {self._silent_seconds:g} s. It is killed.")
                process.kill()
        return process.wait()
