"""A copy of the store that can take its place: databases as SQLite copies them while they are in use, and then films.

A copy is laid out as the store, and may be brought up to date again and again: films never change, so those that are in
it already are not copied anew.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from clipseek.errors import InvalidRequest, StoreCorrupt, StoreError, StoreFull
from clipseek.ingest import Progress
from clipseek.libraries import libraries_below, library_folder, media_folder
from clipseek.settings import Settings
from clipseek.shards import check_whole, divided_folder, divisions, store_folders
from clipseek.terminal import size

_FILM = "[0-9a-f]*.film.*"
_MAKING = ".copying"  # ends the name of a file that is not whole yet
_SERVER_FILES = ("access.json", "audit.log")


@dataclass(frozen=True)
class BackedUp:
    """What there is now of a library in the copy; `copied_bytes` of films were not there before."""

    library: str
    databases: int
    films: int
    copied_films: int
    copied_bytes: int


def back_up(settings: Settings, target: Path, step: Callable[[Progress], None]) -> list[BackedUp]:
    """Copy the store of this machine's server, which may be at work meanwhile, into a folder.

    Args:
        target: made if missing; an earlier copy there is brought up to date. Films that were deleted since stay in it.
        step: called with how far it is, in bytes of films.

    Raises:
        InvalidRequest: the folder is the store, lies in it, or holds it.
        StoreError: there is no store, `clipseek reshard` was broken off in it, a server uses the folder, or something
            cannot be read or written. What was copied before stays usable.
        StoreFull: there is not enough room.
    """
    home, target = settings.home.resolve(), target.expanduser().resolve()
    if home == target or home in target.parents or target in home.parents:
        raise InvalidRequest(f"{target} and the store {home} lie in one another. Choose another folder for the copy.")
    names = [name for name in libraries_below(home) if divisions(library_folder(home, name))]
    if not names:
        raise StoreError(f"There is no store in {home}. Set CLIPSEEK_HOME to that of the server.")
    try:
        with ExitStack() as locks:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in sorted(target.glob("server*.lock")):
                locks.enter_context(FileLock(file).acquire(timeout=0))
            databases = [_copy_databases(library_folder(home, name), library_folder(target, name)) for name in names]
            for own in _SERVER_FILES:
                if (home / own).exists():
                    _copy(home / own, target / own)
            copies = [_Films(name, settings, library_folder(target, name) / "media") for name in names]
            _check_room(target, sum(each.missing_bytes for each in copies))
            for film in _copied_one_by_one(copies):
                step(film)
    except Timeout as error:
        raise StoreError(f"A server uses {target} as its store. Choose another folder for the copy.") from error
    except sqlite3.Error as error:
        raise StoreError(f"A database cannot be copied: {error}. See `clipseek doctor --check`.") from error
    except OSError as error:
        raise StoreError(f"{error.filename or target} cannot be copied: {error.strerror}.") from error
    return [
        BackedUp(each.library, count, len(each.all), len(each.missing), each.missing_bytes)
        for each, count in zip(copies, databases, strict=True)
    ]


def _copy_databases(folder: Path, target: Path) -> int:
    """All of a library, in place of those that are there. Returns: how many."""
    check_whole(folder)
    stores = store_folders(folder)
    _check_room(target, sum((store / "index.db").stat().st_size for store in stores))
    for store in stores:
        _copy_database(store / "index.db", target / store.relative_to(folder) / "index.db")
    for count in set(divisions(target)) - set(divisions(folder)):  # of before `clipseek reshard`
        if count == 1:
            (target / "index.db").unlink()
        else:
            shutil.rmtree(divided_folder(target, count))
    return len(stores)


def _copy_database(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(target.name + _MAKING)
    making.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as used,  # that makes none where none is
        closing(sqlite3.connect(making)) as copy,
    ):
        used.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that all of it is in the one file
        if (found := copy.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise StoreCorrupt(f"{source} is damaged: {found}. It was not copied. See `clipseek doctor --check`.")
    for beside in ("index.db-wal", "index.db-shm"):  # of a server that ran on the earlier copy
        target.with_name(beside).unlink(missing_ok=True)
    shutil.rmtree(target.with_name("index"), ignore_errors=True)
    _put(making, target)


class _Films:
    """The films that a library keeps in the store, and which of them are missing in the copy."""

    def __init__(self, library: str, settings: Settings, target: Path) -> None:
        self.library, self._target = library, target
        self._folder = media_folder(settings, library)
        is_here = not settings.media and self._folder.is_dir()
        self.all = sorted(self._folder.glob(_FILM)) if is_here else []
        self.records = sorted(self._folder.glob("[0-9a-f]*.json")) if is_here else []
        self.missing = [film for film in self.all if not self._has(film)]
        self.missing_bytes = sum(film.stat().st_size for film in self.missing)

    def _has(self, film: Path) -> bool:
        copy = self._target / film.name
        return copy.exists() and copy.stat().st_size == film.stat().st_size

    def copied(self) -> Iterator[int]:
        """Copy what is missing, and all records. Yields: the bytes of each film."""
        for film in self.missing:
            with suppress(FileNotFoundError):  # deleted meanwhile
                _copy(film, self._target / film.name)
                yield (self._target / film.name).stat().st_size
        for record in self.records:
            with suppress(FileNotFoundError):
                _copy(record, self._target / record.name)


def _copied_one_by_one(copies: list[_Films]) -> Iterator[Progress]:
    done, total = 0, sum(each.missing_bytes for each in copies)
    for copy in copies:
        for count in copy.copied():
            done += count
            yield Progress("copy", done, total)


def _copy(source: Path, target: Path) -> None:
    """A file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(target.name + _MAKING)
    shutil.copy2(source, making)
    _put(making, target)


def _put(made: Path, target: Path) -> None:
    """Into its place, once it is on the disk."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(target)


def _check_room(target: Path, needed: int) -> None:
    there = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StoreFull(f"The disk of {target} has {size(free)} free, and {size(needed)} are needed.")
