"""`clipseek compat`: answer the requests of programs that were written for VCED."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipseek.api.errors import InvalidSetting, ServerNotReady, ServerUnreachable
from clipseek.cli.options import host_option
from clipseek.config.addresses import DEFAULT_PORT, parse_host
from clipseek.config.distribution import check_vced_install
from clipseek.config.libraries import state_file
from clipseek.config.settings import Settings
from clipseek.machine.private_files import protect
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.client import Client

_BIND = "127.0.0.1"


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
@host_option
def compat(folders: tuple[Path, ...], port: int, host: str | None) -> None:
    """Serve VCED's page and scripts, unchanged.

    The command runs until Ctrl-C (SIGINT) or SIGTERM, and listens on VCED's port, for this machine only. It accepts
    VCED's requests /index and /search, and forwards them to a ClipSeek server on another port. Requests name videos by
    their paths on this machine: videos below FOLDER are uploaded, others are refused. See docs/from-vced.md.

    \b
      clipseek serve --port 45680
      clipseek compat ~/vced/code/web/data --host grpc://127.0.0.1:45680
    """
    check_vced_install()
    from clipseek.client import Client
    from clipseek.vced.requests import KnownVideos, Vced
    from clipseek.vced.server import CompatServer

    protect(Settings.from_env().home)
    with Client(host) as client:
        _check_ports(client, port)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        videos = KnownVideos(state_file(Settings.from_env(), client.address, "vced.json"))
        with CompatServer(Vced(client, folders, videos), port):
            say(f"VCED's programs can connect to grpc://{_BIND}:{port}. Ctrl-C stops it.", style="bold green")
            say(f"  server  {client.address}{_state(client)}")
            say(f"  videos  below {', '.join(str(folder.resolve()) for folder in folders)}")
            stop.wait()
    say("Stopped.")


def _check_ports(client: "Client", port: int) -> None:
    """Check that the port is free.

    Raises: InvalidSetting: the ClipSeek server has it. ServerNotReady: another program has it.
    """
    from clipseek.machine.ports import is_port_free

    if parse_host(client.address) in {(name, port) for name in (_BIND, "localhost", "0.0.0.0")}:
        raise InvalidSetting(
            f"Port {port} is both the port to listen on and the server's ({client.address}). Start the server on "
            f"another port (clipseek serve --port {port + 1}), and add --host grpc://{_BIND}:{port + 1}."
        )
    if not is_port_free(_BIND, port):
        raise ServerNotReady(
            f"Port {port} on {_BIND} is taken. Stop the program that listens there, or choose another: --port."
        )


def _state(client: "Client") -> str:
    try:
        client.health()
    except ServerUnreachable:
        return " (does not answer yet)"
    return ""
