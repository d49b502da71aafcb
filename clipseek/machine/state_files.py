"""Files in which programs of this machine remember things about a server: one for each server and library."""

import hashlib
from pathlib import Path

from clipseek.config.settings import Settings


def state_file(settings: Settings, address: str, name: str) -> Path:
    """The file NAME for the library that a client with these settings uses at the server's address.

    Without a library the token identifies it: the server then uses the first one of the token.
    """
    identity = "\n".join((address, settings.library or settings.token))
    return settings.home / "clients" / hashlib.sha256(identity.encode()).hexdigest()[:16] / name
