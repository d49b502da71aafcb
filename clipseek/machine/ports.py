"""Free ports that stay free until a server listens: the system gives them to no outgoing connection."""

import errno
import random
import socket
from collections.abc import Collection
from pathlib import Path

from clipseek.api.errors import InvalidSetting

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")  # Linux: first and last port of outgoing connections
_OUTGOING_ELSEWHERE = 49152, 65535  # the range that IANA reserves for them
_FIRST = 20000  # most well-known services have ports below
_ENOUGH = 1000


def _quiet_ports() -> range:
    """Ports that outgoing connections do not use: those come and go by the thousand, and take any free port."""
    try:
        low, high = map(int, _OUTGOING.read_text().split())
    except (OSError, ValueError):
        low, high = _OUTGOING_ELSEWHERE
    quiet = max(range(_FIRST, low), range(high + 1, 65536), key=len)
    return quiet if len(quiet) >= _ENOUGH else range(_FIRST, 65536)


def executor_ports() -> range:
    """The ports that executors draw from, seconds before they listen. `free_port` returns none of these."""
    quiet = _quiet_ports()
    return quiet[: len(quiet) // 2]


def environment_for_jina() -> dict[str, str]:
    """Environment that makes Jina draw the ports of executors from `executor_ports`."""
    ports = executor_ports()
    return {"JINA_RANDOM_PORT_MIN": str(ports[0]), "JINA_RANDOM_PORT_MAX": str(ports[-1])}


def free_port(bind: str, reserved: Collection[int | None] = ()) -> int:
    """A port that is free now, and very likely still in a minute; none of the reserved ones.

    Raises: InvalidSetting: this machine does not have the address `bind`.
    """
    quiet = _quiet_ports()
    own = quiet[len(quiet) // 2 :]
    for port in random.sample(own, len(own)):
        if port not in reserved and is_port_free(bind, port):
            return port
    with socket.create_server((bind, 0)) as any_port:
        return int(any_port.getsockname()[1])


def is_port_free(bind: str, port: int, setting: str = "CLIPSEEK_BIND (--bind)") -> bool:
    """Whether a server could listen there now. The message names the setting that the address comes from.

    Raises: InvalidSetting: this machine does not have the address `bind`, or this user may not listen on the port.
    """
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EACCES:
                advice = "Ports below 1024 need a right that this user lacks: choose a port from 1024 on."
            else:
                advice = f"{setting} takes an IPv4 address of this machine: 127.0.0.1, or 0.0.0.0 for all addresses."
            raise InvalidSetting(
                f"The server cannot listen on '{bind}', port {port} ({error.strerror}). {advice}"
            ) from error
    return True
