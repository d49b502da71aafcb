"""A store in one SQLite file: a connection for each thread, one write at a time, errors in the store's words, and the
tables, with the steps from each earlier format to this one.
"""

import errno
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from clipseek.api.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreReadOnly, StoreVersion
from executors.faiss_indexer.store.database import Row, Transaction
from executors.faiss_indexer.store.models import WORDS

_WAIT_SECONDS = 30.0  # for a write of another program, or of a slow disk
_MOST_FREE = 0.25  # of the file: to give that back, all of it is written again beside it
_READ_ONLY = "it is read-only. Make its folder and its disk writable, then try again"
_BUSY = "another program uses it, or its disk is too slow. Try again"
_ERRORS = {  # how SQLite's name of an error starts -> what it means for the store
    "SQLITE_FULL": (StoreFull, "its disk is full. Free some space, then try again"),
    "SQLITE_READONLY": (StoreReadOnly, _READ_ONLY),
    "SQLITE_CANTOPEN": (StoreReadOnly, "it does not open. Check that its folder exists and is writable"),
    "SQLITE_BUSY": (StoreBusy, _BUSY),
    "SQLITE_LOCKED": (StoreBusy, _BUSY),
    "SQLITE_CORRUPT": (StoreCorrupt, "it is damaged. Run `clipseek doctor --check` for details"),
    "SQLITE_NOTADB": (StoreCorrupt, "it is not a database. Restore it from a backup, or move it away"),
}

SCHEMA_VERSION = 4
MODELS_VERSION = 5  # of a store with tables of several models: earlier versions would not follow the switch
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE videos (
    video_id TEXT PRIMARY KEY, title TEXT NOT NULL, size_bytes INTEGER NOT NULL, duration_seconds REAL NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, fps REAL NOT NULL, codec TEXT NOT NULL, container TEXT NOT NULL,
    rotation_degrees INTEGER NOT NULL, has_audio INTEGER NOT NULL, frames_per_second REAL NOT NULL,
    added_at REAL NOT NULL, sampling TEXT NOT NULL DEFAULT 'even'
);
"""
_SPANS = """
CREATE TABLE spans{slot} (
    span_id INTEGER PRIMARY KEY AUTOINCREMENT,
    video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, frames INTEGER NOT NULL,
    pts_seconds BLOB NOT NULL,  -- float64 [frames]
    vectors BLOB NOT NULL,      -- float16 [frames, dimensions], unit rows
    cut_seconds BLOB NOT NULL DEFAULT x'',  -- float64 [cuts]
    blank BLOB NOT NULL DEFAULT x'',        -- bool [frames]; nothing: not known
    checksum INTEGER,                       -- see compute_checksum; NULL: an earlier version stored the span
    UNIQUE (video_id, start_seconds)
);
CREATE INDEX spans_facts{slot}  -- to read facts without the vectors
    ON spans{slot} (video_id, start_seconds, end_seconds, frames);
"""
# What version 0.1 does not have. It opens the store all the same: it neither reads nor fills them.
_CHANGES = """
CREATE TABLE IF NOT EXISTS changes{slot} (  -- of spans, which an index must follow; no frames: it was removed
    revision INTEGER NOT NULL, span_id INTEGER NOT NULL, video_id TEXT NOT NULL, frames INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_revision{slot} ON changes{slot} (revision);
"""
# The vectors of cues lie in a slot of their own, as if each were a frame. A cue has one or more, one after the other;
# `cue_id` is the number of its first one.
_WORDS = """
CREATE TABLE cues (
    cue_id INTEGER PRIMARY KEY, span_id INTEGER NOT NULL REFERENCES spans_words ON DELETE CASCADE,
    video_id TEXT NOT NULL, start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, text TEXT NOT NULL,
    source TEXT NOT NULL, language TEXT NOT NULL, confidence REAL NOT NULL, edited INTEGER NOT NULL,
    vectors INTEGER NOT NULL
);
CREATE INDEX cues_of_video ON cues (video_id, start_seconds);
CREATE INDEX cues_of_span ON cues (span_id);
CREATE TABLE word_spans (  -- how a span was read
    span_id INTEGER PRIMARY KEY REFERENCES spans_words ON DELETE CASCADE,
    sources TEXT NOT NULL, languages TEXT NOT NULL, notes TEXT NOT NULL
);
CREATE TABLE word_wishes (  -- how somebody wants a video to be read
    video_id TEXT PRIMARY KEY REFERENCES videos ON DELETE CASCADE, language TEXT NOT NULL, no_words INTEGER NOT NULL
);
CREATE VIRTUAL TABLE cue_terms USING fts5 (
    terms, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co Mn Mc'"
);
CREATE TRIGGER cues_deleted AFTER DELETE ON cues BEGIN DELETE FROM cue_terms WHERE rowid = old.cue_id; END;
"""
_ADDED_COLUMNS = {
    "spans": {"checksum": "INTEGER"},
    "videos": {
        "first_seconds": "REAL NOT NULL DEFAULT -1",  # not known
        "timecode": "TEXT NOT NULL DEFAULT ''",
        "timecode_rate": "TEXT NOT NULL DEFAULT ''",
    },
}
# The statements that bring a store of each earlier format one format further. Nothing is lost.
_MIGRATIONS = {
    1: ("ALTER TABLE spans ADD COLUMN cut_seconds BLOB NOT NULL DEFAULT x''",),
    2: (
        "ALTER TABLE spans ADD COLUMN blank BLOB NOT NULL DEFAULT x''",
        "ALTER TABLE videos ADD COLUMN sampling TEXT NOT NULL DEFAULT 'even'",
    ),
    3: ("CREATE INDEX spans_facts ON spans (video_id, start_seconds, end_seconds, frames)",),
}


def _run(db: Transaction, statements: str) -> None:
    for statement in statements.split(";\n"):
        db.execute(statement)


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        yield from self.execute(statement, values)


class SqliteDatabase:
    """The file at `path`; see `Database`.

    Args:
        mode: how SQLite opens it: "rwc" creates a missing file, "rw" and "ro" do not.
    """

    def __init__(self, path: Path, mode: str = "rwc") -> None:
        self.path = path
        self.own_versions = SCHEMA_VERSION, MODELS_VERSION
        self.place = str(path)
        self._mode = mode
        self._connections = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()

    def close(self) -> None:
        """Close every thread's connection; the last one folds the write-ahead log into the file."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._connections, "own", None)
        if connection is None:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={self._mode}",
                uri=True,
                timeout=_WAIT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            if self._mode != "ro":
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")  # acknowledged writes survive a power cut
            connection.execute("PRAGMA foreign_keys = ON")
            self._connections.own = connection
            self._opened.append(connection)
        return connection

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        try:
            yield from self.connection().execute(statement, values)
        except sqlite3.Error as error:
            raise self._translate(error, "cannot be read") from error

    def row(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        return next(self.rows(statement, values), None)

    @contextmanager
    def write(self) -> Iterator[_Transaction]:
        with self._write_lock, self._transaction("BEGIN IMMEDIATE", "stored nothing") as transaction:
            yield transaction

    @contextmanager
    def snapshot(self) -> Iterator[_Transaction]:
        with self._transaction("BEGIN", "cannot be read") as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, begin: str, what_fails: str) -> Iterator[_Transaction]:
        try:
            db = self.connection()
            db.execute(begin)
            try:
                yield _Transaction(db)
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except (OSError, sqlite3.Error) as error:
            raise self._translate(error, what_fails) from error

    def version(self) -> int:
        row = self.row("PRAGMA user_version")
        return int(row[0]) if row else 0

    def prepare(self) -> None:
        """As `Database.prepare`. Before the format is updated, a copy of the file is made beside it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The store {self.path} cannot be created ({error}). Check CLIPSEEK_HOME.") from error
        version = self.version()
        if version > MODELS_VERSION:
            raise StoreVersion(
                f"The store {self.path} was written by a newer ClipSeek (format {version}, this one reads "
                f"{MODELS_VERSION}). Update ClipSeek, or set CLIPSEEK_HOME to another folder."
            )
        if 0 < version < SCHEMA_VERSION:
            self._copy_to(self._name_copy(f"format{version}"))
        with self.write() as db:
            if version == 0:
                _run(db, _SCHEMA + _SPANS.format(slot=""))
                db.execute("INSERT INTO meta VALUES ('revision', '0')")
            for step in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
                for statement in _MIGRATIONS[step]:
                    db.execute(statement)
            for table, columns in _ADDED_COLUMNS.items():
                for name in columns.keys() - self._list_columns(table):
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
            _run(db, _CHANGES.format(slot=""))
            db.execute("INSERT OR IGNORE INTO meta VALUES ('store_id', ?)", (uuid.uuid4().hex,))
            db.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")

    def add_slot(self, db: Transaction, slot: str) -> None:
        _run(db, (_SPANS + _CHANGES).format(slot=slot))
        db.execute(f"PRAGMA user_version = {MODELS_VERSION}")

    def add_words(self, db: Transaction) -> None:
        _run(db, (_SPANS + _CHANGES).format(slot=WORDS) + _WORDS.rstrip())

    terms_value, terms_text, terms_match = "?", "terms", "cue_terms MATCH ?"

    def any_of(self, terms: Sequence[str], *, all_of: bool = False) -> str:
        return (" AND " if all_of else " OR ").join(f'"{term}"' for term in terms)

    def clear_slot(self, db: Transaction, slot: str) -> None:
        for table in ("spans", "changes"):
            db.execute(f"DELETE FROM {table}{slot}")

    def shrink(self) -> None:
        try:
            [free], [pages] = (self.row(f"PRAGMA {name}") or (0,) for name in ("freelist_count", "page_count"))
            if free > pages * _MOST_FREE:
                self.connection().execute("VACUUM")
        except sqlite3.Error as error:
            raise self._translate(error, "keeps the free space") from error

    def keep_copy(self, name: str) -> None:
        if not self._name_copy(name).exists():
            self._copy_to(self._name_copy(name))

    def _name_copy(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{name}-backup")

    def has_checksums(self) -> bool:
        return "checksum" in self._list_columns("spans")

    def _list_columns(self, table: str) -> set[str]:
        return {row[1] for row in self.rows(f"PRAGMA table_info({table})")}

    def find_damage(self, *, quick: bool = False) -> list[str]:
        check = "PRAGMA quick_check(20)" if quick else "PRAGMA integrity_check(20)"
        return [row[0] for row in self.rows(check) if row[0] != "ok"]

    def rebuild_indices(self) -> None:
        with self.write() as db:
            db.execute("REINDEX")

    def _copy_to(self, target: Path) -> None:
        """Copy the file as it is, completely or not at all."""
        draft = target.with_name(target.name + "-part")
        draft.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(draft)) as copy:
                self.connection().backup(copy)
            draft.replace(target)
        except (OSError, sqlite3.Error) as error:
            draft.unlink(missing_ok=True)
            raise self._translate(error, "cannot be backed up before it is updated") from error

    def _translate(self, error: sqlite3.Error | OSError, what: str) -> StoreError:
        """An error of SQLite or the disk as one of the store; `what` failed."""
        name = "SQLITE_FULL" if getattr(error, "errno", 0) == errno.ENOSPC else getattr(error, "sqlite_errorname", "")
        for start, (kind, reason) in _ERRORS.items():
            if name.startswith(start):
                return kind(f"The store {self.path} {what}, because {reason}.")
        return StoreError(f"The store {self.path} {what} ({error}). Check CLIPSEEK_HOME.")
