"""What a store needs of its database: rows, one write at a time, and errors in the store's words.

`sqlite.py` and `postgres.py` are the two; the settings say which, and where. Statements are in the SQL that both
understand, with `?` for each value.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from clipseek.api.errors import ClipSeekError, StoreCorrupt
from clipseek.config.libraries import libraries_below, library_folder
from clipseek.config.settings import Settings
from clipseek.config.store_files import read_store_password

UNREADABLE = (ClipSeekError, TypeError, ValueError)  # damaged rows may hold values of another type than was stored
Row = tuple[Any, ...]


def explain(error: Exception) -> str:
    """Why a store cannot be read, for a reader who knows which one: of damage what the database itself says."""
    return str(error.__cause__ or error) if isinstance(error, StoreCorrupt) else str(error)


class Transaction(Protocol):
    """Statements that see one state of the store, and are stored all or none."""

    def execute(self, statement: str, values: Sequence[object] = ()) -> Any:
        """Run a statement. Returns: a cursor with `fetchone` and `fetchall`, also an iterator."""

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """The rows of a query, never all of them in memory."""


class Database(Protocol):
    """The tables of one library. Any thread may use it.

    Raises: StoreFull, StoreReadOnly, StoreBusy, StoreCorrupt, StoreUnreachable, StoreError: every method may.
    """

    @property
    def place(self) -> str:
        """Where it is, for people: a path, or a URL without its password."""

    def prepare(self) -> None:
        """Create the tables, or bring those of an earlier format up to date. Raises: StoreVersion."""

    @property
    def own_versions(self) -> tuple[int, int]:
        """The formats of the tables that this ClipSeek uses: of a store with one model, and with several."""

    def version(self) -> int:
        """The format of the tables; 0: there are none."""

    def add_slot(self, db: Transaction, slot: str) -> None:
        """Create the tables of one more model, see `models.py`."""

    def add_words(self, db: Transaction) -> None:
        """Create the tables of words: spans with the vectors of cues, the cues, and their terms."""

    @property
    def terms_value(self) -> str:
        """The expression that stores terms, which are words of letters and digits with spaces between them."""

    @property
    def terms_text(self) -> str:
        """The expression of the stored terms as such words."""

    @property
    def terms_match(self) -> str:
        """The condition on `cue_terms` that its terms fit `any_of`."""

    def any_of(self, terms: Sequence[str], *, all_of: bool = False) -> str:
        """The value of `terms_match`: one of the terms, or all, must be there."""

    def clear_slot(self, db: Transaction, slot: str) -> None:
        """Remove all rows from the tables of a model."""

    def shrink(self) -> None:
        """Give the disk back what removed rows took, if it is much and the database does not do that by itself."""

    def has_checksums(self) -> bool:
        """Whether spans have a column for them: version 0.1 made none."""

    def close(self) -> None: ...

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """The rows of a query; they may all be in memory."""

    def row(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        """The first row of a query."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes. Only one at a time: later ones see all that it stored."""

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """A transaction that reads, whatever is written meanwhile."""

    def find_damage(self, *, quick: bool = False) -> list[str]:
        """What the database itself finds wrong with its files."""

    def rebuild_indices(self) -> None:
        """Make the database's own indices again from the rows."""


def open_database(settings: Settings, library: str, mode: str = "rwc") -> Database:
    """The database of a library. `mode` is SQLite's, see `SqliteDatabase`. Raises: InvalidRequest: a wrong name."""
    folder = library_folder(settings.home, library)
    if not settings.store:
        from executors.faiss_indexer.store.sqlite import SqliteDatabase

        return SqliteDatabase(folder / "index.db", mode)
    from executors.faiss_indexer.store.postgres import PostgresDatabase

    return PostgresDatabase(settings.store, library, read_store_password(settings))


def list_libraries(settings: Settings) -> list[str]:
    """The libraries that have a store. Raises: StoreUnreachable, StoreError."""
    if settings.store:
        from executors.faiss_indexer.store.postgres import list_schemas

        return list_schemas(settings.store, read_store_password(settings))
    names = libraries_below(settings.home)
    return [name for name in names if (library_folder(settings.home, name) / "index.db").exists()]
