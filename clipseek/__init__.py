"""ClipSeek: search inside videos. `from clipseek import Client` is the way in for scripts.

Rooms: api/ (documents, errors, options), client/, cli/, config/, machine/, service/, watch/, evaluation/, upkeep/ and
vced/. Scripts import documents from clipseek.schema and errors from clipseek.errors.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipseek.client import Client

__version__ = "0.2.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the client on first use: it imports jina, which takes seconds."""
    if name == "Client":
        from clipseek.client import Client

        return Client
    raise AttributeError(f"module 'clipseek' has no attribute '{name}'")
