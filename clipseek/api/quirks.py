"""Workarounds for docarray, gRPC and Jina that client and executors share.

`tests/unit/flow/test_flow_quirks.py` fails once one of them is no longer needed.
"""

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# grpcio 1.85: status UNAVAILABLE means both "never connected" and "the connection broke while the request was
# under way". Only the text tells them apart.
_NEVER_CONNECTED = "failed to connect"
# What Jina imports of the clients of its makers' cloud.
_CLOUD_CLIENTS = (
    "hubble",
    "hubble.executor",
    "hubble.executor.helper",
    "hubble.executor.hubio",
    "hubble.executor.parsers",
    "hubble.executor.parsers.pull",
    "hubble.parsers",
    "jcloud",
    "jcloud.parsers",
)


@contextmanager
def without_torch() -> Iterator[None]:
    """Hide torch from what is imported in here, if nobody has imported it yet.

    docarray 0.41 imports torch where it is installed, for types that ClipSeek does not use. That costs every process
    480 MB and 2.6 s, measured with torch 2.14.1. A program that uses torch itself does not notice.
    """
    hide = "torch" not in sys.modules
    if hide:
        sys.modules["torch"] = None  # type: ignore[assignment]  # how Python marks a module as missing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # docarray 0.41 declares its fields as pydantic 1 wanted them
            yield
    finally:
        if hide:
            del sys.modules["torch"]


def never_connected(details: str | None) -> bool:
    """Whether a gRPC call that failed as UNAVAILABLE never reached the server, by the error's `details()`."""
    return _NEVER_CONNECTED in (details or "")


def stand_in_for_cloud_clients() -> None:
    """Let Jina be imported without the clients of its makers' cloud, where they are not installed.

    Jina 3.34 imports them at its start. It uses them for executors that lie in that cloud, and asks them whether one
    does. They bring ten more packages, some of them no longer maintained, so requirements.lock leaves them out. Call it
    before Jina is imported.
    """
    if "hubble" not in sys.modules and importlib.util.find_spec("hubble") is None:
        sys.modules.update({name: _CloudClient(name) for name in _CLOUD_CLIENTS})


class _CloudClient(ModuleType):
    """A package of functions that answer None: no executor of this Flow lies in a cloud, and no option is added."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []  # Python imports modules below it

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} standing in for a package that is not installed>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_: None
