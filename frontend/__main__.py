"""Serves the page for a process that started this one: `python -m frontend --address ADDRESS --port PORT`.

It ends when its standard input does, where that is a pipe, which the other process holds: so it never outlives it. In a
container there is none.
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

_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m frontend", description="Serve ClipSeek's page.")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", required=True)
    options = parser.parse_args()
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_end_with_input, name="end-with-input", daemon=True).start()
    settings = Settings.from_env()
    logs.start(settings.log_level, settings.log_format, "page")
    from streamlit.web.cli import main as streamlit

    from frontend.uploads import quirks

    quirks.install()
    import clipseek.client  # noqa: F401 (takes seconds: let the first visitor not wait for it)

    threading.Thread(target=_warm, name="warm", daemon=True).start()
    app = Path(__file__).with_name("app.py")
    sys.argv = ["streamlit", "run", str(app), f"--server.address={options.address}", f"--server.port={options.port}"]
    streamlit()


def _warm() -> None:
    """Do what the first visitor would wait for: import the rest, read how images are read, connect to the server."""
    from PIL import Image
    from streamlit import runtime

    from clipseek.api.errors import ClipSeekError

    while not runtime.exists():  # without it Streamlit complains of caches
        time.sleep(_POLL_SECONDS)
    from frontend.components.search import results  # noqa: F401
    from frontend.shared import services

    Image.init()
    with contextlib.suppress(ClipSeekError):  # the page says it in words
        services().client.videos()


def _end_with_input() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # Streamlit ends by itself then, and temporary files go
    time.sleep(_STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
