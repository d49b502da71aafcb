"""Which of the two distributions is installed: `clipseek`, which is all, or `clipseek-client`, without the server."""

import importlib.util

from clipseek.api.errors import ClientOnly

DISTRIBUTIONS = ("clipseek", "clipseek-client")  # the first has all files of the second


def is_whole_install() -> bool:
    """Whether the server is installed, too."""
    return importlib.util.find_spec("executors") is not None


def check_whole_install(command: str) -> None:
    """Raises: ClientOnly: the command needs the server's packages, which are not installed."""
    if not is_whole_install():
        raise ClientOnly(
            f"`clipseek {command}` needs the server, but only the client is installed here. Run it on the server's "
            f"machine, or install the server here: pip uninstall clipseek-client, then install ClipSeek itself (in a "
            f"clone: pip install .)."
        )


def check_vced_install() -> None:
    """Raises: ClientOnly: the room `clipseek.vced` was left out of this install."""
    if importlib.util.find_spec("clipseek.vced") is None:
        raise ClientOnly(
            "`clipseek compat` needs the package clipseek.vced, which is not installed here. Install ClipSeek with its "
            "extra `vced` (in a clone: pip install '.[vced]')."
        )


def is_installed_twice() -> bool:
    """Whether both distributions are installed: removing one would then remove files of the other."""
    from importlib.metadata import distributions

    return {distribution.name for distribution in distributions()}.issuperset(DISTRIBUTIONS)
