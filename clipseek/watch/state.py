"""What `clipseek watch` remembers between looks and runs: an SQLite file for each server and library.

videos    the files it has seen: by what they are known to be unchanged, and which video each became
brought  the videos that were not in the library before: no other is ever deleted
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from clipseek.api.errors import StoreBusy, StoreError
from clipseek.watch.folder_scan import FileState

_TABLES = """
CREATE TABLE IF NOT EXISTS videos (
    root BLOB, path BLOB, size_bytes INTEGER, mtime_ns INTEGER, inode TEXT, device TEXT,  -- 64 bit without a sign
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
"""  # what 0.1 called the table
_FORGET = "DELETE FROM videos WHERE root = ? AND path = ?"


@dataclass(frozen=True)
class WatchedVideo:
    """A file that was seen.

    Attributes:
        state: when it was looked at last.
        video_id: the video that it became; "" where it has become none.
        coming_id: the video that it is becoming; the work on it was begun and has not ended.
        error: why it cannot become one as it is.
        is_missing: it is gone, and that was told.
    """

    state: FileState
    video_id: str = ""
    coming_id: str = ""
    error: str = ""
    is_missing: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to do with it as it is."""
        return bool(self.error or (self.video_id and not self.coming_id))


class WatchState:
    """The state in `file`, which is made if missing and used by one process at a time.

    Raises:
        StoreBusy: another process uses it. StoreError: it cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = FileLock(f"{file}.lock")
        with self._failures():
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise StoreBusy(
                    f"Another `clipseek watch` is at work with {file}. Name all folders in one command, or give this "
                    f"one a file of its own with --state; the two do not know of one another's videos then."
                ) from error
            self._database = sqlite3.connect(file)
            if self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'films'").fetchone():
                self._database.executescript(_RENAMED)
            self._database.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._lock.release()

    def videos(self, root: Path) -> dict[str, WatchedVideo]:
        """The videos below a watched folder, by their paths relative to it."""
        names = "path, size_bytes, mtime_ns, inode, device, video_id, coming_id, error, is_missing"
        rows = self._rows(f"SELECT {names} FROM videos WHERE root = ?", os.fsencode(root))
        return {
            os.fsdecode(path): WatchedVideo(
                FileState(size, mtime, int(inode), int(device)), video_id, coming_id, error, bool(is_missing)
            )
            for path, size, mtime, inode, device, video_id, coming_id, error, is_missing in rows
        }

    def files_of(self, video_id: str) -> list[Path]:
        """The files that became a video, whichever watched folder they are in."""
        rows = self._rows("SELECT root, path FROM videos WHERE video_id = ?", video_id)
        return [Path(os.fsdecode(root)) / os.fsdecode(path) for root, path in rows]

    def keep(self, root: Path, videos: Mapping[str, WatchedVideo], *, was: str = "", brings: str = "") -> None:
        """Remember videos of a watched folder, in the place of the one at `was`, and that this watcher brings the video
        `brings` into the library."""
        with self._failures(), self._database:
            if was:
                self._database.execute(_FORGET, (os.fsencode(root), os.fsencode(was)))
            if brings:
                self._database.execute("INSERT OR IGNORE INTO brought VALUES (?)", (brings,))
            self._database.executemany(
                f"INSERT OR REPLACE INTO videos VALUES ({', '.join('?' * 10)})",
                [_row(root, path, video) for path, video in videos.items()],
            )

    def forget(self, root: Path, path: str) -> None:
        """Know nothing of a file any more."""
        with self._failures(), self._database:
            self._database.execute(_FORGET, (os.fsencode(root), os.fsencode(path)))

    def brought(self) -> set[str]:
        """The videos that watchers with this state brought into the library."""
        return {video_id for (video_id,) in self._rows("SELECT video_id FROM brought")}

    def left_over(self) -> list[str]:
        """The videos that were brought and that no remembered file is any more, nor is becoming."""
        of_none = "NOT EXISTS (SELECT 1 FROM videos WHERE video_id = brought.video_id OR coming_id = brought.video_id)"
        return [video_id for (video_id,) in self._rows(f"SELECT video_id FROM brought WHERE {of_none}")]

    def disown(self, video_id: str) -> None:
        """A video that was brought is not in the library any more."""
        with self._failures(), self._database:
            self._database.execute("DELETE FROM brought WHERE video_id = ?", (video_id,))

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._failures():
            return self._database.execute(sql, values).fetchall()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The state of the watched folders, {self.file}, cannot be used ({error}).") from error


def _row(root: Path, path: str, video: WatchedVideo) -> tuple[object, ...]:
    state = video.state
    of_file = (state.size_bytes, state.mtime_ns, str(state.inode), str(state.device))
    of_video = (video.video_id, video.coming_id, video.error, video.is_missing)
    return (os.fsencode(root), os.fsencode(path), *of_file, *of_video)
