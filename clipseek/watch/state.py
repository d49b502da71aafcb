"""What `clipseek watch` remembers between looks and runs: an SQLite file for each server and library.

videos   the files it has seen: what shows that they are unchanged, and which video each became
brought  the ids of videos that a watcher added to the library; no others are ever deleted
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from clipseek.api.errors import StoreBusy, StoreError
from clipseek.watch.folder_scan import FileState

_TABLES = """
CREATE TABLE IF NOT EXISTS videos (
    root BLOB, path BLOB, size_bytes INTEGER, mtime_ns INTEGER, inode TEXT, device TEXT,  -- unsigned 64 bit
    video_id TEXT, coming_id TEXT, error TEXT, is_missing INTEGER, PRIMARY KEY (root, path)
);
CREATE INDEX IF NOT EXISTS videos_of_video ON videos (video_id);
CREATE INDEX IF NOT EXISTS videos_of_coming_video ON videos (coming_id);
CREATE TABLE IF NOT EXISTS brought (video_id TEXT PRIMARY KEY);
"""
_RENAMED = """
ALTER TABLE films RENAME TO videos;
DROP INDEX IF EXISTS films_of_video;
DROP INDEX IF EXISTS films_of_coming_video;
"""  # the table's name in 0.1
_FORGET = "DELETE FROM videos WHERE root = ? AND path = ?"


@dataclass(frozen=True)
class WatchedVideo:
    state: FileState  # as it was at the last look
    video_id: str = ""  # the video that it became; "" if none
    coming_id: str = ""  # the video that is being indexed from it; "" if none
    error: str = ""  # why it cannot be indexed as it is
    is_missing: bool = False  # it is gone, and that was reported

    @property
    def is_settled(self) -> bool:
        """Whether nothing needs to be done, unless the file changes."""
        return bool(self.error or (self.video_id and not self.coming_id))


class WatchState:
    """The state in `file`, which is created if missing. One process at a time may use it.

    Raises: StoreBusy: another process uses it. StoreError: it cannot be used; every method may raise it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = FileLock(f"{file}.lock")
        with self._translated_errors():
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise StoreBusy(
                    f"Another `clipseek watch` uses {file}. Name all folders in one command, or give this one its own "
                    f"file with --state. The two then do not know each other's videos."
                ) from error
            self._database = sqlite3.connect(file)
            if self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'films'").fetchone():
                shutil.copy2(file, f"{file}.0.1")
                self._database.executescript(_RENAMED)
            self._database.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._lock.release()

    def videos(self, root: Path) -> dict[str, WatchedVideo]:
        """The files below a watched folder, by their relative paths."""
        names = "path, size_bytes, mtime_ns, inode, device, video_id, coming_id, error, is_missing"
        rows = self._rows(f"SELECT {names} FROM videos WHERE root = ?", os.fsencode(root))
        return {
            os.fsdecode(path): WatchedVideo(
                FileState(size, mtime, int(inode), int(device)), video_id, coming_id, error, bool(is_missing)
            )
            for path, size, mtime, inode, device, video_id, coming_id, error, is_missing in rows
        }

    def files_of(self, video_id: str) -> list[Path]:
        """The files that became a video, in all watched folders."""
        rows = self._rows("SELECT root, path FROM videos WHERE video_id = ?", video_id)
        return [Path(os.fsdecode(root)) / os.fsdecode(path) for root, path in rows]

    def save(self, root: Path, videos: Mapping[str, WatchedVideo], *, old_path: str = "", adds: str = "") -> None:
        """Save files of a watched folder.

        `old_path` is forgotten, because it was renamed to one of these. `adds` is a video that comes into the library.
        """
        with self._translated_errors(), self._database:
            if old_path:
                self._database.execute(_FORGET, (os.fsencode(root), os.fsencode(old_path)))
            if adds:
                self._database.execute("INSERT OR IGNORE INTO brought VALUES (?)", (adds,))
            self._database.executemany(
                f"INSERT OR REPLACE INTO videos VALUES ({', '.join('?' * 10)})",
                [_row(root, path, video) for path, video in videos.items()],
            )

    def forget(self, root: Path, path: str) -> None:
        with self._translated_errors(), self._database:
            self._database.execute(_FORGET, (os.fsencode(root), os.fsencode(path)))

    def added_ids(self) -> set[str]:
        """The ids of videos that watchers with this state added to the library."""
        return {video_id for (video_id,) in self._rows("SELECT video_id FROM brought")}

    def orphans(self) -> list[str]:
        """The ids of added videos that belong to no file any more."""
        no_file = "NOT EXISTS (SELECT 1 FROM videos WHERE video_id = brought.video_id OR coming_id = brought.video_id)"
        return [video_id for (video_id,) in self._rows(f"SELECT video_id FROM brought WHERE {no_file}")]

    def forget_added(self, video_id: str) -> None:
        """Forget that a video was added, because it is not in the library any more."""
        with self._translated_errors(), self._database:
            self._database.execute("DELETE FROM brought WHERE video_id = ?", (video_id,))

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._translated_errors():
            return self._database.execute(sql, values).fetchall()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The state of `clipseek watch`, {self.file}, cannot be used ({error}).") from error


def _row(root: Path, path: str, video: WatchedVideo) -> tuple[object, ...]:
    state = video.state
    file_columns = (state.size_bytes, state.mtime_ns, str(state.inode), str(state.device))
    video_columns = (video.video_id, video.coming_id, video.error, video.is_missing)
    return (os.fsencode(root), os.fsencode(path), *file_columns, *video_columns)
