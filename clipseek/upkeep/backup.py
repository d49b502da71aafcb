"""A copy of the store that can take its place: databases as SQLite copies them while they are in use, and then videos.

A copy is laid out as the store, and may be brought up to date again and again: videos never change, so those that are in
it already are not copied anew. What is not whole yet lies apart, and takes its place at once.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from clipseek.api.errors import InvalidRequest, StoreCorrupt, StoreError, StoreFull
from clipseek.api.formats import size
from clipseek.client.indexing import Progress
from clipseek.config.libraries import VIDEO_MARK, libraries_below, library_folder, media_folder
from clipseek.config.settings import Settings
from clipseek.config.shards import check_whole, divided_folder, divisions, out_of_use, shard_folders
from clipseek.machine.audit_log import AuditLog

_VIDEO = re.compile(rf"[0-9a-f]{{64}}{re.escape(VIDEO_MARK)}(\.[A-Za-z0-9]{{1,8}})?")
_RECORD = re.compile(r"[0-9a-f]{64}\.json")
_UNFINISHED = "backup.unfinished"  # the folder, in the copy, of what is not whole yet


@dataclass(frozen=True)
class BackedUp:
    """What there is now of a library in the copy; `copied_bytes` of videos were not there before."""

    library: str
    databases: int
    videos: int
    copied_videos: int
    copied_bytes: int


def back_up(settings: Settings, target: Path, step: Callable[[Progress], None]) -> list[BackedUp]:
    """Copy the store of this machine's server, which may be at work meanwhile, into a folder.

    Args:
        target: made if missing; an earlier copy there is brought up to date. Videos that were deleted since stay in it.
        step: called with how far it is, in bytes of videos.

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
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        with out_of_use(target), _drafts(target) as drafts:
            libraries = [_Library(name, settings, target, drafts) for name in names]
            for each in libraries:
                each.copy_databases()
            _copy_access(home, target, drafts)
            for each in libraries:
                each.look_for_videos()
            _check_room(target, sum(each.missing_bytes for each in libraries))
            for progress in _videos_one_by_one(libraries):
                step(progress)
    except sqlite3.Error as error:
        raise StoreError(f"A database cannot be copied: {error}. See `clipseek doctor --check`.") from error
    except OSError as error:
        raise StoreError(f"{error.filename or target} cannot be copied: {error.strerror}.") from error
    return [each.told() for each in libraries]


@contextmanager
def _drafts(target: Path) -> Iterator[Path]:
    """The folder of what is not whole yet, empty; at the end it is gone."""
    folder = target / _UNFINISHED
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_access(home: Path, target: Path, drafts: Path) -> None:
    """The tokens, and the audit log with the part of it that is full."""
    log = AuditLog(home).path
    with FileLock(home / "audit.lock", mode=0o600):  # no entry goes to a log that is not copied
        for file in (home / "access.json", log, log.with_suffix(".log.1")):
            with suppress(FileNotFoundError):
                _copy(file, target / file.name, drafts)


class _Library:
    """A library of the store, and its copy."""

    def __init__(self, name: str, settings: Settings, target: Path, drafts: Path) -> None:
        self._name, self._settings, self._drafts = name, settings, drafts
        self._folder, self._target = library_folder(settings.home.resolve(), name), library_folder(target, name)
        self._databases = 0
        self._videos = 0
        self._records: list[Path] = []
        self._missing: list[tuple[Path, int]] = []  # with the bytes of each

    @property
    def missing_bytes(self) -> int:
        return sum(count for _, count in self._missing)

    def told(self) -> BackedUp:
        return BackedUp(self._name, self._databases, self._videos, len(self._missing), self.missing_bytes)

    def copy_databases(self) -> None:
        """In the place of those that are there once all of them are whole."""
        check_whole(self._folder)
        [shards] = divisions(self._folder)
        made = self._drafts / "library"
        sources = [each / "index.db" for each in shard_folders(self._folder, shards)]
        sources = [each for each in sources if each.exists()]  # a shard makes its own when it is first asked
        _check_room(self._target, sum(each.stat().st_size for each in sources))
        for source in sources:
            _copy_database(source, made / source.relative_to(self._folder))
        self._databases = len(sources)
        self._target.mkdir(parents=True, exist_ok=True)
        if shards > 1 and shards not in divisions(self._target):
            divided_folder(made, shards).replace(divided_folder(self._target, shards))
        else:
            for source in sources:
                place = source.relative_to(self._folder)
                _put_database(made / place, self._target / place)
        for count in set(divisions(self._target)) - {shards}:  # of before `clipseek reshard`
            if count == 1:
                (self._target / "index.db").unlink()
            else:
                shutil.rmtree(divided_folder(self._target, count))
        shutil.rmtree(made)

    def look_for_videos(self) -> None:
        """Find the videos that are kept here, and those that the copy does not have."""
        folder = media_folder(self._settings, self._name)
        if (self._settings.media and not self._settings.media_url) or not folder.is_dir():
            return
        for file in sorted(folder.iterdir()):
            if _RECORD.fullmatch(file.name):
                self._records.append(file)
            if _VIDEO.fullmatch(file.name):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    count, copy = file.stat().st_size, self._target / "media" / file.name
                    self._videos += 1
                    if not copy.exists() or copy.stat().st_size != count:
                        self._missing.append((file, count))

    def videos(self) -> Iterator[int]:
        """Copy those that are missing, and all records. Yields: the bytes of each video."""
        for file, count in [*self._missing, *((record, 0) for record in self._records)]:
            with suppress(FileNotFoundError):
                _copy(file, self._target / "media" / file.name, self._drafts)
            yield count


def _videos_one_by_one(libraries: list[_Library]) -> Iterator[Progress]:
    done, total = 0, sum(each.missing_bytes for each in libraries)
    for library in libraries:
        for count in library.videos():
            done += count
            yield Progress("copy", done, total)


def _copy_database(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as used,  # that makes none where none is
        closing(sqlite3.connect(target)) as copy,
    ):
        used.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that all of it is in the one file
        if (found := copy.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise StoreCorrupt(f"{source} is damaged: {found}. It was not copied. See `clipseek doctor --check`.")
    _sync(target)


def _put_database(made: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for beside in ("index.db-wal", "index.db-shm"):  # of a server that ran on the earlier copy
        target.with_name(beside).unlink(missing_ok=True)
    shutil.rmtree(target.with_name("index"), ignore_errors=True)
    made.replace(target)


def _copy(source: Path, target: Path, drafts: Path) -> None:
    """A file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = drafts / "file"
    shutil.copy2(source, draft)
    _sync(draft)
    draft.replace(target)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _check_room(target: Path, needed: int) -> None:
    there = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StoreFull(f"The disk of {target} has {size(free)} free, and {size(needed)} are needed.")
