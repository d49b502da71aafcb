"""A store in PostgreSQL, for several indexers: a schema for each library, connections that come back by themselves."""

import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from clipseek.api.errors import (
    InvalidRequest,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnreachable,
    StoreVersion,
)
from executors.faiss_indexer.store.database import Row, Transaction
from executors.faiss_indexer.store.models import WORDS

_CONNECT_SECONDS = 5.0  # for a connection: to a server that is away, and to one that has none free
_WAIT_SECONDS = 30  # for a write of another process
_MOST_CONNECTIONS = 8  # of one library in one process
_IDLE_SECONDS = 60.0  # then a connection that nobody needs is closed
_ROWS_AT_A_TIME = 100  # of spans: 6 MB
# Connections to a machine that has died are noticed, and a process that hangs in a transaction loses its lock.
_OPTIONS = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "application_name": "clipseek"}
_SESSION = f"""
SET lock_timeout = '{_WAIT_SECONDS}s';
SET idle_in_transaction_session_timeout = '{2 * _WAIT_SECONDS}s';
"""
_RETRY = "Try again; the indexer connects by itself"
_REASONS = {  # the start of an SQLSTATE -> what it means for the store
    "53100": (StoreFull, "its disk is full. Free some space there, then try again"),
    "25006": (StoreReadOnly, "it is read-only. Name the primary server in CLIPSEEK_STORE"),
    "42501": (StoreReadOnly, "its user lacks rights. Grant it CREATE on the database, and its own schemas"),
    "55P03": (StoreBusy, "another process writes to it for too long. Try again"),
    "40": (StoreBusy, "another process writes to it. Try again"),
    "57014": (StoreBusy, "the server stopped a statement that took too long. Try again"),
    "25P03": (StoreBusy, "a transaction took too long, so the server ended it. Try again"),
    "XX00": (StoreCorrupt, "it is damaged. REINDEX repairs an index of it; for anything else restore a dump"),
    "53300": (StoreUnreachable, f"the server has no free connection. {_RETRY}, or raise max_connections"),
    "57P": (StoreUnreachable, f"the server is starting or stopping. {_RETRY}"),
    "08": (StoreUnreachable, f"the connection was lost. {_RETRY}"),
    "42P01": (StoreError, "it has no tables. Start the server, which makes them"),
    "3F000": (StoreError, "it has no tables. Start the server, which makes them"),
}

FORMAT = 1
MODELS_FORMAT = 2  # of a store with tables of several models
_PREFIX = "clipseek_"  # of a library's schema
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
    rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    video_id TEXT PRIMARY KEY, title TEXT NOT NULL, size_bytes BIGINT NOT NULL,
    duration_seconds DOUBLE PRECISION NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    fps DOUBLE PRECISION NOT NULL, codec TEXT NOT NULL, container TEXT NOT NULL, rotation_degrees INTEGER NOT NULL,
    has_audio INTEGER NOT NULL, frames_per_second DOUBLE PRECISION NOT NULL, added_at DOUBLE PRECISION NOT NULL,
    sampling TEXT NOT NULL
);
INSERT INTO meta VALUES ('revision', '0');
"""
_SPANS = """
CREATE TABLE spans{slot} (
    span_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    start_seconds DOUBLE PRECISION NOT NULL, end_seconds DOUBLE PRECISION NOT NULL, frames INTEGER NOT NULL,
    pts_seconds BYTEA NOT NULL, vectors BYTEA NOT NULL, cut_seconds BYTEA NOT NULL, blank BYTEA NOT NULL,
    checksum BIGINT,
    UNIQUE (video_id, start_seconds)
);
-- Vectors are random bytes: nothing to compress.
ALTER TABLE spans{slot} ALTER COLUMN vectors SET STORAGE EXTERNAL;
CREATE INDEX spans_facts{slot} ON spans{slot} (video_id, start_seconds, end_seconds, frames);
CREATE TABLE changes{slot} (
    revision BIGINT NOT NULL, span_id BIGINT NOT NULL, video_id TEXT NOT NULL, frames INTEGER NOT NULL
);
CREATE INDEX changes_revision{slot} ON changes{slot} (revision);
"""
# The vectors of cues lie in a slot of their own, as if each were a frame. A cue has one or more, one after the other;
# `cue_id` is the number of its first one.
_WORDS = """
CREATE TABLE cues (
    cue_id BIGINT PRIMARY KEY, span_id BIGINT NOT NULL REFERENCES spans_words ON DELETE CASCADE,
    video_id TEXT NOT NULL, start_seconds DOUBLE PRECISION NOT NULL, end_seconds DOUBLE PRECISION NOT NULL,
    text TEXT NOT NULL, source TEXT NOT NULL, language TEXT NOT NULL, confidence DOUBLE PRECISION NOT NULL,
    edited INTEGER NOT NULL,
    vectors INTEGER NOT NULL
);
CREATE INDEX cues_of_video ON cues (video_id, start_seconds);
CREATE INDEX cues_of_span ON cues (span_id);
CREATE TABLE word_spans (  -- how a span was read
    span_id BIGINT PRIMARY KEY REFERENCES spans_words ON DELETE CASCADE,
    sources TEXT NOT NULL, languages TEXT NOT NULL, notes TEXT NOT NULL
);
CREATE TABLE word_wishes (  -- how somebody wants a video to be read
    video_id TEXT PRIMARY KEY REFERENCES videos ON DELETE CASCADE, language TEXT NOT NULL, no_words INTEGER NOT NULL
);
CREATE TABLE cue_terms (rowid BIGINT PRIMARY KEY REFERENCES cues ON DELETE CASCADE, terms TSVECTOR NOT NULL);
CREATE INDEX cue_terms_index ON cue_terms USING GIN (terms);
"""

logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it would log each try to connect; each request says why


class _Transaction:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[object] = ()) -> psycopg.Cursor[Any]:
        return self._connection.execute(_translated(statement), values or None, binary=True)

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        with self._connection.cursor(binary=True) as cursor:
            yield from cursor.stream(_translated(statement), values or None, size=_ROWS_AT_A_TIME)


class PostgresDatabase:
    """The schema of a library in the database at a URL; see `Database`.

    Args:
        url: `postgresql://USER@HOST:PORT/NAME`.
        password: if the URL has none; empty: PGPASSWORD or a password file may have it.
    """

    def __init__(self, url: str, library: str, password: str = "") -> None:
        self.place = f"{hide_password(url)}, library '{library}'"
        self.own_versions = FORMAT, MODELS_FORMAT
        self._url, self._schema = url, schema_of(library)
        self._options: dict[str, Any] = _options_of(password)
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            url,
            kwargs=self._options,
            min_size=0,
            max_size=_MOST_CONNECTIONS,
            max_idle=_IDLE_SECONDS,
            timeout=_CONNECT_SECONDS,
            reconnect_timeout=_CONNECT_SECONDS,  # then the next request tries at once, instead of waiting for this one
            num_workers=1,
            configure=self._configure,
            check=ConnectionPool.check_connection,  # one that was cut is replaced
            open=True,
        )

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(sql.SQL(_SESSION + "SET search_path = {}").format(sql.Identifier(self._schema)))

    def close(self) -> None:
        self._pool.close()

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        with self._connection("cannot be read") as connection:
            rows = _Transaction(connection).execute(statement, values).fetchall()
        yield from rows  # by now others may have the connection

    def row(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        with self._connection("cannot be read") as connection:
            row: Row | None = _Transaction(connection).execute(statement, values).fetchone()
            return row

    @contextmanager
    def write(self) -> Iterator[_Transaction]:
        with self._connection("stored nothing") as connection, connection.transaction():
            connection.execute("SELECT 1 FROM meta WHERE key = 'revision' FOR UPDATE")  # one writer at a time
            yield _Transaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[_Transaction]:
        with self._connection("cannot be read") as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # it blocks nobody
            yield _Transaction(connection)

    def version(self) -> int:
        with self._connection("cannot be read") as connection:
            return self._version(connection)

    def _version(self, connection: psycopg.Connection[Any]) -> int:
        if connection.execute("SELECT to_regclass('meta')").fetchone() == (None,):
            return 0
        row = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
        return int(row[0]) if row else 0

    def prepare(self) -> None:
        with self._connection("cannot be prepared") as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema,))
            version = self._version(connection)
            if version > MODELS_FORMAT:
                raise StoreVersion(
                    f"The store {self.place} was written by a newer ClipSeek (format {version}, this one reads "
                    f"{MODELS_FORMAT}). Update ClipSeek, or set CLIPSEEK_STORE to another database."
                )
            if version == 0:
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self._schema)))
                connection.execute(_SCHEMA + _SPANS.format(slot=""))
                facts = [("format", str(FORMAT)), ("store_id", uuid.uuid4().hex)]
                connection.cursor().executemany("INSERT INTO meta VALUES (%s, %s)", facts)

    def add_slot(self, db: Transaction, slot: str) -> None:
        for statement in _SPANS.format(slot=slot).strip().split(";\n"):  # with binary answers, only one at a time
            db.execute(statement)
        db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (str(MODELS_FORMAT),))

    def add_words(self, db: Transaction) -> None:
        for statement in (_SPANS.format(slot=WORDS) + _WORDS).strip().split(";\n"):
            db.execute(statement)

    # As the terms are: PostgreSQL's own way to read a text would divide them again.
    terms_value, terms_match = "array_to_tsvector(string_to_array(?, ' '))", "terms @@ CAST(? AS tsquery)"
    terms_text = "array_to_string(tsvector_to_array(terms), ' ')"

    def any_of(self, terms: Sequence[str], *, all_of: bool = False) -> str:
        return (" & " if all_of else " | ").join(f"'{term}'" for term in terms)

    def clear_slot(self, db: Transaction, slot: str) -> None:
        db.execute(f"TRUNCATE spans{slot}, changes{slot}")

    def shrink(self) -> None:
        """Nothing to do: `clear_slot` does it."""

    def has_checksums(self) -> bool:
        return True

    def find_damage(self, *, quick: bool = False) -> list[str]:  # noqa: ARG002
        """Nothing: the server checks its pages as it reads them, and says so then."""
        return []

    def rebuild_indices(self) -> None:
        with self._connection("cannot be repaired") as connection:
            connection.execute(sql.SQL("REINDEX SCHEMA {}").format(sql.Identifier(self._schema)))

    @contextmanager
    def _connection(self, what_fails: str) -> Iterator[psycopg.Connection[Any]]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except PoolTimeout as error:
            raise self._translate(self._find_cause() or error, what_fails) from error
        except psycopg.Error as error:
            raise self._translate(error, what_fails) from error

    def _find_cause(self) -> psycopg.Error | None:
        """Why the pool gets no connection, which it does not say."""
        try:
            psycopg.connect(self._url, **self._options).close()
        except psycopg.Error as error:
            return error
        return None

    def _translate(self, error: psycopg.Error, what: str) -> StoreError | InvalidRequest:
        """An error of PostgreSQL as one of the store; `what` failed."""
        cause = " ".join(str(error).split())
        if isinstance(error, psycopg.DataError):
            return InvalidRequest(f"The store {self.place} {what}: PostgreSQL cannot hold this ({cause}).")
        for start, (kind, reason) in _REASONS.items():
            if (error.sqlstate or "").startswith(start):
                return kind(f"The store {self.place} {what}, because {reason}.")
        if isinstance(error, PoolTimeout):
            return StoreBusy(f"The store {self.place} {what}, because all its connections are in use. Try again.")
        if isinstance(error, psycopg.OperationalError):
            return StoreUnreachable(
                f"The store {self.place} {what}, because there is no connection ({cause}). Start the server of the "
                "database, or correct CLIPSEEK_STORE and CLIPSEEK_STORE_PASSWORD. Then the indexer connects by itself."
            )
        return StoreError(f"The store {self.place} {what} ({cause}). Check CLIPSEEK_STORE.")


def list_schemas(url: str, password: str = "") -> list[str]:
    """The libraries in a database. Raises: StoreUnreachable, StoreError."""
    database = PostgresDatabase(url, "main", password)
    try:
        names = database.rows("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, ?)", (_PREFIX,))
        return sorted(name.removeprefix(_PREFIX) for (name,) in names)
    finally:
        database.close()


def schema_of(library: str) -> str:
    """The schema of a library: it is written as an identifier in quotes, for names have hyphens."""
    return _PREFIX + library


def hide_password(url: str) -> str:
    """A URL without the passwords that it may hold: its user's, a key's, a client's."""
    return re.sub(r"([?&]\w*(?:password|secret)=)[^&]*", r"\1...", re.sub(r"(//[^/@?]*?):[^/@?]*@", r"\1@", url))


def _options_of(password: str) -> dict[str, Any]:
    secret = {"password": password} if password else {}
    return {**_OPTIONS, **secret, "autocommit": True, "connect_timeout": round(_CONNECT_SECONDS)}


def _translated(statement: str) -> Any:
    """A statement of the store, as psycopg wants it."""
    return statement.replace("%", "%%").replace("?", "%s")
