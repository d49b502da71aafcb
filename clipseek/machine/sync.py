"""Writes to the disk what the system still holds in memory."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Write a file's content, or a folder's list of names, to the disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
