"""Clips that the server sends in pieces, written to a file of this machine."""

import errno
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipseek.api.documents import Clip, Reel
from clipseek.api.errors import FileMissing, OutputRefused, ServerFailed, StoreFull
from clipseek.api.formats import one_line

_LONGEST_STEM = 180  # bytes of a file name; file systems take 255, and times, a number and a suffix come on top


@dataclass(frozen=True)
class SavedClip:
    """A clip on this machine; start and end are those of the cut, which may differ from those asked for."""

    path: Path
    start_seconds: float
    end_seconds: float
    size_bytes: int


def clip_file_name(title: str, start_seconds: float, end_seconds: float, suffix: str = ".mp4") -> str:
    """A file name for a clip that every system takes: `holiday 12.0-17.5.mp4`."""
    return f"{file_stem(title) or 'clip'} {start_seconds:.1f}-{end_seconds:.1f}{suffix}"


def file_stem(title: str) -> str:
    """A title as the start of a file name that every system takes, not too long; "" if nothing is left."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,8}$", "", one_line(title))
    safe = re.sub(r'[<>:"/\\|?*]', "_", stem).strip(". ")
    return safe.encode()[:_LONGEST_STEM].decode(errors="ignore").strip(". ")


def clip_target(path: Path) -> Path:
    """The file that a clip is written to, links followed: a new one, or an ordinary one to replace.

    Raises: FileMissing, OutputRefused.
    """
    if not path.name:
        raise OutputRefused("The clip needs a file name, e.g. clip.mp4.")
    target = path.resolve() if path.is_symlink() else path
    if not target.parent.is_dir():
        raise FileMissing(f"The folder '{target.parent}' for the clip does not exist. Create it first.")
    if target.exists() and not target.is_file():
        raise OutputRefused(
            f"'{path}' is not an ordinary file, so the clip cannot be written to it. Choose another name."
        )
    return target


def save_clip(first: Clip | Reel, target: Path, ask_next: Callable[[int], Clip | Reel]) -> None:
    """Write a file that comes in pieces: the first one, then what `ask_next(offset)` answers.

    Raises: StoreFull, OutputRefused. ServerFailed: the pieces belong to different files.
    """
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            for data in _pieces(first, ask_next):
                file.write(data)
        temporary.replace(target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StoreFull if full else OutputRefused
        raise kind(
            f"The clip could not be written to '{target}' ({error.strerror}). Free some space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _pieces(first: Clip | Reel, ask_next: Callable[[int], Clip | Reel]) -> Iterator[bytes]:
    digest, count, piece = hashlib.sha256(), 0, first
    while True:
        count += len(piece.data)
        digest.update(piece.data)
        is_last = count >= first.size_bytes
        if (piece.sha256, piece.size_bytes) != (first.sha256, first.size_bytes) or not (piece.data or is_last):
            raise ServerFailed(
                "The server cut the clip again between two pieces, with another result. Repeat the request."
            )
        yield piece.data
        if is_last:
            break
        piece = ask_next(count)
    if digest.hexdigest() != first.sha256:
        raise ServerFailed("The clip arrived damaged. Repeat the request.")
