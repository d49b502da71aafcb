"""Names what happened to a file that is not the same any more."""

from clipseek.api.errors import UploadCorrupted
from clipseek.api.formats import size


def check_same_size(name: str, before_bytes: int, now_bytes: int) -> None:
    """Raises: UploadCorrupted: the file grew, or was changed, since it had `before_bytes`."""
    if now_bytes > before_bytes:
        raise UploadCorrupted(
            f"'{name}' is still being written: it grew from {size(before_bytes)} to {size(now_bytes)} while it was "
            "read. Index it when it is complete."
        )
    if now_bytes < before_bytes:
        raise UploadCorrupted(
            f"'{name}' was changed while it was read: it shrank from {size(before_bytes)} to {size(now_bytes)}. "
            "Index it again when nothing writes to it."
        )
