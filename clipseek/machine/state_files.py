"""Where programs of this machine keep what they remember of a server: a file for each server and library."""

import hashlib
from pathlib import Path

from clipseek.config.settings import Settings


def state_file(settings: Settings, address: str, name: str) -> Path:
    """The file NAME for the library that a client with these settings uses at the server's address.

    The token tells libraries apart where none is named: it opens its own first one then.
    """
    whose = "\n".join((address, settings.library or settings.token))
    return settings.home / "clients" / hashlib.sha256(whose.encode()).hexdigest()[:16] / name
