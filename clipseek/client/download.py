"""Clips that come from the server in pieces, written to a file of this machine."""

import errno
import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipseek.api.documents import Clip, Reel
from clipseek.api.errors import FileMissing, OutputRefused, ServerFailed, StoreFull


@dataclass(frozen=True)
class SavedClip:
    """A clip on this machine; start and end say what was really cut."""

    path: Path
    start_seconds: float
    end_seconds: float
    size_bytes: int


def clip_target(path: Path) -> Path:
    """Where a clip goes, links followed: only a new file or one that may be replaced.

    Raises:
        FileMissing, OutputRefused.
    """
    if not path.name:
        raise OutputRefused("The clip needs the name of a file to be written to, e.g. clip.mp4.")
    target = path.resolve() if path.is_symlink() else path
    if not target.parent.is_dir():
        raise FileMissing(f"The folder '{target.parent}' for the clip does not exist. Create it first.")
    if target.exists() and not target.is_file():
        raise OutputRefused(f"'{path}' is no ordinary file, so the clip is not written to it. Name a new file.")
    return target


def save_clip(first: Clip | Reel, target: Path, ask_on: Callable[[int], Clip | Reel]) -> None:
    """Write a file that comes in pieces: the first one, then what `ask_on(offset)` answers.

    Raises:
        StoreFull, OutputRefused. ServerFailed: the pieces are not of one file.
    """
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            for data in _pieces(first, ask_on):
                file.write(data)
        temporary.replace(target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StoreFull if full else OutputRefused
        raise kind(f"The clip could not be written to '{target}' ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def _pieces(first: Clip | Reel, ask_on: Callable[[int], Clip | Reel]) -> Iterator[bytes]:
    """The bytes of all pieces, which are those that the first one announced."""
    digest, count, piece = hashlib.sha256(), 0, first
    while True:
        count += len(piece.data)
        digest.update(piece.data)
        is_last = count >= first.size_bytes
        if (piece.sha256, piece.size_bytes) != (first.sha256, first.size_bytes) or not (piece.data or is_last):
            raise ServerFailed("The server cut the clip anew between two pieces, and in another way. Ask again.")
        yield piece.data
        if is_last:
            break
        piece = ask_on(count)
    if digest.hexdigest() != first.sha256:
        raise ServerFailed("The clip has arrived damaged. Ask again.")
