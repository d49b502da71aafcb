"""Workarounds for docarray and gRPC that client and executors share.

`tests/unit/flow/test_flow_quirks.py` fails once one of them is no longer needed.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# grpcio 1.68: status UNAVAILABLE means both "never connected" and "the connection broke while the request was
# under way". Only the text tells them apart.
_NEVER_CONNECTED = "failed to connect"


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
