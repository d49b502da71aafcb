"""Checks a store against its own rules, and repairs what can be repaired without loss.

`python -m executors.faiss_indexer.store.check LIBRARY [--repair]` prints the findings as JSON, for `clipseek doctor`.
It runs in a process of its own: a broken file may crash SQLite or Faiss, but not the doctor.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from clipseek.api.errors import StoreError
from clipseek.api.limits import WORD_SPAN_SECONDS
from clipseek.config.libraries import library_folder
from clipseek.config.settings import Settings
from clipseek.upkeep.finding import ERROR, OK, WARNING, Finding, print_findings, verdict
from executors.faiss_indexer.store.cache_file import (
    CacheDamaged,
    cache_path,
    index_folder_name,
    list_stale_files,
    read_cache,
)
from executors.faiss_indexer.store.database import UNREADABLE, Database, Transaction, explain, open_database
from executors.faiss_indexer.store.models import REVISION, WORDS, answering_slot, list_all_slots, list_slots
from executors.faiss_indexer.store.records import compute_checksum
from executors.faiss_indexer.store.spans import (
    MAX_SPAN_FRAMES,
    SPAN_SECONDS,
    count_spans,
    is_planned,
    number_frames,
)
from executors.faiss_indexer.store.store import delete_spans

_UNIT_TOLERANCE = 0.01  # of a vector's length: float16 rounds each of its numbers by 0.05 % at most
_EDGE_SECONDS = 1e-3  # durations are float64, timestamps are in ticks of the video's own clock
_LEAST_STEP = np.nextafter(0.0, 1.0)  # between two frames
_FROM_BACKUP = "Restore the store from a backup, or move it away and index the videos again."
_REPAIR = "Stop the server, then: clipseek doctor --repair"
_INDEX_AGAIN = (
    f"{_REPAIR}. It drops these spans. Then start the server and index the same files again: clipseek index FILE. "
    "Only the dropped spans are indexed."
)


@dataclass(frozen=True)
class _Span:
    span_id: int
    video_id: str
    start_seconds: float
    end_seconds: float
    frames: int
    pts: bytes
    vectors: bytes
    cuts: bytes
    blank: bytes
    checksum: int | None

    def compute_checksum(self) -> int:
        blobs = (self.pts, self.vectors, self.cuts, self.blank)
        return compute_checksum(self.video_id, self.start_seconds, self.end_seconds, self.frames, *blobs)


def check_store(settings: Settings, library: str) -> Iterator[Finding]:
    """Check the database of a library and the saved indexes on this machine. Only reads, also beside a server."""
    with closing(open_database(settings, library, "ro")) as database:
        try:
            with database.snapshot() as db:  # one state of the store, whatever a server writes meanwhile
                yield from _check_database(database, db)
                for slot in list_all_slots(db):
                    for folder in _list_index_folders(settings, library, db, slot):
                        yield _check_saved_index(folder, db, slot)
        except UNREADABLE as error:
            yield Finding("database", ERROR, f"{database.place}: {explain(error)}", _FROM_BACKUP)


def repair_store(settings: Settings, library: str) -> Iterator[Finding]:
    """Repair what can be repaired, while no server uses an SQLite file. Yields what was done.

    Deletes spans that break the rules, so that their videos can be indexed again, and saved indexes that do not fit.
    Spans that an earlier version stored get a checksum. Correct data is never touched.
    """
    with closing(open_database(settings, library, "rw")) as database:
        try:
            if not database.version():
                raise StoreError("it has no tables. Start the server, which makes them.")
            if database.find_damage():
                database.rebuild_indices()
                yield Finding("repair", OK, "rebuilt the database's own indices")
            database.prepare()
            with database.snapshot() as db:
                slots = list_all_slots(db)
            for slot in slots:
                with database.write() as db:
                    wrong = _find_wrong_spans(db, slot)
                    for span_id in wrong:
                        delete_spans(db, "span_id = ?", (span_id,), slot)
                    count = _fill_in_checksums(db, slot)
                if wrong:
                    again = "read the words of their videos again" if slot == WORDS else "index their videos again"
                    yield Finding("repair", OK, f"dropped {len(wrong)} wrong spans; {again}")
                if count:
                    yield Finding("repair", OK, f"gave {count} spans a checksum")
                with database.snapshot() as db:
                    for folder in _list_index_folders(settings, library, db, slot):
                        yield from _drop_misfits(folder, db, slot)
        except UNREADABLE as error:
            yield Finding("repair", ERROR, f"{database.place}: {explain(error)}", _FROM_BACKUP)


def _list_index_folders(settings: Settings, library: str, db: Transaction, slot: str) -> list[Path]:
    """The saved indexes of a model on this machine: one, or those of the indexers that share a database."""
    folder = library_folder(settings.home, library)
    if not settings.store:
        return [folder / index_folder_name("", "", slot)]
    row = db.execute("SELECT value FROM meta WHERE key = 'store_id'").fetchone()
    found = folder.glob(index_folder_name(row[0], "*", slot))
    return sorted(path for path in found if slot or "_" not in path.name)


def _drop_misfits(folder: Path, db: Transaction, slot: str) -> Iterator[Finding]:
    for file in [*_list_misfits(folder, db, slot), *list_stale_files(folder, _read_revision(db, slot))]:
        file.unlink()
        yield Finding("repair", OK, f"dropped {file.name}; the next start rebuilds it from the store")


def _check_database(database: Database, db: Transaction) -> Iterator[Finding]:
    fix = f"{_REPAIR}. If that does not help: {_FROM_BACKUP}"
    yield verdict("database", database.find_damage(), "sound", fix)
    version, own = database.version(), database.own_versions
    if not version:
        raise StoreError("it has no tables. Start the server, which makes them.")
    if version not in own:
        other = f"format {version}, but this ClipSeek uses format {own[0]}"
        yield Finding(
            "format", WARNING, other, "Start the server to update an older store. For a newer one update ClipSeek."
        )
        return
    answering, slots = answering_slot(db), list_slots(db)
    for slot in [answering, *(slots.keys() - {answering})]:
        yield from _check_spans(database, db, slot, "" if slot == answering else f", kept of {slots[slot]}")
    if WORDS in list_all_slots(db):
        yield from _check_spans(database, db, WORDS, " of words")
    yield verdict(
        "complete",
        list(_list_incomplete(db, answering)),
        "every video is fully indexed",
        "Index them again, or resume them on the page: only the missing spans are indexed.",
        state=WARNING,
    )


def _check_spans(database: Database, db: Transaction, slot: str, whose: str) -> Iterator[Finding]:
    """Check the spans of one model; `whose` they are ends what is said of them."""
    unknown = f"SELECT span_id FROM spans{slot} WHERE video_id NOT IN (SELECT video_id FROM videos)"
    orphans = [f"span {span_id} belongs to no video" for (span_id,) in db.rows(unknown)]
    yield verdict("references", orphans, f"complete{whose}", _REPAIR)
    wrong = _find_wrong_spans(db, slot, has_checksums=database.has_checksums())
    spans, frames = db.execute(f"SELECT COUNT(*), COALESCE(SUM(frames), 0) FROM spans{slot}").fetchone()
    yield verdict("spans", list(wrong.values()), f"{spans} with {frames} frames, unit vectors{whose}", _INDEX_AGAIN)
    yield _check_for_checksums(database, db, spans, slot)


def _check_for_checksums(database: Database, db: Transaction, spans: int, slot: str) -> Finding:
    without = spans
    if database.has_checksums():
        [without] = db.execute(f"SELECT COUNT(*) FROM spans{slot} WHERE checksum IS NULL").fetchone()
    faults = [f"{without} of {spans} spans have none: an earlier ClipSeek stored them"] if without else []
    return verdict("checksums", faults, "every span has one", f"{_REPAIR} adds them.", state=WARNING)


def _fill_in_checksums(db: Transaction, slot: str) -> int:
    """Give the spans without a checksum one. Returns: how many."""
    spans = _read_spans(db, slot, condition="WHERE checksum IS NULL")
    missing = [(span.compute_checksum(), span.span_id) for span in spans]
    for values in missing:
        db.execute(f"UPDATE spans{slot} SET checksum = ? WHERE span_id = ?", values)
    return len(missing)


def _read_spans(db: Transaction, slot: str, *, has_checksums: bool = True, condition: str = "") -> Iterator[_Span]:
    checksum = "checksum" if has_checksums else "NULL"  # no server of this version has used the store yet
    rows = db.rows(
        "SELECT span_id, video_id, start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, blank, "
        f"{checksum} FROM spans{slot} {condition}"
    )
    yield from (_Span(*row) for row in rows)


def _find_wrong_spans(db: Transaction, slot: str, *, has_checksums: bool = True) -> dict[int, str]:
    """Why each wrong span is wrong, by its id."""
    videos = {row[0]: row[1:] for row in db.execute("SELECT video_id, title, duration_seconds FROM videos")}
    common = db.execute(
        f"SELECT length(vectors) / frames FROM spans{slot} WHERE frames > 0 "
        "GROUP BY 1 ORDER BY SUM(frames) DESC LIMIT 1"
    ).fetchone()
    overlaps = dict(chain.from_iterable(_find_overlaps(db, slot, name, values[1]) for name, values in videos.items()))
    counts = (
        dict(db.execute("SELECT span_id, SUM(vectors) FROM cues GROUP BY span_id").fetchall())
        if slot == WORDS
        else None
    )
    wrong = {}
    for span in _read_spans(db, slot, has_checksums=has_checksums):
        title, duration_seconds = videos.get(span.video_id, ("unknown video", None))
        fault = overlaps.get(span.span_id) or _find_fault(
            span, duration_seconds, common[0] if common else 0, ascends=slot != WORDS
        )
        if counts is not None:
            fault = fault or _find_fault_in_lines(span, counts.get(span.span_id, 0))
        if fault:
            place = f"[{span.start_seconds:g}, {span.end_seconds:g})"
            wrong[span.span_id] = f"'{title}' ({span.video_id[:12]}) {place}: {fault}"
    return wrong


def _find_overlaps(db: Transaction, slot: str, video_id: str, duration_seconds: float) -> Iterator[tuple[int, str]]:
    """Of two spans that overlap, the one outside the plan, else the later one."""
    rows = db.execute(
        f"SELECT span_id, start_seconds, end_seconds FROM spans{slot} WHERE video_id = ? ORDER BY start_seconds",
        (video_id,),
    )
    for before, after in pairwise(rows.fetchall()):
        if after[1] < before[2]:
            seconds = WORD_SPAN_SECONDS if slot == WORDS else SPAN_SECONDS
            odd = before if not is_planned(before[1:], duration_seconds, seconds) else after
            yield odd[0], "overlaps another span"


def _find_fault(span: _Span, duration_seconds: float | None, vector_bytes: int, *, ascends: bool) -> str:
    if duration_seconds is None:
        return "its video is unknown"
    if not 0 <= span.start_seconds < span.end_seconds <= duration_seconds + _EDGE_SECONDS:
        return f"is outside its video of {duration_seconds:g} s"
    if not 0 <= span.frames <= MAX_SPAN_FRAMES:
        return f"claims to have {span.frames} frames"
    sizes = (len(span.pts), len(span.vectors), len(span.blank) or span.frames, len(span.cuts) % 8)
    if sizes != (8 * span.frames, vector_bytes * span.frames, span.frames, 0) or vector_bytes % 2:
        return f"has {span.frames} frames, {len(span.pts)} bytes of times and {len(span.vectors)} of vectors"
    return _find_fault_in_arrays(span, ascends=ascends)


def _find_fault_in_lines(span: _Span, vectors: int) -> str:
    return "" if vectors == span.frames else f"has {span.frames} vectors, but its lines have {vectors}"


def _find_fault_in_arrays(span: _Span, *, ascends: bool) -> str:
    """What is wrong with the times and vectors of a span; only lines of words may begin at the same time."""
    pts_seconds, cut_seconds = np.frombuffer(span.pts, np.float64), np.frombuffer(span.cuts, np.float64)
    for name, times in (("frame times", pts_seconds), ("cuts", cut_seconds)):
        inside = (times >= span.start_seconds - _EDGE_SECONDS) & (times < span.end_seconds + _EDGE_SECONDS)
        if not inside.all() or (np.diff(times) < (_LEAST_STEP if ascends else 0)).any():
            return f"its {name} do not ascend or lie outside it"
    if span.frames:
        vectors = np.frombuffer(span.vectors, np.float16).reshape(span.frames, -1).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1)
        if not (np.abs(lengths - 1) < _UNIT_TOLERANCE).all():  # also false for NaN
            return f"its vectors have lengths from {lengths.min():.3f} to {lengths.max():.3f} instead of 1"
    is_same = span.checksum in (None, span.compute_checksum())
    return "" if is_same else "is not as it was stored: its checksum is wrong"


def _list_incomplete(db: Transaction, slot: str) -> Iterator[str]:
    stored: dict[str, set[tuple[float, float]]] = {}
    for video_id, start, end in db.execute(f"SELECT video_id, start_seconds, end_seconds FROM spans{slot}"):
        stored.setdefault(video_id, set()).add((start, end))
    for video_id, title, duration_seconds in db.execute("SELECT video_id, title, duration_seconds FROM videos"):
        planned = count_spans(duration_seconds)
        missing = planned - sum(is_planned(span, duration_seconds) for span in stored.get(video_id, ()))
        if missing:
            yield f"'{title}' ({video_id[:12]}): {missing} of {planned} spans missing"


def _check_saved_index(folder: Path, db: Transaction, slot: str) -> Finding:
    misfits = [f"{file.name} does not fit the store" for file in _list_misfits(folder, db, slot)]
    saved = [file.name for file in folder.glob("frames-*.faiss")]
    state = ", ".join(saved) or "none; the next start builds it"
    stale = {file.name for file in list_stale_files(folder, _read_revision(db, slot))} & set(saved)
    if stale:
        state = f"{', '.join(stale)} is older than the store; the next start rebuilds it"
    return verdict("index cache of words" if slot == WORDS else "index cache", misfits, state, _REPAIR)


def _list_misfits(folder: Path, db: Transaction, slot: str) -> list[Path]:
    file = cache_path(folder, _read_revision(db, slot))
    return [file] if file.exists() and not _fits(file, db, slot) else []


def _read_revision(db: Transaction, slot: str) -> int:
    return int(db.execute("SELECT value FROM meta WHERE key = ?", (REVISION + slot,)).fetchone()[0])


def _fits(file: Path, db: Transaction, slot: str) -> bool:
    try:
        index, _ = read_cache(file)
    except (CacheDamaged, OSError, RuntimeError):
        return False
    total = 0
    for span_id, frames, blob in db.rows(f"SELECT span_id, frames, vectors FROM spans{slot} WHERE frames > 0"):
        try:
            vectors = index.reconstruct_batch(number_frames(span_id, frames))
        except RuntimeError:  # one of the ids is unknown
            return False
        if vectors.astype(np.float16).tobytes() != blob:
            return False
        total += frames
    return bool(index.ntotal == total)


def main() -> None:
    run = repair_store if "--repair" in sys.argv[2:] else check_store
    print_findings(run(Settings.from_env(), sys.argv[1]))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
