"""The folder of a backup: a dated folder for each copy, and what a backup that died has left.

A copy gets its name once it is complete. Until then it is in a folder of its own, which the next backup continues.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from clipseek.api.errors import InvalidRequest, StoreError
from clipseek.config.store_files import has_store, out_of_use
from clipseek.machine.sync import sync

_FORMAT = "%Y-%m-%dT%H-%M-%SZ"
_UNFINISHED = "backup.unfinished"
_EARLIER = "backup.earlier"  # a copy by an earlier version, on its way into a dated folder
_REMOVED = "backup.removed"  # a copy that is being removed
# All that the copy of an earlier version had in the folder itself, and what a server adds that runs on it.
_FLAT = ("index.db*", "index", "index_*", "shards-*", "media", "libraries", "access.json", "audit.log*")


def list_copies(folder: Path) -> list[Path]:
    """All complete copies, the oldest first."""
    return sorted(path for path in folder.glob("*Z") if _read_time(path.name) and path.is_dir())


def find_copy(folder: Path, name: str = "") -> Path:
    """A copy by its name, or the newest one. Raises: InvalidRequest: there is no such copy."""
    names = [path.name for path in list_copies(folder)]
    if not names:
        raise InvalidRequest(f"{folder} has no copy of a store. Make one: clipseek backup {folder}")
    if name and name not in names:
        raise InvalidRequest(f"{folder} has no copy '{name}'. It has {', '.join(names)}.")
    return folder / (name or names[-1])


def latest_copy(folder: Path) -> Path | None:
    """The newest copy, or that of an earlier version in the folder itself; None if there is none."""
    flat = [place for place in (folder, folder / _EARLIER) if has_store(place)]
    return next(iter([*flat, *list_copies(folder)[-1:]]), None)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create the folder and keep other backups, and servers on a copy by an earlier version, out of it.

    Raises: StoreError: another backup, or a server, uses the folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(folder / "backup.lock", mode=0o600).acquire(timeout=0), out_of_use(folder, is_store=False):
            shutil.rmtree(folder / _REMOVED, ignore_errors=True)
            yield
    except Timeout as error:
        raise StoreError(f"Another backup into {folder} is running. Wait until it ends, then repeat.") from error


def take_over_flat_copy(folder: Path) -> None:
    """Move a copy by an earlier version, which is in the folder itself, into a dated folder. May be interrupted."""
    moving = folder / _EARLIER
    if has_store(folder):
        moving.mkdir(mode=0o700, exist_ok=True)
    if moving.exists():
        for path in [path for pattern in _FLAT for path in folder.glob(pattern)]:
            path.replace(moving / path.name)
        written = max((file.stat().st_mtime for file in moving.rglob("index.db")), default=0.0)
        moving.replace(folder / _free_name(folder, datetime.fromtimestamp(written, UTC)))


def begin_copy(folder: Path) -> Path:
    """The folder for a new copy. Of a backup that died it still has what is in `media/`, and nothing else."""
    draft = folder / _UNFINISHED
    draft.mkdir(mode=0o700, exist_ok=True)
    for path in sorted(draft.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir():
            with suppress(OSError):  # not empty
                path.rmdir()
        elif path.parent.name != "media":
            path.unlink()
    return draft


def finish_copy(folder: Path) -> Path:
    """Give the new copy its name: the time, or a second after the newest copy if the clock was set back."""
    copies = list_copies(folder)
    now = datetime.now(UTC)
    if copies:
        now = max(now, (_read_time(copies[-1].name) or now) + timedelta(seconds=1))
    copy = folder / _free_name(folder, now)
    for below, _, _ in os.walk(folder / _UNFINISHED, topdown=False):
        sync(Path(below))  # the names in it, those of linked files too
    (folder / _UNFINISHED).replace(copy)
    sync(folder)
    return copy


def remove_old_copies(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` copies. One that a server uses stays until the next backup."""
    for copy in list_copies(folder)[:-keep]:
        with suppress(StoreError), out_of_use(copy, is_store=False):
            copy.replace(folder / _REMOVED)
        shutil.rmtree(folder / _REMOVED, ignore_errors=True)


def _read_time(name: str) -> datetime | None:
    """When a copy was made, by its name; None if it is no copy's."""
    try:
        time = datetime.strptime(name, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if time.strftime(_FORMAT) == name else None


def _free_name(folder: Path, time: datetime) -> str:
    while (folder / time.strftime(_FORMAT)).exists():
        time += timedelta(seconds=1)
    return time.strftime(_FORMAT)
