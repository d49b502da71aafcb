"""The store: one SQLite file that is the truth about videos, spans and frames; all else can be rebuilt from it."""

import errno
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import (
    InvalidRequest,
    ModelMismatch,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreVersion,
    VideoNotFound,
)
from clipseek.api.limits import EVEN, MAX_RATE, MIN_RATE, SAMPLINGS
from clipseek.api.model_ids import model_name, settings_for

SCHEMA_VERSION = 4
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE videos (
    video_id TEXT PRIMARY KEY, title TEXT NOT NULL, size_bytes INTEGER NOT NULL, duration_seconds REAL NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, fps REAL NOT NULL, codec TEXT NOT NULL, container TEXT NOT NULL,
    rotation_degrees INTEGER NOT NULL, has_audio INTEGER NOT NULL, frames_per_second REAL NOT NULL,
    added_at REAL NOT NULL, sampling TEXT NOT NULL DEFAULT 'even'
);
CREATE TABLE spans (
    span_id INTEGER PRIMARY KEY AUTOINCREMENT,
    video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, frames INTEGER NOT NULL,
    pts_seconds BLOB NOT NULL,  -- float64 [frames]
    vectors BLOB NOT NULL,      -- float16 [frames, dimensions], unit rows
    cut_seconds BLOB NOT NULL DEFAULT x'',  -- float64 [cuts]
    blank BLOB NOT NULL DEFAULT x'',        -- bool [frames]; nothing: not known
    UNIQUE (video_id, start_seconds)
);
CREATE INDEX spans_facts ON spans (video_id, start_seconds, end_seconds, frames);  -- without reading the vectors
"""
# What brings a store of each earlier version one version further, nothing being lost.
_MIGRATIONS = {
    1: ("ALTER TABLE spans ADD COLUMN cut_seconds BLOB NOT NULL DEFAULT x''",),
    2: (
        "ALTER TABLE spans ADD COLUMN blank BLOB NOT NULL DEFAULT x''",
        "ALTER TABLE videos ADD COLUMN sampling TEXT NOT NULL DEFAULT 'even'",
    ),
    3: ("CREATE INDEX spans_facts ON spans (video_id, start_seconds, end_seconds, frames)",),
}
TICK_SECONDS = 1e-6  # apart from one another at least are videos that are added one after the other
_WAIT_SECONDS = 30.0  # for a write of another program, or of a slow disk
_KINDS_OF_ERRORS = {  # how SQLite's name of an error begins -> what it means for the store
    "SQLITE_FULL": (StoreFull, "its disk is full. Free some space, then repeat"),
    "SQLITE_READONLY": (StoreReadOnly, "it is read-only. Make its folder and its disk writable, then repeat"),
    "SQLITE_CANTOPEN": (StoreReadOnly, "it cannot be opened. Check that its folder is there and may be written"),
    "SQLITE_BUSY": (StoreBusy, "another program holds it, or its disk is too slow. Repeat"),
    "SQLITE_LOCKED": (StoreBusy, "another program holds it, or its disk is too slow. Repeat"),
    "SQLITE_CORRUPT": (StoreCorrupt, "it is damaged. `clipseek doctor --check` tells more"),
    "SQLITE_NOTADB": (StoreCorrupt, "it is no database. Restore it from a backup, or move it away"),
}
_NO_CUTS = np.empty(0)
_NONE_BLANK = np.empty(0, np.bool_)


@dataclass(frozen=True)
class VideoRecord:
    """What the store knows of a video apart from its frames."""

    video_id: str
    title: str
    size_bytes: int
    duration_seconds: float
    width: int
    height: int
    fps: float
    codec: str
    container: str
    rotation_degrees: int
    has_audio: bool
    frames_per_second: float
    sampling: str = ""


@dataclass(frozen=True)
class Frames:
    """Frames in order of time: pts_seconds float64 [N], vectors float16 [N, D] with unit rows.

    cut_seconds, float64 [C] ascending, are the times of the video's frames, sampled or not, that begin a new shot.
    blank, bool [N], says of which frames nothing is to be seen; left out, of none.
    """

    pts_seconds: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float16]
    cut_seconds: npt.NDArray[np.float64] = field(default_factory=_NO_CUTS.copy)
    blank: npt.NDArray[np.bool_] = field(default_factory=_NONE_BLANK.copy)

    def __post_init__(self) -> None:
        if not len(self.blank):
            object.__setattr__(self, "blank", np.zeros(len(self.pts_seconds), np.bool_))
        if self.pts_seconds.ndim != 1 or self.vectors.ndim != 2 or len(self.pts_seconds) != len(self.vectors):
            shapes = f"pts_seconds {self.pts_seconds.shape} and vectors {self.vectors.shape}"
            raise InvalidRequest(f"frames want pts_seconds [N] and vectors [N, D], but got {shapes}")
        if self.blank.shape != self.pts_seconds.shape:
            raise InvalidRequest(
                f"frames want pts_seconds [N] and blank [N], but got {len(self.pts_seconds)} times "
                f"and blank {self.blank.shape}"
            )


@dataclass(frozen=True)
class StoredSpan:
    """One row of the table of spans."""

    span_id: int
    video_id: str
    frames: Frames


class Store:
    """The SQLite store in `folder`. Any thread may read; writes wait for one another.

    Raises:
        StoreVersion: the file was written by a newer ClipSeek.
        StoreFull, StoreReadOnly, StoreBusy, StoreCorrupt, StoreError: it cannot be opened; every method that reads or
            writes may raise them, too.

    A store of an earlier format is brought up to this one; what it was is kept beside it as
    `index.db.formatN-backup`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "index.db"
        self._connections = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The store {self.path} cannot be made ({error}). Check CLIPSEEK_HOME.") from error
        self._create()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every thread's connection; the last one folds the write-ahead log into the file."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    # Videos

    def claim(self, model_id: str) -> None:
        """Make the store this model's where it holds no frames yet. Raises ModelMismatch where it holds another's."""
        with self._write() as db:
            self._claim_model(db, model_id)

    def register(self, video: VideoRecord, model_id: str, added_after: float = 0.0) -> list[int]:
        """Put a video into the store, or bring what is known of it up to date.

        A known video keeps its sampling rate unless `video.frames_per_second` is another one above 0, and its way of
        sampling unless `video.sampling` names another: then its frames are dropped, to be indexed anew.

        Args:
            added_after: when the last video was added elsewhere, in seconds since the epoch; a new one comes after it,
                whatever time it is.

        Returns: the ids of the spans that were dropped.

        Raises:
            ModelMismatch: the store holds frames of another model.
        """
        dropped: list[int] = []
        with self._write() as db:
            self._claim_model(db, model_id)
            known = db.execute(
                "SELECT frames_per_second, sampling FROM videos WHERE video_id = ?", (video.video_id,)
            ).fetchone()
            rate = video.frames_per_second or (known[0] if known else 0.0)
            if not MIN_RATE <= rate <= MAX_RATE:
                raise InvalidRequest(f"frames_per_second is {rate:g}, but must be from {MIN_RATE:g} to {MAX_RATE:g}")
            sampling = video.sampling or (known[1] if known else EVEN)
            if sampling not in SAMPLINGS:
                raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}")
            if known and known != (rate, sampling):
                dropped = _delete_spans(db, "video_id = ?", (video.video_id,))
            added_at = max(time.time(), added_after + TICK_SECONDS)
            values = asdict(video) | {"frames_per_second": rate, "sampling": sampling, "added_at": added_at}
            names = ", ".join(values)
            updates = ", ".join(f"{name} = excluded.{name}" for name in values if name not in ("video_id", "added_at"))
            db.execute(
                f"INSERT INTO videos ({names}) VALUES ({', '.join(':' + name for name in values)}) "
                f"ON CONFLICT (video_id) DO UPDATE SET {updates}",
                values,
            )
        return dropped

    def video(self, video_id: str) -> VideoRecord:
        """Raises VideoNotFound."""
        row = self._row(f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id = ?", (video_id,))
        if row is None:
            raise VideoNotFound(f"There is no video '{video_id}'. `clipseek videos` lists those there are.")
        return _video(row)

    def known_videos(self, video_ids: Iterable[str]) -> list[VideoRecord]:
        """The videos with these ids, in their order; ids of none are left out."""
        wanted = list(video_ids)
        rows = self._rows(
            f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id IN (SELECT value FROM json_each(?))",
            (json.dumps(wanted),),
        )
        found = {video.video_id: video for video in map(_video, rows)}
        return [found[video_id] for video_id in wanted if video_id in found]

    def videos(self) -> list[VideoRecord]:
        """All videos, in the order they were added."""
        return [_video(row) for row in self._rows(f"SELECT {_VIDEO_COLUMNS} FROM videos ORDER BY rowid")]

    def added_at(self, video_id: str) -> float:
        """When a video was added, in seconds since the epoch; 0 where there is none."""
        row = self._row("SELECT added_at FROM videos WHERE video_id = ?", (video_id,))
        return float(row[0]) if row else 0.0

    def last_added_at(self) -> float:
        """When the last video was added; 0 where there is none."""
        row = self._row("SELECT MAX(added_at) FROM videos")
        return float(row[0] or 0.0) if row else 0.0

    def delete(self, video_id: str) -> list[int]:
        """Forget a video and its frames, if there are any. Returns: the ids of the spans that went with it."""
        with self._write() as db:
            gone = _delete_spans(db, "video_id = ?", (video_id,))
            db.execute("DELETE FROM videos WHERE video_id = ?", (video_id,))
        return gone

    # Spans and frames

    def put_span(
        self, video_id: str, span: tuple[float, float], frames: Frames, model_id: str
    ) -> tuple[int, list[int]]:
        """Store the frames of `[start, end)`, in place of what overlapped it.

        Returns: the new span's id, and the ids of the spans that it replaced.

        Raises:
            VideoNotFound: the video was never registered, or has been deleted meanwhile.
            ModelMismatch: the store holds frames of another model.
        """
        start, end = span
        with self._write() as db:
            if db.execute("SELECT 1 FROM videos WHERE video_id = ?", (video_id,)).fetchone() is None:
                raise VideoNotFound(f"There is no video '{video_id}': it was deleted, or never sent to /probe.")
            self._claim_model(db, model_id)
            replaced = _delete_spans(
                db, "video_id = ? AND start_seconds < ? AND end_seconds > ?", (video_id, end, start)
            )
            vectors = np.ascontiguousarray(frames.vectors, dtype=np.float16)
            cursor = db.execute(
                "INSERT INTO spans "
                "(video_id, start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, blank) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    video_id,
                    start,
                    end,
                    len(vectors),
                    frames.pts_seconds.astype(np.float64).tobytes(),
                    vectors.tobytes(),
                    frames.cut_seconds.astype(np.float64).tobytes(),
                    frames.blank.astype(np.bool_).tobytes(),
                ),
            )
            _bump_revision(db)
            span_id = cursor.lastrowid
        if span_id is None:
            raise StoreError(f"SQLite gave no id for span [{start}, {end}) of video {video_id}")
        return span_id, replaced

    def stored_spans(self, video_id: str) -> dict[tuple[float, float], int]:
        """The `[start, end)` that are stored of a video, each with its count of frames."""
        rows = self._rows("SELECT start_seconds, end_seconds, frames FROM spans WHERE video_id = ?", (video_id,))
        return {(start, end): frames for start, end, frames in rows}

    def frames(self, video_id: str) -> Frames:
        """All stored frames and cuts of a video, in order of time (none: empty arrays)."""
        rows = self._rows(
            "SELECT frames, pts_seconds, vectors, cut_seconds, blank FROM spans WHERE video_id = ? "
            "ORDER BY start_seconds",
            (video_id,),
        )
        parts = [_frames(*row) for row in rows]
        cuts = np.concatenate([_NO_CUTS, *(p.cut_seconds for p in parts)])
        seen = [p for p in parts if len(p.pts_seconds)]
        if not seen:
            return Frames(np.empty(0), np.empty((0, 0), np.float16), cuts)
        return Frames(
            np.concatenate([p.pts_seconds for p in seen]),
            np.concatenate([p.vectors for p in seen]),
            cuts,
            np.concatenate([p.blank for p in seen]),
        )

    def shots(self, video_id: str) -> list[tuple[float, float]]:
        """The `[start, end)` of every shot of a video, in order of time; spans not yet stored count as without cuts.

        A video that an earlier ClipSeek indexed is one shot, until it is indexed again.

        Raises: VideoNotFound.
        """
        duration_seconds = self.video(video_id).duration_seconds
        rows = self._rows("SELECT cut_seconds FROM spans WHERE video_id = ? ORDER BY start_seconds", (video_id,))
        cuts = np.frombuffer(b"".join(row[0] for row in rows), np.float64)
        return shots_between(cuts, duration_seconds)

    def spans(self) -> Iterator[StoredSpan]:
        """Every stored span that has frames, one at a time."""
        rows = self._rows(
            "SELECT span_id, video_id, frames, pts_seconds, vectors, cut_seconds, blank FROM spans WHERE frames > 0"
        )
        for span_id, video_id, *blobs in rows:
            yield StoredSpan(span_id, video_id, _frames(*blobs))

    def span_facts(self) -> dict[int, tuple[str, int]]:
        """The video and the count of frames of every stored span, by span id."""
        rows = self._rows("SELECT span_id, video_id, frames FROM spans")
        return {span_id: (video_id, frames) for span_id, video_id, frames in rows}

    def frame_count(self) -> int:
        """How many frames are stored in all."""
        row = self._row("SELECT COALESCE(SUM(frames), 0) FROM spans")
        return int(row[0]) if row else 0

    # What the store says of itself

    @property
    def revision(self) -> int:
        """Grows with every change of frames: what was made from revision N is stale at any other."""
        return int(self._meta("revision") or 0)

    @property
    def model_id(self) -> str:
        """The identity of the model whose frames are stored; empty where none are."""
        return self._meta("model_id") or ""

    def fitted_shift(self, model_id: str) -> float:
        """What `keep_fitted_shift` kept for this model; 0 where it kept nothing."""
        kept = json.loads(self._meta("fitted_shift") or "{}")
        return float(kept["shift"]) if kept.get("model_id") == model_id else 0.0

    def keep_fitted_shift(self, shift: float, model_id: str) -> None:
        """Keep how much more than by default the library's matches need; it holds for one model."""
        with self._write() as db:
            _set_meta(db, "fitted_shift", json.dumps({"shift": shift, "model_id": model_id}))

    def _meta(self, key: str) -> str | None:
        row = self._row("SELECT value FROM meta WHERE key = ?", (key,))
        return row[0] if row else None

    def _claim_model(self, db: sqlite3.Connection, model_id: str) -> None:
        """Make the store this model's where it holds no frames yet; refuse another model where it does."""
        own = db.execute("SELECT value FROM meta WHERE key = 'model_id'").fetchone()
        if own and own[0] == model_id:
            return
        if own and db.execute("SELECT 1 FROM spans LIMIT 1").fetchone():
            raise mismatch(self.path, own[0], model_id)
        _set_meta(db, "model_id", model_id)
        _set_meta(db, "model_name", model_name(model_id))

    def check_model(self, model_id: str) -> None:
        """Raises ModelMismatch where frames of another model are stored."""
        if self.model_id not in ("", model_id) and self.frame_count():
            raise mismatch(self.path, self.model_id, model_id)

    # SQLite

    def _create(self) -> None:
        version = self._version()
        if 0 < version < SCHEMA_VERSION:
            self._back_up(self.path.with_name(f"{self.path.name}.format{version}-backup"))
        with self._write() as db:
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                _set_meta(db, "revision", "0")
            else:
                for step in range(version, SCHEMA_VERSION):
                    for statement in _MIGRATIONS[step]:
                        db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _version(self) -> int:
        """The format of the file, 0 for a new one. Raises StoreVersion where a newer ClipSeek wrote it."""
        row = self._row("PRAGMA user_version")
        version = int(row[0]) if row else 0
        if version > SCHEMA_VERSION:
            raise StoreVersion(
                f"The store {self.path} was written by a newer ClipSeek (format {version}, this one reads "
                f"{SCHEMA_VERSION}). Update ClipSeek, or set CLIPSEEK_HOME to another folder."
            )
        return version

    def _back_up(self, backup: Path) -> None:
        """Copy the store as it is, whole or not at all."""
        draft = backup.with_name(backup.name + "-part")
        draft.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(draft)) as copy:
                self._read().backup(copy)
            draft.replace(backup)
        except (OSError, sqlite3.Error) as error:
            draft.unlink(missing_ok=True)
            raise self._translated(error, "backed up before it is brought up to date") from error

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows that a query finds, one at a time."""
        try:
            yield from self._read().execute(statement, values)
        except sqlite3.Error as error:
            raise self._translated(error, "read") from error

    def _row(self, statement: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        """The first row that a query finds."""
        try:
            row: tuple[Any, ...] | None = self._read().execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise self._translated(error, "read") from error
        return row

    def _read(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._connections, "own", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
            connection.execute("PRAGMA foreign_keys = ON")
            self._connections.own = connection
            self._opened.append(connection)
        return connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            try:
                with self._transaction() as db:
                    yield db
            except (OSError, sqlite3.Error) as error:
                raise self._translated(error, "written: nothing was stored") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._read()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _translated(self, error: sqlite3.Error | OSError, to_be: str) -> StoreError:
        name = "SQLITE_FULL" if getattr(error, "errno", 0) == errno.ENOSPC else getattr(error, "sqlite_errorname", "")
        for known, (kind, why) in _KINDS_OF_ERRORS.items():
            if name.startswith(known):
                return kind(f"The store {self.path} cannot be {to_be}, because {why}.")
        return StoreError(f"The store {self.path} cannot be {to_be} ({error}). Check CLIPSEEK_HOME.")


def shots_between(cut_seconds: npt.NDArray[np.float64], duration_seconds: float) -> list[tuple[float, float]]:
    """The `[start, end)` of every shot of a video with these cuts, ascending; without cuts one, the whole video."""
    inner = [cut for cut in cut_seconds.tolist() if 0 < cut < duration_seconds]
    return list(zip([0.0, *inner], [*inner, duration_seconds], strict=True))


def mismatch(path: Path, stored: str, asked: str) -> ModelMismatch:
    return ModelMismatch(
        f"The store {path} was filled by the model '{stored}', but the server runs '{asked}': their embeddings cannot "
        f"be compared. Start the server with {settings_for(stored, asked)}, or give the new model a store of its "
        f"own (CLIPSEEK_HOME), or delete the videos and index them again."
    )


_VIDEO_FIELDS = tuple(f.name for f in fields(VideoRecord))
_VIDEO_COLUMNS = ", ".join(_VIDEO_FIELDS)


def _video(row: tuple[object, ...]) -> VideoRecord:
    values = dict(zip(_VIDEO_FIELDS, row, strict=True))
    return VideoRecord(**values | {"has_audio": bool(values["has_audio"])})  # type: ignore[arg-type]


def _frames(count: int, pts: bytes, vectors: bytes, cuts: bytes, blank: bytes) -> Frames:
    rows = np.frombuffer(vectors, np.float16).reshape(count, -1 if count else 0)
    return Frames(np.frombuffer(pts, np.float64), rows, np.frombuffer(cuts, np.float64), np.frombuffer(blank, np.bool_))


def _set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _delete_spans(db: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> list[int]:
    gone = [row[0] for row in db.execute(f"DELETE FROM spans WHERE {condition} RETURNING span_id", values)]
    if gone:
        _bump_revision(db)
    return gone


def _bump_revision(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'revision'")
