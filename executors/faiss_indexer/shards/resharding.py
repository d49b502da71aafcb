"""Divides a store into another number of shards, while no server uses it.

`python -m executors.faiss_indexer.shards.resharding HOME SHARDS` prints what was done as JSON, for `clipseek reshard`.

The new stores are completed beside the old ones, then renamed into their place. So it may be interrupted at any time
and run again: until the end the old stores are there, after it the new ones.
"""

import heapq
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipseek.api.errors import StoreCorrupt, StoreError, StoreFull
from clipseek.config.libraries import libraries_below, library_folder
from clipseek.config.shards import MAKING, RETIRED, divided_folder, divisions, out_of_use, shard_folders, shard_of
from clipseek.machine.module_call import print_result
from clipseek.machine.sync import sync
from executors.faiss_indexer.store.store import TICK_SECONDS, Store

_NOT_COPIED = "revision"  # of the metadata: how often this file was changed


@dataclass(frozen=True)
class Resharded:
    """How a library was divided."""

    library: str
    shards_before: int
    shards: int
    videos: int
    frames: int


def reshard(home: Path, shards: int) -> list[Resharded]:
    """Divide every library below `home` into so many shards.

    Raises:
        StoreError: a server uses the store, a store cannot be read, or the disk has no room for a second one.
    """
    with out_of_use(home, range(shards)):
        libraries = [_reshard_library(name, library_folder(home, name), shards) for name in libraries_below(home)]
    return [library for library in libraries if library]


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
            _check_copied(folder, count, shards)
            _retire(folder, count)
    return Resharded(name, before[0], shards, *_totals(shard_folders(folder, shards)))


def _make(sources: list[Path], folder: Path, shards: int) -> None:
    """Copy the sources into new stores, and rename these into their place once they are complete."""
    for source in sources:
        Store(source).close()  # updates its format and folds its log into it
    needed = sum((source / "index.db").stat().st_size for source in sources)
    if shutil.disk_usage(folder).free < needed:
        raise StoreFull(f"The disk of {folder} is too full. Free {needed / 1e6:.0f} MB, which are needed for a while.")
    making = folder / f"shards-{shards}{MAKING}"
    try:
        model = _model(sources)
        for shard in range(shards):
            _fill(making / str(shard), sources, shard, shards, model)
        _check_same(_totals(sources), _totals([making / str(shard) for shard in range(shards)]))
    except (sqlite3.Error, OSError, StoreError) as error:
        _remove(making)  # a full disk would stop the server
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"The store {folder} cannot be divided ({error}). Nothing was changed.") from error
    sync(making)
    if shards == 1:
        (making / "0" / "index.db").replace(folder / "index.db")
        _remove(making)
    else:
        making.replace(divided_folder(folder, shards))
    sync(folder)


def _model(sources: list[Path]) -> dict[str, str]:
    """The metadata of the model that made the frames; a store without frames may name another model.

    Raises: StoreError: the frames are of several models.
    """
    named: list[dict[str, str]] = []
    used: dict[str, dict[str, str]] = {}
    for source in sources:
        with closing(_opened(source)) as db:
            named.append(dict(db.execute("SELECT key, value FROM meta WHERE key IN ('model_id', 'model_name')")))
            if db.execute("SELECT 1 FROM spans LIMIT 1").fetchone():
                used[named[-1]["model_id"]] = named[-1]
    if len(used) > 1:
        raise StoreError(f"The shards hold frames of several models ({', '.join(used)}). Nothing was changed.")
    return next(iter(used.values()), named[0])


def _fill(target: Path, sources: list[Path], shard: int, shards: int, model: dict[str, str]) -> None:
    """Write one of the new stores, with the videos that belong to it."""
    Store(target).close()
    with closing(_opened(target)) as db:
        db.execute("PRAGMA journal_mode = OFF")  # it would take the space again; an incomplete store is removed
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
            if number == 0:  # the first store holds what was fitted to the whole library
                db.execute(f"INSERT OR REPLACE INTO meta SELECT * FROM source.meta WHERE key <> '{_NOT_COPIED}'")
                db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", model.items())
            db.execute(f"INSERT INTO spans ({names}) SELECT {names} FROM source.spans WHERE is_here(video_id)")
            db.execute("COMMIT")
            db.execute("DETACH source")
        db.execute("UPDATE meta SET value = '1' WHERE key = 'revision'")
        db.execute("PRAGMA journal_mode = WAL")
    sync(target / "index.db")
    sync(target)


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    return [name for name in names if table == "spans" or name not in ("added_at", "video_id")]


def _videos(source: Path, columns: list[str]) -> list[tuple[Any, ...]]:
    """When each video of a store was added, its id, and its other columns. In the order in which they were added, with
    times that ascend, whatever the clock said.
    """
    names = ", ".join(["added_at", "video_id", *columns])
    last, rows = 0.0, []
    with closing(sqlite3.connect(source / "index.db")) as db:
        for added_at, *rest in db.execute(f"SELECT {names} FROM videos ORDER BY rowid"):
            last = max(added_at, last + TICK_SECONDS)
            rows.append((last, *rest))
    return rows


def _totals(stores: list[Path]) -> tuple[int, int]:
    """The videos and frames of all these stores."""
    counts = [_counts(store) for store in stores]
    return sum(videos for videos, _ in counts), sum(frames for _, frames in counts)


def _counts(folder: Path) -> tuple[int, int]:
    """The videos and frames of a store."""
    with closing(_opened(folder)) as db:
        videos, frames = db.execute(
            "SELECT (SELECT COUNT(*) FROM videos), (SELECT COALESCE(SUM(frames), 0) FROM spans)"
        ).fetchone()
    return videos, frames


def _opened(folder: Path) -> sqlite3.Connection:
    """A connection to an existing store; by default SQLite would create one."""
    return sqlite3.connect(f"{(folder / 'index.db').resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _check_same(before: tuple[int, int], after: tuple[int, int]) -> None:
    if before != after:
        raise StoreCorrupt(
            f"{after} of {before} videos and frames were copied. Nothing was changed. Run `clipseek doctor --check`."
        )


def _check_copied(folder: Path, old: int, new: int) -> None:
    """Raises: StoreError: two divisions of a library differ, so neither is a copy of the other."""
    stores = {count: folder / "index.db" if count == 1 else divided_folder(folder, count) for count in (old, new)}
    try:
        totals = {count: _totals(shard_folders(folder, count)) for count in stores}
    except sqlite3.Error as error:
        names = " and ".join(map(str, stores.values()))
        raise StoreError(f"{names} cannot both be read ({error}). Nothing was removed.") from error
    if totals[old] != totals[new]:
        both = " and ".join(
            f"{stores[count]} ({totals[count][0]} videos, {totals[count][1]} frames)" for count in stores
        )
        raise StoreError(f"Two stores of one library differ: {both}. Move one of them away.")


def _retire(folder: Path, shards: int) -> None:
    """Rename the stores of a division, in one step, then remove them."""
    old = folder / "index.db" if shards == 1 else divided_folder(folder, shards)
    if shards == 1:
        _remove(folder / "index")  # a cache: a later store must not read it
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
    print_result(lambda: [asdict(library) for library in reshard(Path(sys.argv[1]), int(sys.argv[2]))])


if __name__ == "__main__":
    main()
