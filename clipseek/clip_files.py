"""Clips that come from the server in pieces, written to a file of this machine."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipseek.errors import FileMissing, OutputRefused, StoreFull
from clipseek.schema import Clip, Reel


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
        StoreFull, OutputRefused.
    """
    temporary = target.with_name(f".{first.sha256[:16]}.part")
    try:
        with temporary.open("wb") as file:
            file.write(first.data)
            while file.tell() < first.size_bytes:
                file.write(ask_on(file.tell()).data)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StoreFull if full else OutputRefused
        raise kind(f"The clip could not be written to '{target}' ({error.strerror}).") from error
