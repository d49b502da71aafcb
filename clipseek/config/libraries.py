"""Libraries: videos kept apart from all others, each library in a folder of its own below CLIPSEEK_HOME."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt
from clipseek.config.settings import Settings

MAIN = "main"  # its folder is CLIPSEEK_HOME itself
_NAME = re.compile("[a-z0-9-]{1,40}")
# A kept video's file is `ID.film.mp4`, its id the SHA-256 of its content. The word stays: stores of 0.1 are full of it.
VIDEO_MARK = ".film"
SUBTITLE_MARK = ".subtitles."  # of a file of subtitles that came with a video


def is_library(name: str) -> bool:
    """Whether a text can be the name of a library."""
    return _NAME.fullmatch(name) is not None


def check_library(name: str) -> str:
    """Check that a text can be the name of a library, and return it. Raises: InvalidRequest."""
    if not is_library(name):
        raise InvalidRequest(
            f"'{excerpt(name)}' is not a valid name for a library: use 1 to 40 of the characters a-z, 0-9 and -"
        )
    return name


def library_folder(home: Path, name: str) -> Path:
    """The folder of a library. Raises: InvalidRequest."""
    return home if check_library(name) == MAIN else home / "libraries" / name


def media_folder(settings: Settings, name: str) -> Path:
    """The folder of a library's videos. If CLIPSEEK_MEDIA is a URL, only unfinished uploads are there."""
    if settings.media and not settings.media_url:
        return Path(settings.media) / check_library(name)
    return library_folder(settings.home, name) / "media"


def media_folders(settings: Settings) -> list[Path]:
    """The folders of the videos of all libraries, in order of their names. Some may not exist yet."""
    names = {*libraries_below(settings.home)}
    if settings.media and not settings.media_url and Path(settings.media).is_dir():
        names |= {path.name for path in Path(settings.media).iterdir() if is_library(path.name) and path.is_dir()}
    return [media_folder(settings, name) for name in sorted(names)]


def libraries_below(home: Path) -> Iterator[str]:
    yield MAIN
    folder = home / "libraries"
    if folder.is_dir():
        yield from (path.name for path in sorted(folder.iterdir()) if is_library(path.name))


def state_file(settings: Settings, address: str, name: str) -> Path:
    """The file NAME for the library that a client with these settings uses at the server's address.

    Without a library the token identifies it: the server then uses the first one of the token.
    """
    identity = "\n".join((address, settings.library or settings.token))
    return settings.home / "clients" / hashlib.sha256(identity.encode()).hexdigest()[:16] / name
