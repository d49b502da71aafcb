"""The page beside the service: a process of its own that ends with this one."""

import http.client
import importlib.util
import os
import subprocess
import sys
import threading
import time
import webbrowser
from typing import Self

from clipseek.api.errors import ServerNotReady
from clipseek.config.settings import Settings, variable_of
from clipseek.machine.module_call import PYTHON
from clipseek.machine.ports import free_port, is_port_free
from clipseek.machine.talk import say
from clipseek.service.stop import end_with_flow

PAGE_BIND = "127.0.0.1"  # the page asks for no password, so it serves this machine only
_START_SECONDS = 120.0  # importing Streamlit takes seconds, on a busy machine many
_STOP_SECONDS = 0.9  # then it is killed, where no stop of the service has killed it before
_POLL_SECONDS = 0.2


def _choose_port(settings: Settings) -> int:
    """The port that the settings name, or another where it is taken, also by what is still to start."""
    port, reserved = settings.page_port, (settings.port, settings.metrics_port)
    if port not in reserved and is_port_free(PAGE_BIND, port):
        return port
    return free_port(PAGE_BIND, reserved)


class Page:
    """The page's process, serving `address`, started by `start` and ended by `close` or with this process.

    The page reads the other end of a pipe as its standard input. That ends with this process, however it ends, and the
    page exits.
    """

    def __init__(self, settings: Settings, host: str) -> None:
        self.port = _choose_port(settings)
        self.address = f"http://{PAGE_BIND}:{self.port}"
        self._settings, self._host = settings, host
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the page and wait until it answers.

        Raises: ServerNotReady: Streamlit is not installed, or the page ended at once.
        """
        if importlib.util.find_spec("streamlit") is None:
            raise ServerNotReady(
                "The page needs Streamlit: install ClipSeek with its extra `page` (in a clone: pip install '.[page]'), "
                "or serve without --page."
            )
        self._process = subprocess.Popen(
            [*PYTHON, "-m", "frontend", "--address", PAGE_BIND, "--port", str(self.port)],
            env={**_environment(self._settings), "CLIPSEEK_HOST": self._host},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to this process only, which then ends the page
        )
        end_with_flow("page", self._process)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise ServerNotReady(
                    f"The page did not start at {self.address} (exit code {self._process.returncode}). Its messages "
                    f"are above. Another port may help: CLIPSEEK_PAGE_PORT."
                )
            time.sleep(_POLL_SECONDS)
        threading.Thread(target=self._report_end, args=(self._process,), name="watch-page", daemon=True).start()

    def ask_to_end(self) -> None:
        self._closing = True
        if self._process and self._process.stdin:
            self._process.stdin.close()  # then it exits; a signal would interrupt that and print a traceback

    def close(self) -> None:
        process = self._process
        if process is None:
            return
        self.ask_to_end()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(PAGE_BIND, self.port, timeout=2.0)
        try:
            connection.request("GET", "/_stcore/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _report_end(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        if not self._closing:
            say(
                f"clipseek: The page stopped (exit code {code}), the service still runs. Restart it for the page.",
                "red",
            )


def _environment(settings: Settings) -> dict[str, str]:
    """This process's environment and the settings, without the secret that executors trust."""
    environ = {**os.environ, **settings.to_env()}
    return {name: value for name, value in environ.items() if name != variable_of("flow_secret")}


def show_page(page: Page) -> None:
    """Print the page's address, and open it in a browser if this is someone's desktop."""
    say(f"The page: {page.address}", style="bold green")
    has_screen = sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    if has_screen and sys.stderr.isatty():
        webbrowser.open(page.address)
