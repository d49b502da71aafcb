"""The tables of a store, and the steps from each earlier format to this one."""

from clipseek.api.errors import StoreVersion
from executors.faiss_indexer.store.database import Database

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
# The statements that bring a store of each earlier format one format further. Nothing is lost.
_MIGRATIONS = {
    1: ("ALTER TABLE spans ADD COLUMN cut_seconds BLOB NOT NULL DEFAULT x''",),
    2: (
        "ALTER TABLE spans ADD COLUMN blank BLOB NOT NULL DEFAULT x''",
        "ALTER TABLE videos ADD COLUMN sampling TEXT NOT NULL DEFAULT 'even'",
    ),
    3: ("CREATE INDEX spans_facts ON spans (video_id, start_seconds, end_seconds, frames)",),
}


def prepare_schema(database: Database) -> None:
    """Create the tables of a new store, or bring an earlier format up to date; a copy of it stays beside the store.

    Raises: StoreVersion: a newer ClipSeek wrote the store.
    """
    version = _read_version(database)
    if 0 < version < SCHEMA_VERSION:
        database.copy_to(database.path.with_name(f"{database.path.name}.format{version}-backup"))
    with database.write() as db:
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('revision', '0')")
        for step in range(version or SCHEMA_VERSION, SCHEMA_VERSION):
            for statement in _MIGRATIONS[step]:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _read_version(database: Database) -> int:
    row = database.row("PRAGMA user_version")
    version = int(row[0]) if row else 0
    if version > SCHEMA_VERSION:
        raise StoreVersion(
            f"The store {database.path} was written by a newer ClipSeek (format {version}, this one reads "
            f"{SCHEMA_VERSION}). Update ClipSeek, or set CLIPSEEK_HOME to another folder."
        )
    return version
