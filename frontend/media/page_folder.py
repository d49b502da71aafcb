"""The folder in which the page keeps what shall outlive its process: the queue, the baskets, images to search with."""

import fcntl
import tempfile
from functools import cache
from pathlib import Path
from typing import TextIO

from clipseek.config.settings import Settings


@cache
def page_folder() -> Path:
    """`CLIPSEEK_HOME/page`, held by this process; a temporary folder where another page holds that one."""
    folder = Settings.from_env().home / "page"
    folder.mkdir(parents=True, exist_ok=True)
    return folder if _is_held(folder / "lock") else Path(_temporary().name)


@cache
def _lock(path: Path) -> TextIO:
    return path.open("w")  # stays open, and the lock with it, until the process ends


def _is_held(path: Path) -> bool:
    try:
        fcntl.flock(_lock(path), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@cache
def _temporary() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="clipseek-page-")
