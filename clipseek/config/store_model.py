"""Which model filled a store: the one fact in `index.db` that others than the indexer read.

The encoders start before the indexer answers, so they cannot ask it, and they may not import it. Stores of every
version hold the row read here; the indexer writes it (executors/faiss_indexer/store).
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from clipseek.config.shards import store_folders


def read_store_model(home: Path) -> str | None:
    """Read the name of the model whose embeddings the store in `home` holds; None if the store is missing or empty."""
    names = (_read_model_name(folder / "index.db") for folder in store_folders(home))
    return next((name for name in names if name), None)


def _read_model_name(database: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'model_name'").fetchone()
    except sqlite3.Error:
        return None  # the indexer opens the same file and reports what is wrong with it
    return str(row[0]) if row and row[0] else None
