"""Checks a store against its own rules, and mends what can be mended without loss.

`python -m executors.faiss_indexer.store.check FOLDER [--repair]` prints the findings as JSON, for `clipseek doctor`: in
a process of its own, so that a broken file that brings down a library brings down no more.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import faiss
import numpy as np

from clipseek.upkeep.finding import ERROR, OK, WARNING, print_findings, verdict
from clipseek.upkeep.finding import Finding as Check
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES, missing_spans, plan_spans
from executors.faiss_indexer.store.store import SCHEMA_VERSION

_UNIT_TOLERANCE = 0.01  # of a vector's length: float16 rounds each of its numbers by 0.05 % at most
_EDGE_SECONDS = 1e-3  # durations are kept as float64, timestamps come in ticks of the video's own clock
_FROM_BACKUP = "Restore index.db from a backup, or move it away and index the videos again."
_REPAIR = "Stop the server, then: clipseek doctor --repair"


@dataclass(frozen=True)
class _Span:
    """A row of the table of spans, its blobs as arrays of what they should hold."""

    span_id: int
    video_id: str
    start_seconds: float
    end_seconds: float
    frames: int
    pts: bytes
    vectors: bytes
    cuts: bytes
    blank: bytes


def check_store(folder: Path) -> Iterator[Check]:
    """Look at the SQLite file and the index cache in `folder`; reads only, and may run beside a server."""
    try:
        with closing(_opened(folder, "ro")) as db:
            db.execute("BEGIN")  # one state of the store, whatever a server stores meanwhile
            yield from _database(db)
            yield from _index_cache(folder / "index", db)
    except sqlite3.Error as error:
        yield Check("database", ERROR, f"{folder / 'index.db'}: {error}", _FROM_BACKUP)


def repair_store(folder: Path) -> Iterator[Check]:
    """Mend what can be: no server may use the store meanwhile. Yields what was done.

    Spans that break the rules go, to be indexed anew from their video; so does an index cache that does not fit. Nothing
    that is right is touched.
    """
    try:
        with closing(_opened(folder, "rw")) as db:
            if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                db.execute("REINDEX")
                yield Check("repair", OK, "made the database's own indices anew")
            wrong = _wrong_spans(db)
            db.execute("BEGIN IMMEDIATE")
            db.executemany("DELETE FROM spans WHERE span_id = ?", [(span_id,) for span_id in wrong])
            if wrong:
                db.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'revision'")
                yield Check("repair", OK, f"dropped {len(wrong)} spans that were wrong; their videos want indexing")
            db.execute("COMMIT")
            for file in [*_misfits(folder / "index", db), *_stale(folder / "index", db)]:
                file.unlink()
                yield Check("repair", OK, f"dropped {file.name}; it is made anew from the store")
    except sqlite3.Error as error:
        yield Check("repair", ERROR, f"{folder / 'index.db'}: {error}", _FROM_BACKUP)


def _opened(folder: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{(folder / 'index.db').as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30)


def _database(db: sqlite3.Connection) -> Iterator[Check]:
    broken = [row[0] for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
    yield verdict("database", broken, "sound", f"{_REPAIR}. If that does not help: {_FROM_BACKUP}")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        other = f"format {version}, this ClipSeek's is {SCHEMA_VERSION}"
        yield Check("format", WARNING, other, "A server brings an older store up to date; a newer one wants an update.")
        return
    lost = [f"{row[0]} row {row[1]} belongs to no {row[2]}" for row in db.execute("PRAGMA foreign_key_check")]
    yield verdict("references", lost, "whole", _REPAIR)
    wrong = _wrong_spans(db)
    spans, frames = db.execute("SELECT COUNT(*), COALESCE(SUM(frames), 0) FROM spans").fetchone()
    yield verdict("spans", list(wrong.values()), f"{spans} with {frames} frames, unit vectors", _REPAIR)
    yield verdict(
        "complete",
        list(_incomplete(db)),
        "every video is indexed whole",
        "Index them again, or resume them on the page: only what is missing is done.",
        state=WARNING,
    )


def _wrong_spans(db: sqlite3.Connection) -> dict[int, str]:
    """What is wrong with which span, by span id."""
    durations = dict(db.execute("SELECT video_id, duration_seconds FROM videos"))
    most = db.execute(
        "SELECT length(vectors) / frames FROM spans WHERE frames > 0 GROUP BY 1 ORDER BY SUM(frames) DESC LIMIT 1"
    ).fetchone()
    wrong = dict(chain.from_iterable(_overlaps(db, *each) for each in durations.items()))
    rows = db.execute(
        "SELECT span_id, video_id, start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, blank "
        "FROM spans"
    )
    for row in rows:
        span = _Span(*row)
        why = _fault(span, durations.get(span.video_id), most[0] if most else 0)
        if why:
            wrong[span.span_id] = f"{span.video_id[:12]} [{span.start_seconds:g}, {span.end_seconds:g}): {why}"
    return wrong


def _overlaps(db: sqlite3.Connection, video_id: str, duration_seconds: float) -> Iterator[tuple[int, str]]:
    """Of two spans that overlap, the one that is not of the plan, else the later one."""
    planned = set(plan_spans(duration_seconds))
    rows = db.execute(
        "SELECT span_id, start_seconds, end_seconds FROM spans WHERE video_id = ? ORDER BY start_seconds", (video_id,)
    )
    for before, after in pairwise(rows.fetchall()):
        if after[1] < before[2]:
            odd = before if before[1:] not in planned else after
            yield odd[0], f"{video_id[:12]} [{odd[1]:g}, {odd[2]:g}): overlaps another span"


def _fault(span: _Span, duration_seconds: float | None, vector_bytes: int) -> str:
    """What is wrong with a span; empty if nothing is."""
    if duration_seconds is None:
        return "its video is not known"
    if not 0 <= span.start_seconds < span.end_seconds <= duration_seconds + _EDGE_SECONDS:
        return f"is outside its video of {duration_seconds:g} s"
    if not 0 <= span.frames <= MAX_SPAN_FRAMES:
        return f"says that it has {span.frames} frames"
    sizes = (len(span.pts), len(span.vectors), len(span.blank) or span.frames, len(span.cuts) % 8)
    if sizes != (8 * span.frames, vector_bytes * span.frames, span.frames, 0) or vector_bytes % 2:
        return f"has {span.frames} frames, {len(span.pts)} bytes of times and {len(span.vectors)} of vectors"
    return _fault_in_arrays(span)


def _fault_in_arrays(span: _Span) -> str:
    pts_seconds, cut_seconds = np.frombuffer(span.pts, np.float64), np.frombuffer(span.cuts, np.float64)
    for name, times in (("times of frames", pts_seconds), ("cuts", cut_seconds)):
        inside = (times >= span.start_seconds - _EDGE_SECONDS) & (times < span.end_seconds + _EDGE_SECONDS)
        if not inside.all() or (np.diff(times) <= 0).any():
            return f"its {name} do not ascend inside it"
    if span.frames:
        vectors = np.frombuffer(span.vectors, np.float16).reshape(span.frames, -1).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1)
        if not (np.abs(lengths - 1) < _UNIT_TOLERANCE).all():  # false for nan, too
            return f"its vectors have lengths from {lengths.min():.3f} to {lengths.max():.3f} in place of 1"
    return ""


def _incomplete(db: sqlite3.Connection) -> Iterator[str]:
    stored: dict[str, set[tuple[float, float]]] = {}
    for video_id, start, end in db.execute("SELECT video_id, start_seconds, end_seconds FROM spans"):
        stored.setdefault(video_id, set()).add((start, end))
    for video_id, title, duration_seconds in db.execute("SELECT video_id, title, duration_seconds FROM videos"):
        missing = missing_spans(duration_seconds, stored.get(video_id, set()))
        if missing:
            yield f"'{title}' ({video_id[:12]}): {len(missing)} of {len(plan_spans(duration_seconds))} spans missing"


def _index_cache(folder: Path, db: sqlite3.Connection) -> Iterator[Check]:
    misfits = [f"{file.name} does not fit the store" for file in _misfits(folder, db)]
    kept = [file.name for file in folder.glob("frames-*.faiss")]
    fine = f"{', '.join(kept)}" if kept else "none; it is made at the next start"
    stale = {file.name for file in _stale(folder, db)} & set(kept)
    if stale:
        fine = f"{', '.join(stale)} is older than the store; it is made anew at the next start"
    yield verdict("index cache", misfits, fine, _REPAIR)


def _misfits(folder: Path, db: sqlite3.Connection) -> list[Path]:
    """The cache of the store's present revision, if it does not hold what the store holds."""
    file = folder / f"frames-{_revision(db)}.faiss"
    return [file] if file.exists() and not _fits(file, db) else []


def _stale(folder: Path, db: sqlite3.Connection) -> list[Path]:
    """Caches of other revisions, and what was left of writing one."""
    return [file for file in sorted(folder.glob("frames-*")) if file.name != f"frames-{_revision(db)}.faiss"]


def _revision(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()[0])


def _fits(file: Path, db: sqlite3.Connection) -> bool:
    try:
        index = faiss.read_index(str(file))
    except RuntimeError:
        return False
    total = 0
    for span_id, frames, blob in db.execute("SELECT span_id, frames, vectors FROM spans WHERE frames > 0"):
        ids = span_id * MAX_SPAN_FRAMES + np.arange(frames, dtype=np.int64)
        try:
            kept = index.reconstruct_batch(ids)
        except RuntimeError:  # one of the ids is unknown
            return False
        if kept.astype(np.float16).tobytes() != blob:
            return False
        total += frames
    return bool(index.ntotal == total)


def main() -> None:
    folder = Path(sys.argv[1])
    work = repair_store if "--repair" in sys.argv[2:] else check_store
    print_findings(work(folder))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
