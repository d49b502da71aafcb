"""Which of the two distributions is installed: `clipseek`, all of it, or `clipseek-client`, without the server."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

from clipseek.api.errors import ClientOnly

DISTRIBUTIONS = ("clipseek", "clipseek-client")  # the files of the second are all in the first


def is_whole_install() -> bool:
    """Whether the server can run from this install."""
    return importlib.util.find_spec("executors") is not None


def check_whole_install(command: str) -> None:
    """Raises: ClientOnly: the command needs the server's packages, and they are not here."""
    if not is_whole_install():
        raise ClientOnly(
            f"`clipseek {command}` needs the server, and this install is the client alone. Use it on the server's "
            f"machine, or make this one a server: pip uninstall clipseek-client, then install ClipSeek itself (in a "
            f"clone: pip install .)."
        )


def is_installed_twice() -> bool:
    """Whether both distributions are installed: to remove one then takes the files of the other."""
    return all(map(_is_installed, DISTRIBUTIONS))


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
