"""What a store holds, for programs that do not import executors: `clipseek doctor`, the encoders, and the metrics.

`python -m executors.faiss_indexer.store.report COMMAND LIBRARY...` prints JSON, a value for each library in the store
of the settings. COMMAND is `totals`, `check` (the same after the database's quick check of itself), `titles` (of
videos, by id), `model` (its name) or `answering` (the same, where it matters). `libraries` alone lists them.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from clipseek.api.model_ids import model_name
from clipseek.config.settings import Settings
from clipseek.machine.module_call import print_result
from executors.faiss_indexer.store.database import UNREADABLE, Database, explain, list_libraries, open_database
from executors.faiss_indexer.store.models import MODEL_ID, MODEL_NAME, StoredModels, answering_slot

_Read = Callable[[Database], Any]


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


def read_totals(database: Database, *, check: bool = False) -> StoreTotals:
    """Count the videos and frames of a store, also beside a server; `check` has the database check itself first."""
    try:
        if check and (damage := database.find_damage(quick=True)):
            return StoreTotals(problem=damage[0])
        with database.snapshot() as db:
            videos, seconds = db.execute("SELECT COUNT(*), COALESCE(SUM(duration_seconds), 0) FROM videos").fetchone()
            slot = answering_slot(db)
            [frames] = db.execute(f"SELECT COALESCE(SUM(frames), 0) FROM spans{slot}").fetchone()
            meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        return StoreTotals(videos, seconds, frames, meta.get(MODEL_ID + slot, ""), meta.get("store_id", ""))
    except UNREADABLE as error:
        return StoreTotals(problem=explain(error))


def read_titles(database: Database) -> dict[str, str]:
    """The titles of a store's videos by their ids; none if it cannot be read."""
    try:
        return dict(database.rows("SELECT video_id, title FROM videos"))
    except UNREADABLE:
        return {}


def read_model_name(database: Database) -> str:
    """The name of the model that answers, or answered last; empty if there is none, or the store cannot be read."""
    try:
        with database.snapshot() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (MODEL_NAME + answering_slot(db),)).fetchone()
            return str(row[0]) if row else ""
    except UNREADABLE:
        return ""


def read_answering_name(database: Database) -> str:
    """The same, but empty also where the store is, unless somebody chose its model."""
    try:
        return model_name(StoredModels(database).answering())
    except UNREADABLE:
        return ""


@contextmanager
def reading(settings: Settings, library: str) -> Iterator[Database]:
    """The database of a library, only to read it."""
    database = open_database(settings, library, "ro")
    try:
        yield database
    finally:
        database.close()


COMMANDS: Mapping[str, _Read] = {
    "totals": lambda database: asdict(read_totals(database)),
    "check": lambda database: asdict(read_totals(database, check=True)),
    "titles": read_titles,
    "model": read_model_name,
    "answering": read_answering_name,
}


def run(command: str, *libraries: str) -> list[Any]:
    """The answers to a command. Raises: StoreError: the libraries cannot be listed."""
    settings = Settings.from_env()
    if command == "libraries":
        return list_libraries(settings)
    answers = []
    for library in libraries:
        with reading(settings, library) as database:
            answers.append(COMMANDS[command](database))
    return answers


if __name__ == "__main__":
    print_result(lambda: run(*sys.argv[1:]))
