"""ClipSeek: search inside videos. Scripts start with `Client`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipseek.client import Client

__version__ = "0.2.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the client on first use only: it imports jina, which takes seconds."""
    if name == "Client":
        from clipseek.client import Client

        return Client
    raise AttributeError(f"module 'clipseek' has no attribute '{name}'")
