"""Which model filled the store, read from the store's file without opening the store."""

import sqlite3
from contextlib import closing
from pathlib import Path

from clipseek.config.shards import store_folders


def read_store_model(home: Path) -> str | None:
    """The name of the model whose vectors the store in `home` holds; None if there is no store, or nothing in it."""
    names = (_read(folder / "index.db") for folder in store_folders(home))
    return next((name for name in names if name), None)


def _read(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'model_name'").fetchone()
    except sqlite3.Error:
        return None  # the indexer opens the same file and says what is wrong with it
    return str(row[0]) if row and row[0] else None
