"""The folder for what outlives the page's process: the queue, the baskets, images to search with."""

import fcntl
import tempfile
from functools import cache
from pathlib import Path
from typing import TextIO

from clipseek.config.settings import Settings


@cache
def page_folder() -> Path:
    """`CLIPSEEK_HOME/page`, locked by this process; a temporary folder if another page has locked it."""
    folder = Settings.from_env().home / "page"
    folder.mkdir(parents=True, exist_ok=True)
    return folder if _acquire_lock(folder / "lock") else Path(_temporary_folder().name)


@cache
def _lock_file(path: Path) -> TextIO:
    return path.open("w")  # stays open until the process ends, which keeps the lock


def _acquire_lock(path: Path) -> bool:
    try:
        fcntl.flock(_lock_file(path), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@cache
def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="clipseek-page-")
