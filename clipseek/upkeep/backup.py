"""A copy of the store that can take its place: first the databases, copied by SQLite while in use, then the videos.

A copy is laid out like the store. It can be brought up to date again and again: videos never change, so those that are
there already are not copied again. Unfinished files are in a folder of their own and are moved when they are complete.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clipseek.api.errors import InvalidRequest, StoreCorrupt, StoreError, StoreFull
from clipseek.api.formats import size
from clipseek.client.indexing import Progress
from clipseek.config.libraries import VIDEO_MARK, libraries_below, library_folder, media_folder
from clipseek.config.settings import Settings
from clipseek.config.shards import check_whole, divided_folder, divisions, out_of_use, shard_folders
from clipseek.machine.audit_log import AuditLog
from clipseek.machine.private_files import protect

_VIDEO = re.compile(rf"[0-9a-f]{{64}}{re.escape(VIDEO_MARK)}(\.[A-Za-z0-9]{{1,8}})?")
_RECORD = re.compile(r"[0-9a-f]{64}\.json")
_UNFINISHED = "backup.unfinished"  # folder in the copy for unfinished files


@dataclass(frozen=True)
class BackedUp:
    """What the copy now has of a library. `copied_bytes` of videos are new."""

    library: str
    databases: int
    videos: int
    copied_videos: int
    copied_bytes: int


def back_up(settings: Settings, target: Path, on_progress: Callable[[Progress], None]) -> list[BackedUp]:
    """Copy the store of this machine's server into a folder. The server may keep running.

    Args:
        target: created if missing; an earlier copy there is brought up to date. Videos deleted since then stay in it.
        on_progress: called with the progress, in bytes of videos.

    Raises:
        InvalidRequest: the folder is the store, is inside it, or contains it.
        StoreError: there is no store, `clipseek reshard` was interrupted in it, a server uses the folder, or something
            cannot be read or written. An earlier copy stays usable.
        StoreFull: there is not enough space.
    """
    home, target = settings.home.resolve(), target.expanduser().resolve()
    if home == target or home in target.parents or target in home.parents:
        raise InvalidRequest(f"{target} and the store {home} overlap. Choose a folder outside the store.")
    names = [name for name in libraries_below(home) if divisions(library_folder(home, name))]
    if not names:
        raise StoreError(f"There is no store in {home}. Set CLIPSEEK_HOME to the server's.")
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        with out_of_use(target), _drafts(target) as drafts:
            libraries = [_Library(name, settings, target, drafts) for name in names]
            for library in libraries:
                library.copy_databases()
            _copy_access(home, target, drafts)
            for library in libraries:
                library.find_videos()
            done, total = 0, sum(library.missing_bytes for library in libraries)
            _check_space(target, total)
            for count in (count for library in libraries for count in library.copy_videos()):
                done += count
                on_progress(Progress("copy", done, total))
        protect(target)
    except sqlite3.Error as error:
        raise StoreError(f"A database cannot be copied: {error}. See `clipseek doctor --check`.") from error
    except OSError as error:
        raise StoreError(f"{error.filename or target} cannot be copied: {error.strerror}.") from error
    return [library.result() for library in libraries]


@contextmanager
def _drafts(target: Path) -> Iterator[Path]:
    folder = target / _UNFINISHED
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_access(home: Path, target: Path, drafts: Path) -> None:
    log = AuditLog(home)
    with log.lock:  # so that no line moves from one file to the other meanwhile
        for file in (home / "access.json", home / "audit.log.1", *log.files()):
            with suppress(FileNotFoundError):
                _copy(file, target / file.name, drafts)


class _Library:
    def __init__(self, name: str, settings: Settings, target: Path, drafts: Path) -> None:
        self._name, self._settings, self._drafts = name, settings, drafts
        self._folder, self._target = library_folder(settings.home.resolve(), name), library_folder(target, name)
        self._databases = self._videos = 0
        self._records: list[Path] = []
        self._missing: list[tuple[Path, int]] = []  # with their sizes in bytes

    @property
    def missing_bytes(self) -> int:
        return sum(count for _, count in self._missing)

    def result(self) -> BackedUp:
        return BackedUp(self._name, self._databases, self._videos, len(self._missing), self.missing_bytes)

    def copy_databases(self) -> None:
        """Copy all databases, then put them in the place of earlier ones."""
        check_whole(self._folder)
        [shards] = divisions(self._folder)
        drafts = self._drafts / "library"
        files = [folder / "index.db" for folder in shard_folders(self._folder, shards)]
        files = [file for file in files if file.exists()]  # a shard makes its own with its first request
        _check_space(self._target, sum(file.stat().st_size for file in files))
        names = [file.relative_to(self._folder) for file in files]
        for file, name in zip(files, names, strict=True):
            _copy_database(file, drafts / name)
        self._databases = len(files)
        self._target.mkdir(parents=True, exist_ok=True)
        if shards > 1 and shards not in divisions(self._target):
            divided_folder(drafts, shards).replace(divided_folder(self._target, shards))
        else:
            for name in names:
                _replace_database(drafts / name, self._target / name)
        self._remove_other_divisions(shards)
        shutil.rmtree(drafts)

    def _remove_other_divisions(self, shards: int) -> None:
        """Remove databases in the copy that are older than the last `clipseek reshard`."""
        for count in set(divisions(self._target)) - {shards}:
            if count == 1:
                (self._target / "index.db").unlink()
            else:
                shutil.rmtree(divided_folder(self._target, count))

    def find_videos(self) -> None:
        folder = media_folder(self._settings, self._name)
        if (self._settings.media and not self._settings.media_url) or not folder.is_dir():
            return
        for file in sorted(folder.iterdir()):
            if _RECORD.fullmatch(file.name):
                self._records.append(file)
            if _VIDEO.fullmatch(file.name):
                with suppress(FileNotFoundError):  # deleted in between
                    count, copy = file.stat().st_size, self._target / "media" / file.name
                    self._videos += 1
                    if not copy.exists() or copy.stat().st_size != count:
                        self._missing.append((file, count))

    def copy_videos(self) -> Iterator[int]:
        """Copy the missing videos, and all records. Yields: the bytes of each video."""
        for file, count in [*self._missing, *((record, 0) for record in self._records)]:
            with suppress(FileNotFoundError):
                _copy(file, self._target / "media" / file.name, self._drafts)
            yield count


def _copy_database(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as original,  # rw: a missing file is an error
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that all is in one file
        if (fault := copy.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise StoreCorrupt(f"{source} is damaged: {fault}. It was not copied. See `clipseek doctor --check`.")
    _sync(target)


def _replace_database(draft: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for name in ("index.db-wal", "index.db-shm"):  # left by a server that ran on the earlier copy
        target.with_name(name).unlink(missing_ok=True)
    shutil.rmtree(target.with_name("index"), ignore_errors=True)
    draft.replace(target)


def _copy(source: Path, target: Path, drafts: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = drafts / "file"
    shutil.copy2(source, draft)
    _sync(draft)
    draft.replace(target)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _check_space(target: Path, needed: int) -> None:
    folder = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreFull(
            f"The disk of {target} has {size(free)} free, but the copy needs {size(needed)}. Free some, then repeat."
        )
