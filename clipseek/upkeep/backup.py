"""Copies of the store that can take its place: the videos, and the databases, copied by SQLite while in use.

Each copy is a dated folder, laid out like the store (copies.py). Videos and their records are never changed in place:
those that the copy before has are hard links to it and take no space. All that a server writes to is copied.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from clipseek.api.errors import InvalidRequest, StoreCorrupt, StoreError, StoreFull
from clipseek.api.formats import size
from clipseek.client.indexing import Progress
from clipseek.config.libraries import SUBTITLE_MARK, VIDEO_MARK, libraries_below, library_folder, media_folder
from clipseek.config.settings import Settings
from clipseek.config.store_files import check_undivided, has_store
from clipseek.machine.audit_log import AuditLog
from clipseek.machine.private_files import protect
from clipseek.machine.sync import sync
from clipseek.upkeep import KEEP_COPIES, copies
from clipseek.upkeep.doctor import check_store
from clipseek.upkeep.finding import ERROR, Finding
from clipseek.upkeep.same_store import check_same_store, read_holdings

_VIDEO = re.compile(rf"[0-9a-f]{{64}}{re.escape(VIDEO_MARK)}(\.[A-Za-z0-9]{{1,8}})?")
_BESIDE = re.compile(rf"[0-9a-f]{{64}}(\.json|{re.escape(SUBTITLE_MARK)}.*(?<!-part))")  # records and subtitles
_READ_ONLY = 0o555


@dataclass(frozen=True)
class BackedUp:
    """What a copy has of a library. `copied_bytes` of videos are new.

    `unlinked_videos` were copied although the copy before has them: its file system has no hard links.
    """

    library: str
    databases: int
    videos: int
    copied_videos: int
    copied_bytes: int
    unlinked_videos: int
    copy: str


def back_up(
    settings: Settings,
    folder: Path,
    on_progress: Callable[[Progress], None],
    *,
    keep: int = KEEP_COPIES,
    anyway: bool = False,
) -> list[BackedUp]:
    """Copy the store of this machine's server into a dated folder in `folder`. The server may keep running.

    Args:
        folder: created if missing. A copy by an earlier version in it becomes the first of the dated ones.
        on_progress: called with the progress, in bytes of videos.
        keep: so many copies stay; the oldest are removed once the new one is complete.
        anyway: also if the newest copy is of another store, or the store has lost all that the copy has.

    Raises:
        InvalidRequest: the folder is the store, is inside it, or contains it.
        StoreError: there is no store, it is not the one of the newest copy, it is divided, another backup or a server
            uses the folder, or something cannot be read or written. All copies stay.
        StoreFull: there is not enough space.
    """
    home, folder = settings.home.resolve(), folder.expanduser().resolve()
    _check_apart(settings, folder)
    names = [name for name in libraries_below(home) if _has_anything(settings, name)]
    if not settings.store:
        check_undivided(home)
    if not any(_has_database(settings, name) for name in names) and not (settings.store and names):
        raise StoreError(
            f"There is no store in {home}. Is its disk mounted? If the store is elsewhere, set CLIPSEEK_HOME to it."
        )
    try:
        with copies.lock_folder(folder):
            before = copies.latest_copy(folder)
            if before and not anyway:
                _check_source(settings, before)
            copies.take_over_flat_copy(folder)
            return _make_copy(settings, names, folder, keep, on_progress)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(f"A database cannot be copied: {error}. See `clipseek doctor --check`.") from error
    except OSError as error:
        raise StoreError(f"{error.filename or folder} cannot be copied: {error.strerror}.") from error


def verify(settings: Settings, folder: Path, name: str = "") -> list[Finding]:
    """Read all of a copy, the newest by default: each database, each span, each video. Changes nothing.

    A store in PostgreSQL is not in the copy, so the videos are compared with the one that is in use.

    Raises: InvalidRequest: there is no such copy.
    """
    copy = copies.find_copy(folder.expanduser().resolve(), name)
    fix = (
        f"Restore from another copy. To repair the next copy: delete the damaged files below {copy}, then run "
        "`clipseek backup` again. It copies them from the store."
    )
    found = check_store(replace(settings, home=copy))
    return [replace(finding, fix=fix) if finding.state == ERROR else finding for finding in found]


def _check_apart(settings: Settings, folder: Path) -> None:
    places = [settings.home.resolve()]
    if settings.media and not settings.media_url:
        places.append(Path(settings.media).resolve())
    for place in places:
        if folder == place or place in folder.parents or folder in place.parents:
            raise InvalidRequest(f"{folder} and the store {place} overlap. Choose a folder outside the store.")


def _has_anything(settings: Settings, library: str) -> bool:
    is_copied = not settings.media or settings.media_url
    folder = library_folder(settings.home, library)
    return bool(_has_database(settings, library) or (is_copied and (folder / "media").is_dir()))


def _has_database(settings: Settings, library: str) -> bool:
    """Whether the backup copies a library's database: one in PostgreSQL needs a dump."""
    return not settings.store and has_store(library_folder(settings.home.resolve(), library))


def _check_source(settings: Settings, before: Path) -> None:
    """Raises: StoreError: the store is not the one that was copied before."""
    home = settings.home.resolve()
    places = () if settings.media else (home, before)  # all videos may have moved to CLIPSEEK_MEDIA since
    files = {
        place: {name: len(_list_videos(library_folder(place, name) / "media")) for name in libraries_below(place)}
        for place in places
    }
    has_databases = not settings.store
    own, copied = (read_holdings(place, files.get(place, {}), has_databases=has_databases) for place in (home, before))
    check_same_store(home, own, before, copied)


def _make_copy(
    settings: Settings, names: list[str], folder: Path, keep: int, on_progress: Callable[[Progress], None]
) -> list[BackedUp]:
    draft, before = copies.begin_copy(folder), copies.latest_copy(folder)
    for left in (draft / "libraries").glob("*"):
        if left.name not in names:
            shutil.rmtree(left)
    libraries = [_Library(name, settings, draft, before) for name in names]
    for library in libraries:
        library.find_files()
        library.forget_others()
    _check_space(draft, sum(library.missing_bytes + library.database_bytes() for library in libraries))
    _copy_videos(libraries, on_progress)
    for library in libraries:
        library.copy_databases()
    _copy_access(settings.home.resolve(), draft)
    for library in libraries:  # what was added meanwhile: each video that the databases have must be in the copy
        library.find_files()
    _copy_videos(libraries, on_progress)
    protect(draft)  # of a copy by 0.1, too
    copy = copies.finish_copy(folder)
    copies.remove_old_copies(folder, keep)
    return [library.result(copy) for library in libraries]


def _copy_videos(libraries: list["_Library"], on_progress: Callable[[Progress], None]) -> None:
    done, total = 0, sum(library.missing_bytes for library in libraries)
    for count in (count for library in libraries for count in library.copy_files()):
        done += count
        on_progress(Progress("copy", done, total))


def _copy_access(home: Path, draft: Path) -> None:
    log = AuditLog(home)
    with log.lock:  # so that no line moves from one file to the other meanwhile
        for file in (home / "access.json", home / "audit.log.1", *log.files()):
            with suppress(FileNotFoundError):
                _copy(file, draft / file.name)


class _Library:
    """One library on its way from the store into the draft of a copy; `before` is the copy before, if there is one."""

    def __init__(self, name: str, settings: Settings, draft: Path, before: Path | None) -> None:
        self._name, self._settings = name, settings
        self._folder, self._target = library_folder(settings.home.resolve(), name), library_folder(draft, name)
        self._before = library_folder(before, name) if before else None
        self._databases = self._videos = self._copied = self._copied_bytes = self._unlinked = 0
        self._missing: list[tuple[Path, int]] = []  # videos and records, with their sizes in bytes

    @property
    def missing_bytes(self) -> int:
        return sum(count for _, count in self._missing)

    def database_bytes(self) -> int:
        return sum(file.stat().st_size for file in self._list_databases())

    def result(self, copy: Path) -> BackedUp:
        counts = (self._databases, self._videos, self._copied, self._copied_bytes, self._unlinked)
        return BackedUp(self._name, *counts, str(copy))

    def find_files(self) -> None:
        """Find the videos and records that are not in the draft yet. Those of the copy before are linked at once."""
        self._missing = []
        files = self._list_files()
        self._videos = sum(1 for file in files if _VIDEO.fullmatch(file.name))
        for file in files:
            with suppress(FileNotFoundError):  # deleted meanwhile
                if not self._is_same(self._target / "media" / file.name, file) and not self._link(file):
                    self._missing.append((file, file.stat().st_size))

    def forget_others(self) -> None:
        """Remove what a backup that died has copied, and what has been deleted from the store since."""
        wanted = {file.name for file in self._list_files()}
        for file in (self._target / "media").glob("*"):
            if file.name not in wanted:
                file.unlink()

    def copy_files(self) -> Iterator[int]:
        """Copy the missing files. Yields: the bytes of each."""
        for file, count in self._missing:
            with suppress(FileNotFoundError):
                copy = self._target / "media" / file.name
                _copy(file, copy)
                if _VIDEO.fullmatch(file.name):
                    self._copied, self._copied_bytes = self._copied + 1, self._copied_bytes + count
                with suppress(OSError):  # some file systems have no such rights
                    copy.chmod(copy.stat().st_mode & _READ_ONLY)  # several copies will share it
            yield count

    def copy_databases(self) -> None:
        for file in self._list_databases():
            _copy_database(file, self._target / file.name)
            self._databases += 1

    def _list_databases(self) -> list[Path]:
        return [self._folder / "index.db"] if _has_database(self._settings, self._name) else []

    def _list_files(self) -> list[Path]:
        if self._settings.media and not self._settings.media_url:
            return []
        folder = media_folder(self._settings, self._name)
        return [*_list_videos(folder), *(file for file in _list_folder(folder) if _BESIDE.fullmatch(file.name))]

    def _link(self, file: Path) -> bool:
        """Link to the same file of the copy before. Returns: False if it has none, or cannot be linked."""
        earlier = self._before / "media" / file.name if self._before else None
        if earlier is None or not self._is_same(earlier, file):
            return False
        target = self._target / "media" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(earlier, target)
        except OSError:  # by a file system without hard links, or with too many of them
            self._unlinked += bool(_VIDEO.fullmatch(file.name))
            return False
        return True

    def _is_same(self, copy: Path, file: Path) -> bool:
        """A video's name tells its content; a record and subtitles also keep their time."""
        if not copy.exists():
            return False
        found, wanted = copy.stat(), file.stat()
        is_video = _VIDEO.fullmatch(file.name)
        return found.st_size == wanted.st_size and (bool(is_video) or found.st_mtime_ns == wanted.st_mtime_ns)


def _list_videos(folder: Path) -> list[Path]:
    return [file for file in _list_folder(folder) if _VIDEO.fullmatch(file.name)]


def _list_folder(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


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
    sync(target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name("unfinished")
    shutil.copy2(source, draft)
    sync(draft)
    draft.replace(target)


def _check_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target).free
    if free < needed:
        raise StoreFull(
            f"The disk of {target.parent} has {size(free)} free, but the copy needs {size(needed)}. Free some, then "
            "repeat."
        )
