"""Libraries: videos that are kept apart from all others, each in a folder of its own below CLIPSEEK_HOME."""

import re
from collections.abc import Iterator
from pathlib import Path

from clipseek.api.errors import InvalidRequest
from clipseek.config.settings import Settings

MAIN = "main"  # its folder is CLIPSEEK_HOME itself
_NAME = re.compile("[a-z0-9-]{1,40}")
# A kept video's file is `ID.film.mp4`, its id the SHA-256 of its content. The word stays: stores of 0.1 are full of it.
VIDEO_MARK = ".film"


def check_library(name: str) -> str:
    """The name of a library, fit to be a folder's. Raises: InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"'{name[:80]}' is no name of a library: 1 to 40 of the characters a-z, 0-9 and -")
    return name


def library_folder(home: Path, name: str) -> Path:
    """Where a library is kept. Raises: InvalidRequest."""
    return home if check_library(name) == MAIN else home / "libraries" / name


def media_folder(settings: Settings, name: str) -> Path:
    """Where the videos of a library are, or with CLIPSEEK_MEDIA at a URL, those that are being uploaded here."""
    if settings.media and not settings.media_url:
        return Path(settings.media) / check_library(name)
    return library_folder(settings.home, name) / "media"


def libraries_below(home: Path) -> Iterator[str]:
    """The names of the libraries that there are."""
    yield MAIN
    folder = home / "libraries"
    if folder.is_dir():
        yield from (each.name for each in sorted(folder.iterdir()) if _NAME.fullmatch(each.name))
