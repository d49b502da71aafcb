"""Ports that are free, and stay so until a server listens on them: those that no outgoing connection is given."""

import errno
import random
import socket
from pathlib import Path

from clipseek.api.errors import InvalidSetting

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")  # Linux: first and last port of outgoing connections
_OUTGOING_ELSEWHERE = 49152, 65535  # what the registry of ports keeps for them
_FIRST = 20000  # below lie most ports of services that are known by a number
_ENOUGH = 1000


def _quiet_ports() -> range:
    """Ports that outgoing connections do not use: those come and go by the thousand, and take what is free now."""
    try:
        low, high = map(int, _OUTGOING.read_text().split())
    except (OSError, ValueError):
        low, high = _OUTGOING_ELSEWHERE
    quiet = max(range(_FIRST, low), range(high + 1, 65536), key=len)
    return quiet if len(quiet) >= _ENOUGH else range(_FIRST, 65536)


def executor_ports() -> range:
    """The ports from which executors get theirs, seconds before they listen. `free_port` gives none of these."""
    quiet = _quiet_ports()
    return quiet[: len(quiet) // 2]


def environment_for_jina() -> dict[str, str]:
    """Has Jina draw the ports of executors from `executor_ports`."""
    ports = executor_ports()
    return {"JINA_RANDOM_PORT_MIN": str(ports[0]), "JINA_RANDOM_PORT_MAX": str(ports[-1])}


def free_port(bind: str) -> int:
    """A port that is free at this moment, and likely to be in a minute.

    Raises:
        InvalidSetting: this machine has no such address.
    """
    quiet = _quiet_ports()
    own = quiet[len(quiet) // 2 :]
    for port in random.sample(own, len(own)):
        if is_port_free(bind, port):
            return port
    with socket.create_server((bind, 0)) as any_port:
        return int(any_port.getsockname()[1])


def is_port_free(bind: str, port: int, setting: str = "CLIPSEEK_BIND (--bind)") -> bool:
    """Whether a server could listen there now.

    Args:
        setting: where the address comes from.

    Raises:
        InvalidSetting: this machine has no such address, or this user may not listen on the port.
    """
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EACCES:
                advice = "Below 1024, that takes a right that this user lacks: choose a port from 1024 on."
            else:
                advice = f"{setting} takes an IPv4 address of this machine: 127.0.0.1, or 0.0.0.0 for all of them."
            raise InvalidSetting(
                f"The server cannot listen on '{bind}', port {port} ({error.strerror}). {advice}"
            ) from error
    return True
