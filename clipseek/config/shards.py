"""How a library is divided into shards: each video is on one of them, chosen by its id.

The folder of an undivided library holds `index.db`. A library of N shards has `shards-N/0` to `shards-N/N-1`, each with
an `index.db` of its own. The names show the count, so a server never mistakes one division for another.
"""

import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from clipseek.api.errors import StoreError
from clipseek.config.libraries import libraries_below, library_folder

MAKING = ".making"  # suffix of a folder that `clipseek reshard` has not finished
RETIRED = ".retired"  # suffix of the stores that it has replaced
_DIVIDED = re.compile(r"shards-([0-9]+)")


def shard_of(video_id: str, shards: int) -> int:
    """The shard of a video, the same on every machine and forever."""
    return zlib.crc32(video_id.encode()) % shards


def divided_folder(folder: Path, shards: int) -> Path:
    """The folder of the shards of the library in `folder`."""
    return folder / f"shards-{shards}"


def shard_folder(folder: Path, shard: int, shards: int) -> Path:
    """The folder of one shard of the library in `folder`: the same folder if it is not divided."""
    return folder if shards == 1 else divided_folder(folder, shards) / str(shard)


def shard_folders(folder: Path, shards: int) -> list[Path]:
    return [shard_folder(folder, shard, shards) for shard in range(shards)]


def divisions(folder: Path) -> list[int]:
    """The counts of shards for which a library's folder has stores.

    That is one count; none before the first start; two if `clipseek reshard` was interrupted.
    """
    file = folder / "index.db"
    undivided = [1] if file.exists() and file.stat().st_size else []  # SQLite creates an empty file when it opens none
    names = (_DIVIDED.fullmatch(path.name) for path in sorted(folder.glob("shards-*")))
    return [*undivided, *(int(match[1]) for match in names if match)]


def store_folders(folder: Path) -> list[Path]:
    return [store for shards in divisions(folder) for store in shard_folders(folder, shards)]


def locks_of(home: Path, shards: Iterable[int]) -> list[Path]:
    """The files that processes of these shards lock while they use the stores below `home`."""
    return [home / ("server.lock" if shard == 0 else f"server-{shard}.lock") for shard in shards]


@contextmanager
def out_of_use(home: Path, shards: Iterable[int] = ()) -> Iterator[None]:
    """Keep servers away from the store in `home`: hold all existing locks, and those of these shards.

    Raises: StoreError: a server is using it.
    """
    with ExitStack() as locks:
        for file in sorted({*home.glob("server*.lock"), *locks_of(home, shards)}):
            try:
                locks.enter_context(FileLock(file).acquire(timeout=0))
            except Timeout as error:
                raise StoreError(f"The store {home} is in use by a server. Stop it, then repeat.") from error
        yield


def check_whole(folder: Path, shards: int | str = "N") -> None:
    """Raises: StoreError: `clipseek reshard`, into `shards` shards, was interrupted in a library's folder."""
    if len(divisions(folder)) > 1:
        raise StoreError(
            f"`clipseek reshard` was interrupted in {folder}. Run it again first: clipseek reshard {shards}. "
            f"Nothing is lost."
        )


def check_division(home: Path, shards: int) -> None:
    """Check that every library below `home` has this many shards, or no store yet.

    Raises: StoreError: a library has another count; the message says what to do.
    """
    for name in libraries_below(home):
        folder = library_folder(home, name)
        check_whole(folder, shards)
        counts = divisions(folder)
        if counts not in ([], [shards]):
            raise StoreError(
                f"The store {folder} was made with CLIPSEEK_SHARDS={counts[0]}, but the setting is {shards}, so videos "
                f"would be missing. Set it back, or divide the store again: clipseek reshard {shards}"
            )


def read_store_model(home: Path) -> str | None:
    """The name of the model whose embeddings the store in `home` holds; None if the store is missing or empty.

    The encoders start before the indexer answers, so they cannot ask it, and they may not import it. Stores of every
    version hold the row read here; the indexer writes it (executors/faiss_indexer/store).
    """
    names = (_read_model_name(folder / "index.db") for folder in store_folders(home))
    return next((name for name in names if name), None)


def _read_model_name(database: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'model_name'").fetchone()
    except sqlite3.Error:
        return None  # the indexer opens the same file and reports what is wrong with it
    return str(row[0]) if row and row[0] else None
