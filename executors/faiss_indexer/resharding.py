"""Divides a store into another number of shards, while no server uses it.

`python -m executors.faiss_indexer.resharding HOME SHARDS` prints what was done as JSON, for `clipseek reshard`.

The new stores are made whole beside the old ones, and take their place by renaming. So it may be broken off at any
moment and run again: until the end the old ones are there, and after it the new ones are.
"""

import heapq
import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clipseek.errors import StoreCorrupt, StoreError, StoreFull
from clipseek.libraries import libraries_below, library_folder
from clipseek.own_process import print_answer
from clipseek.shards import (
    MAKING,
    RETIRED,
    divided_folder,
    divisions,
    locks_of,
    shard_folders,
    shard_of,
)
from executors.durable import sync
from executors.faiss_indexer.store import TICK_SECONDS, Store

_NOT_COPIED = "revision"  # of the meta data: how often this very file was changed


@dataclass(frozen=True)
class Resharded:
    """What became of a library."""

    library: str
    shards_before: int
    shards: int
    videos: int
    frames: int


def reshard(home: Path, shards: int) -> list[Resharded]:
    """Divide every library below `home` into so many shards.

    Raises:
        StoreError: a server is using the store, a store cannot be read, or there is not enough room for a second one.
    """
    with ExitStack() as locks:
        for file in sorted({*home.glob("server*.lock"), *locks_of(home, range(shards))}):
            try:
                locks.enter_context(FileLock(file).acquire(timeout=0))
            except Timeout as error:
                raise StoreError(f"The store {home} is in use by a server. Stop it, then repeat.") from error
        made = [_reshard_library(name, library_folder(home, name), shards) for name in libraries_below(home)]
    return [each for each in made if each]


def _reshard_library(name: str, folder: Path, shards: int) -> Resharded | None:
    for left in [*folder.glob(f"*{MAKING}"), *folder.glob(f"*{RETIRED}")]:
        _remove(left)
    before = divisions(folder)
    if not before:
        return None
    if shards not in before:
        _make(shard_folders(folder, before[0]), folder, shards)
    for count in before:
        if count != shards:
            _retire(folder, count)
    counts = [_counts(each) for each in shard_folders(folder, shards)]
    return Resharded(name, before[0], shards, sum(videos for videos, _ in counts), sum(frames for _, frames in counts))


def _make(sources: list[Path], folder: Path, shards: int) -> None:
    """Copy what is in the sources into new stores, and put these into their place once they are whole."""
    for source in sources:
        Store(source).close()  # brought up to date, its log folded into it
    needed = sum((source / "index.db").stat().st_size for source in sources)
    if shutil.disk_usage(folder).free < needed:
        raise StoreFull(f"The disk of {folder} is too full: {needed / 1e6:.0f} MB are needed for a while.")
    making = folder / f"shards-{shards}{MAKING}"
    try:
        for shard in range(shards):
            _fill(making / str(shard), sources, shard, shards)
    except sqlite3.Error as error:
        raise StoreError(f"The store {folder} cannot be divided anew ({error}). Nothing was changed.") from error
    _check_same([_counts(each) for each in sources], [_counts(making / str(shard)) for shard in range(shards)])
    sync(making)
    if shards == 1:
        (making / "0" / "index.db").replace(folder / "index.db")
        _remove(making)
    else:
        making.replace(divided_folder(folder, shards))
    sync(folder)


def _fill(target: Path, sources: list[Path], shard: int, shards: int) -> None:
    """Make one of the new stores, with the videos that will live there."""
    Store(target).close()
    with closing(sqlite3.connect(target / "index.db", isolation_level=None)) as db:
        db.create_function("is_here", 1, lambda video_id: shard_of(video_id, shards) == shard, deterministic=True)
        videos, spans = _columns(db, "videos"), _columns(db, "spans")
        spans.remove("span_id")
        db.execute("BEGIN")
        for row in heapq.merge(*(_videos(source, videos) for source in sources)):
            if shard_of(row[1], shards) == shard:
                names = ", ".join(["added_at", "video_id", *videos])
                db.execute(f"INSERT INTO videos ({names}) VALUES ({', '.join('?' * len(row))})", row)
        db.execute("COMMIT")
        names = ", ".join(spans)
        for number, source in enumerate(sources):
            db.execute("ATTACH ? AS source", (str(source / "index.db"),))
            db.execute("BEGIN")
            if number == 0:  # where what was fitted to the whole library is kept
                db.execute(f"INSERT OR REPLACE INTO meta SELECT * FROM source.meta WHERE key <> '{_NOT_COPIED}'")
            db.execute(f"INSERT INTO spans ({names}) SELECT {names} FROM source.spans WHERE is_here(video_id)")
            db.execute("COMMIT")
            db.execute("DETACH source")
        db.execute("UPDATE meta SET value = '1' WHERE key = 'revision'")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sync(target / "index.db")
    sync(target)


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    return [name for name in names if table == "spans" or name not in ("added_at", "video_id")]


def _videos(source: Path, columns: list[str]) -> list[tuple[Any, ...]]:
    """When each video of a store was added, its id, and the rest of what is known of it. In the order in which they
    were, with times that ascend, whatever the clock said.
    """
    names = ", ".join(["added_at", "video_id", *columns])
    last, rows = 0.0, []
    with closing(sqlite3.connect(source / "index.db")) as db:
        for added_at, *rest in db.execute(f"SELECT {names} FROM videos ORDER BY rowid"):
            last = max(added_at, last + TICK_SECONDS)
            rows.append((last, *rest))
    return rows


def _counts(folder: Path) -> tuple[int, int]:
    """The videos and frames of a store."""
    with closing(sqlite3.connect(folder / "index.db")) as db:
        videos, frames = db.execute(
            "SELECT (SELECT COUNT(*) FROM videos), (SELECT COALESCE(SUM(frames), 0) FROM spans)"
        ).fetchone()
    return videos, frames


def _check_same(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    totals = [tuple(map(sum, zip(*counts, strict=True))) for counts in (before, after)]
    if totals[0] != totals[1]:
        raise StoreCorrupt(
            f"Of {totals[0]} videos and frames {totals[1]} were copied. Nothing was changed: see `clipseek doctor "
            f"--check`."
        )


def _retire(folder: Path, shards: int) -> None:
    """Take the stores of a division out of the way, at once, then remove them."""
    old = folder / "index.db" if shards == 1 else divided_folder(folder, shards)
    if shards == 1:
        _remove(folder / "index")  # a cache: it must not be taken for that of a store made later
    retired = old.with_name(old.name + RETIRED)
    old.replace(retired)
    sync(folder)
    _remove(retired)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    print_answer(lambda: [asdict(each) for each in reshard(Path(sys.argv[1]), int(sys.argv[2]))])


if __name__ == "__main__":
    main()
