"""What a store holds, for programs that do not import executors: `clipseek doctor`, and the metrics.

`python -m executors.faiss_indexer.store.report COMMAND FOLDER...` prints JSON, a value for each folder. COMMAND is
`totals`, `check` (the same after SQLite's quick check of the file) or `titles` (of videos, by id).
"""

import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipseek.machine.module_call import print_result
from executors.faiss_indexer.store.database import UNREADABLE

_BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class StoreTotals:
    """How much a store holds. `problem` says why it cannot be read; then all else is empty.

    `store_id` is its identity, also in each copy; empty while only earlier versions have used the store.
    """

    videos: int = 0
    seconds: float = 0.0
    frames: int = 0
    model_id: str = ""
    store_id: str = ""
    problem: str = ""


def read_totals(folder: Path, *, check: bool = False) -> StoreTotals:
    """Count the videos and frames of a store, also beside a server; `check` has SQLite check all of the file first."""
    try:
        with closing(_open(folder)) as db:
            if check and (problem := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
                return StoreTotals(problem=problem)
            videos, seconds = db.execute("SELECT COUNT(*), COALESCE(SUM(duration_seconds), 0) FROM videos").fetchone()
            [frames] = db.execute("SELECT COALESCE(SUM(frames), 0) FROM spans").fetchone()
            meta = dict(db.execute("SELECT key, value FROM meta"))
            return StoreTotals(videos, seconds, frames, meta.get("model_id", ""), meta.get("store_id", ""))
    except UNREADABLE as error:
        return StoreTotals(problem=str(error))


def read_titles(folder: Path) -> dict[str, str]:
    """The titles of a store's videos by their ids; none if it cannot be read."""
    try:
        with closing(_open(folder)) as db:
            return dict(db.execute("SELECT video_id, title FROM videos"))
    except UNREADABLE:
        return {}


def _open(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{(folder / 'index.db').as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)


COMMANDS: Mapping[str, Callable[[Path], Any]] = {
    "totals": lambda folder: asdict(read_totals(folder)),
    "check": lambda folder: asdict(read_totals(folder, check=True)),
    "titles": read_titles,
}

if __name__ == "__main__":
    print_result(lambda: [COMMANDS[sys.argv[1]](Path(folder)) for folder in sys.argv[2:]])
