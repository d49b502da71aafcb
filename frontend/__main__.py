"""Serves the page for a process that started this one: `python -m frontend --address ADDRESS --port PORT`.

Where standard input is a pipe, the other process holds its far end. The page stops when that pipe closes, so it never
outlives its parent. In a container there is no pipe.
"""

import argparse
import contextlib
import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

from clipseek.config.settings import Settings
from clipseek.machine import logs
from clipseek.machine.parent import kill_with_parent
from clipseek.machine.private_files import make_private_from_now_on, protect

_STOP_SECONDS = 1.0  # for Streamlit to delete its temporary files; the service kills the page soon after
_POLL_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m frontend", description="Serve ClipSeek's page.")
    parser.add_argument("--address", required=True, help="the address to listen on, such as 127.0.0.1")
    parser.add_argument("--port", required=True, help="the port to listen on, such as 8501")
    options = parser.parse_args()
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        kill_with_parent()
        threading.Thread(target=_stop_when_input_closes, name="stop-with-input", daemon=True).start()
    settings = Settings.from_env()
    logs.start(settings.log_level, settings.log_format, "page")
    make_private_from_now_on()
    protect(settings.home)
    _serve(options.address, options.port, settings.page_hosts)


def _serve(address: str, port: str, names: tuple[str, ...]) -> None:
    from streamlit.web.cli import main as streamlit

    from frontend.server import quirks as server_quirks
    from frontend.server.request_check import RequestCheck
    from frontend.uploads import quirks as upload_quirks

    upload_quirks.install()
    server_quirks.install(RequestCheck(address, names))
    import clipseek.client  # noqa: F401 (takes seconds, so import it before the first visit)

    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    app = Path(__file__).with_name("app.py")
    options = {
        "address": address,
        "port": port,
        "useStarlette": "false",  # the checks are for Tornado
        "enableXsrfProtection": "true",
        "enableCORS": "true",
    }
    sys.argv = ["streamlit", "run", str(app), *(f"--server.{name}={value}" for name, value in options.items())]
    sys.argv += [f"--server.corsAllowedOrigins=https://{_in_url(name)}" for name in names]
    streamlit()


def _in_url(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _warm_up() -> None:
    """Do what would delay the first visitor: import the rest, load the image formats, connect to the server."""
    from PIL import Image
    from streamlit import runtime

    from clipseek.api.errors import ClipSeekError

    while not runtime.exists():  # before that, Streamlit warns about the use of its caches
        time.sleep(_POLL_SECONDS)
    from frontend.components.search import results  # noqa: F401
    from frontend.services import services

    Image.init()
    with contextlib.suppress(ClipSeekError):  # the page itself shows the error
        services().client.videos()


def _stop_when_input_closes() -> None:
    while os.read(sys.stdin.fileno(), 1):  # a reader of Python's own would hold its lock when this process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # lets Streamlit stop and delete its temporary files
    time.sleep(_STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
