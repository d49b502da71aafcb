"""Addresses of servers, as clients name them: `grpc://HOST:PORT`, or `grpcs://HOST:PORT` for TLS."""

import re

from clipseek.api.errors import InvalidSetting
from clipseek.config.parsing import is_port

DEFAULT_BIND = "127.0.0.1"
DEFAULT_PORT = 45679  # the port VCED's users know


def parse_host(host: str) -> tuple[str, int]:
    """Split `grpc://HOST:PORT`, `grpcs://HOST:PORT`, `HOST:PORT` or `HOST`; the port defaults to 45679.

    Raises: InvalidSetting: the text has none of these forms.
    """
    match = re.fullmatch(r"(?:grpcs?://)?(\[[0-9A-Fa-f:]+\]|[^\s/:\[\]]+)(?::([0-9]+))?/?", host.strip())
    if not match:
        raise InvalidSetting(
            f"'{host}' is not a server address. Write it as grpc://HOST:PORT, e.g. grpc://127.0.0.1:45679"
        )
    if match[2] and not is_port(match[2]):
        raise InvalidSetting(f"'{host}' has no valid port: ports are numbers from 1 to 65535")
    return match[1], int(match[2] or DEFAULT_PORT)


def is_tls(host: str) -> bool:
    return host.strip().startswith("grpcs://")


def local_address(bind: str) -> str:
    """The address at which this machine reaches a program that listens on `bind`, which may mean all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
