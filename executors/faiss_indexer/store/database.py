"""What a store needs of its database: rows, one write at a time, and errors in the store's words.

`sqlite.py` and `postgres.py` are the two. Statements are in the SQL that both understand, with `?` for each value.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from clipseek.api.errors import ClipSeekError

UNREADABLE = (ClipSeekError, TypeError, ValueError)  # damaged rows may hold values of another type than was stored
Row = tuple[Any, ...]


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
    def own_version(self) -> int:
        """The format of the tables that this ClipSeek uses."""

    def version(self) -> int:
        """The format of the tables; 0: there are none."""

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
