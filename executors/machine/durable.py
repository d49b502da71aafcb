"""Makes files survive a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Write a file's content, or a folder's list of names, to the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
