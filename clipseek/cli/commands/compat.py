"""`clipseek compat`: answer the requests of programs that were written for VCED."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipseek.api.errors import InvalidSetting, ServerNotReady, ServerUnreachable
from clipseek.cli.terminal import say
from clipseek.config.addresses import DEFAULT_PORT, parse_host
from clipseek.config.distribution import check_vced_install
from clipseek.config.settings import Settings
from clipseek.machine.state_files import state_file

if TYPE_CHECKING:
    from clipseek.client import Client


@click.command()
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="FOLDER...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Port to listen on: VCED's."
)
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Server that answers in truth, grpc://HOST:PORT. [default: $CLIPSEEK_HOST, else this machine's own server]",
)
def compat(folders: tuple[Path, ...], port: int, host: str | None) -> None:
    """Answer VCED's page and scripts, unchanged, until Ctrl-C (SIGINT) or SIGTERM.

    It listens to this machine only, on VCED's port, takes the requests that they send, /index and /search, and asks a
    ClipSeek server on another port for the answers. They name videos by their paths on this machine: those below
    FOLDER are uploaded, others are refused. See docs/from-vced.md.

    \b
      clipseek serve --port 45680
      clipseek compat ~/vced/code/web/data --host grpc://127.0.0.1:45680
    """
    check_vced_install()
    from clipseek.client import Client
    from clipseek.machine.ports import is_port_free
    from clipseek.vced.known_videos import KnownVideos
    from clipseek.vced.requests import Vced
    from clipseek.vced.server import BIND, CompatServer

    settings = Settings.from_env()
    with Client(host) as client:
        if parse_host(client.address) in {(name, port) for name in (BIND, "localhost", "0.0.0.0")}:
            raise InvalidSetting(
                f"The server is to be at {client.address}, where this is to listen. Start it on another port (clipseek "
                f"serve --port {port + 1}), and name that with --host grpc://{BIND}:{port + 1}."
            )
        if not is_port_free(BIND, port):
            raise ServerNotReady(f"Port {port} on {BIND} is taken. Stop what listens there, or choose another: --port.")
        videos = KnownVideos(state_file(settings, client.address, "vced.json"))
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        with CompatServer(Vced(client, folders, videos), port):
            say(f"VCED's programs are answered on grpc://{BIND}:{port}. Ctrl-C stops it.", style="bold green")
            say(f"  server  {client.address}{_state(client)}")
            say(f"  videos   below {', '.join(str(folder.resolve()) for folder in folders)}")
            stop.wait()
    say("Stopped.")


def _state(client: "Client") -> str:
    try:
        client.health()
    except ServerUnreachable:
        return " (does not answer yet)"
    return ""
