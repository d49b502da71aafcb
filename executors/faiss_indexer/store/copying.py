"""Copies stores: from SQLite, whole or divided by an earlier version, or PostgreSQL to the other, or to the same.

`python -m executors.faiss_indexer.store.copying` takes a JSON object with the arguments of `copy_stores` on stdin, and
prints what was copied as JSON, for `clipseek store copy`. It may be interrupted at any time and run again: each video
is stored whole or not at all, and those that are there already stay.
"""

import heapq
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from clipseek.api.errors import InvalidRequest, StoreCorrupt, StoreError
from clipseek.config.libraries import check_library, libraries_below, library_folder
from clipseek.config.parsing import is_url
from clipseek.config.store_files import JOINED, check_undivided, has_store, list_parts, out_of_use
from clipseek.machine.module_call import print_result
from clipseek.machine.private_files import make_private_from_now_on
from executors.faiss_indexer.store.cache_file import index_folder_name
from executors.faiss_indexer.store.database import Database, Row, Transaction
from executors.faiss_indexer.store.models import ANSWERING, CHOSEN, WORDS, add_slots, has_words, list_slots, write_meta
from executors.faiss_indexer.store.records import compute_checksum
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES
from executors.faiss_indexer.store.sqlite import SqliteDatabase
from executors.faiss_indexer.store.store import SpanChange, delete_spans, note_changes, put_video_row

# Of `meta`, of the store and of each model in it; the revisions are each store's own.
_STORE_FACTS, _MODEL_FACTS = ("store_id", ANSWERING, CHOSEN), ("model_id", "model_name", "fitted_shift")
_VIDEO = (
    "video_id, title, size_bytes, duration_seconds, width, height, fps, codec, container, rotation_degrees, has_audio, "
    "frames_per_second, sampling, first_seconds, timecode, timecode_rate, added_at"
)
_CUE = "start_seconds, end_seconds, text, source, language, confidence, edited, vectors"
_SPAN = "start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, blank"
Step = Callable[[str, int, int], None]  # takes what is done, how many spans of how many


@dataclass(frozen=True)
class Copied:
    """How a library was copied. `copied_videos` were not there already."""

    library: str
    videos: int
    spans: int
    frames: int
    copied_videos: int


def copy_stores(
    source: str, target: str, libraries: Sequence[str] = (), password: str = "", on_step: Step = lambda *_: None
) -> list[Copied]:
    """Copy libraries, by default all. Each is a folder of SQLite stores or the URL of a PostgreSQL database.

    A divided store is joined in its own folder if that is source and target; its files are kept as `shards-N.joined`.

    Args:
        password: for the URLs, if they have none.

    Raises: InvalidRequest: source and target are the same. StoreError: a server uses a folder, there is no store, the
    target holds other videos, the copy differs, or one of them cannot be read or written.
    """
    places = _Place(source, password), _Place(target, password)
    is_joining = source == target and bool(places[0].home)
    if source == target and not (is_joining and any(map(list_parts, places[0].folders()))):
        raise InvalidRequest(f"{places[0].name} is source and target, and not divided: there is nothing to copy.")
    with ExitStack() as locks:
        for home in {place.home for place in places if place.home}:
            locks.enter_context(out_of_use(home))
        if places[1].home and not is_joining:
            check_undivided(places[1].home)
        names = [check_library(name) for name in libraries] or places[0].list_libraries()
        if not names:
            raise StoreError(f"There is no store in {places[0].name}.")
        return [_copy_library(name, *places, is_joining, on_step) for name in names]


class _Place:
    """A folder of SQLite stores, or a PostgreSQL database."""

    def __init__(self, text: str, password: str) -> None:
        self._text, self._password = text, password
        self.home = None if is_url(text) else Path(text)

    @property
    def name(self) -> str:
        if self.home:
            return str(self.home)
        from executors.faiss_indexer.store.postgres import hide_password

        return hide_password(self._text)

    def folders(self) -> list[Path]:
        return [library_folder(self.home, name) for name in libraries_below(self.home)] if self.home else []

    def list_libraries(self) -> list[str]:
        if self.home:
            return [name for name in libraries_below(self.home) if has_store(library_folder(self.home, name))]
        from executors.faiss_indexer.store.postgres import list_schemas

        return list_schemas(self._text, self._password)

    def open(self, library: str) -> Database:
        if self.home:
            return SqliteDatabase(library_folder(self.home, library) / "index.db")
        from executors.faiss_indexer.store.postgres import PostgresDatabase

        return PostgresDatabase(self._text, library, self._password)

    def open_source(self, library: str) -> list[Database]:
        """The databases of a library, whose formats are updated. Raises: StoreError: there is none."""
        parts = list_parts(library_folder(self.home, library)) if self.home else []
        divided: list[Database] = [SqliteDatabase(part / "index.db", "rw") for part in parts]
        databases = divided or [self.open(library)]
        for database in databases:
            if self.home is None and not database.version():
                raise StoreError(f"{database.place} has no store.")
            database.prepare()
        return databases


def _copy_library(name: str, source: _Place, target: _Place, is_joining: bool, on_step: Step) -> Copied:
    with ExitStack() as opened:
        if source.home and not has_store(library_folder(source.home, name)):
            raise StoreError(f"There is no library '{name}' in {source.name}.")
        if target.home:
            library_folder(target.home, name).mkdir(mode=0o700, parents=True, exist_ok=True)
        databases = source.open_source(name)
        copy = target.open(name)
        for database in (*databases, copy):
            opened.callback(database.close)
        copy.prepare()
        videos = list(heapq.merge(*map(_list_videos, databases, range(len(databases)))))
        _check_target(copy, {row[0] for _, _, row in videos})
        slots = _copy_facts(databases, copy)
        total, done, copied = 2 * sum(map(_count_spans, databases)), 0, 0
        for _, place, row in videos:
            spans = _list_spans(databases[place], row[0])
            there = _read_video(copy, row[0]), _list_spans(copy, row[0]), _list_words(copy, row[0])
            if (row, spans, _list_words(databases[place], row[0])) != there:
                _copy_video(databases[place], copy, row)
                copied += 1
            done += len(spans)
            on_step(f"copy {name}", done, total)
        frames = 0
        for _, place, row in videos:
            frames += _check_video(databases[place], copy, row)
            done += len(_list_spans(copy, row[0]))
            on_step(f"check {name}", done, total)
    if copied and target.home:
        for slot in slots:
            saved = library_folder(target.home, name) / index_folder_name("", "", slot)
            shutil.rmtree(saved, ignore_errors=True)  # it fits no more
    if is_joining and source.home:
        while parts := list_parts(library_folder(source.home, name)):
            folder = parts[0].parent
            folder.replace(folder.with_name(folder.name + JOINED))
    return Copied(name, len(videos), total // 2, frames, copied)


def _list_videos(database: Database, place: int) -> Iterator[tuple[float, int, Row]]:
    """The videos in the order they were added, each with a time that ascends, whatever the clock said."""
    last = 0.0
    for row in database.rows(f"SELECT {_VIDEO} FROM videos ORDER BY rowid"):
        last = max(last, row[-1])
        yield last, place, row


def _read_video(database: Database, video_id: str) -> Row | None:
    return database.row(f"SELECT {_VIDEO} FROM videos WHERE video_id = ?", (video_id,))


def _list_slots(database: Database) -> list[str]:
    """The slots of the models in a store, see `models.py`."""
    with database.snapshot() as db:
        return [*(list_slots(db) or [""]), *([WORDS] if has_words(db) else [])]


def _list_spans(database: Database, video_id: str) -> list[Row]:
    """The spans of a video, of all models: slot, start, end, frames."""
    facts = "SELECT start_seconds, end_seconds, frames FROM spans{} WHERE video_id = ? ORDER BY start_seconds"
    slots = _list_slots(database)
    return [(slot, *row) for slot in slots for row in database.rows(facts.format(slot), (video_id,))]


def _count_spans(database: Database) -> int:
    counts = (database.row(f"SELECT COUNT(*) FROM spans{slot}") for slot in _list_slots(database))
    return sum(int(row[0]) for row in counts if row)


def _check_target(copy: Database, video_ids: set[str]) -> None:
    """Raises: StoreError: the target holds videos that the source does not have."""
    others = [row for row in copy.rows("SELECT video_id, title FROM videos") if row[0] not in video_ids]
    if others:
        raise StoreError(
            f"{copy.place} holds {len(others)} other videos, such as '{others[0][1]}'. Nothing was copied. Choose an "
            "empty target."
        )


def _copy_facts(databases: Sequence[Database], copy: Database) -> list[str]:
    """Copy the models, their calibration and the identity. Returns: the slots of the models.

    Raises: StoreError: the parts hold frames of several models.
    """
    named: list[dict[str, str]] = [dict(database.rows("SELECT key, value FROM meta")) for database in databases]
    used = [facts for facts, database in zip(named, databases, strict=True) if _count_spans(database)]
    models = {facts.get("model_id") for facts in used}
    if len(models) > 1:
        raise StoreError(f"The parts of the store hold frames of several models: {', '.join(map(str, models))}.")
    modelled = (used or named)[0]  # the other facts are those of the first part
    slots = _list_slots(databases[0])
    with copy.write() as db:
        add_slots(copy, db, slots)
        for slot in slots:
            for key in (key + slot for key in _MODEL_FACTS):
                if value := (named[0] if key.startswith("fitted_shift") else modelled).get(key):
                    write_meta(db, key, value)
        for key in _STORE_FACTS:
            if value := named[0].get(key):
                write_meta(db, key, value)
    return slots


def _copy_video(source: Database, copy: Database, row: Row) -> None:
    """Store a video with all its spans, in place of what there is of it."""
    columns = _VIDEO.split(", ")
    with copy.write() as db:
        put_video_row(db, dict(zip(columns, row, strict=True)), kept=())
        for slot in _list_slots(source):
            delete_spans(db, "video_id = ?", (row[0],), slot)
            changes = []
            for span in _read_spans(source, row[0], slot):
                values = (row[0], *span, compute_checksum(row[0], *span))
                statement = f"INSERT INTO spans{slot} (video_id, {_SPAN}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                [(span_id,)] = db.execute(f"{statement} RETURNING span_id", values).fetchall()
                changes.append(SpanChange(span_id, row[0], span[2]))
                if slot == WORDS:
                    _copy_cues(source, copy, db, (row[0], span[0]), span_id)
            note_changes(db, changes, slot)
        if WORDS in _list_slots(source):
            for wish in source.rows("SELECT video_id, language, no_words FROM word_wishes WHERE video_id = ?", row[:1]):
                db.execute("DELETE FROM word_wishes WHERE video_id = ?", row[:1])
                db.execute("INSERT INTO word_wishes VALUES (?, ?, ?)", wish)


def _copy_cues(source: Database, copy: Database, db: Transaction, span: Row, span_id: int) -> None:
    """Copy the lines of a span of words, by its video and start. Their numbers follow from the new span's."""
    which = "span_id = (SELECT span_id FROM spans_words WHERE video_id = ? AND start_seconds = ?)"
    terms = dict(_read_terms(source, which, span))
    lines = source.rows(f"SELECT cue_id, {_CUE} FROM cues WHERE {which}", span)
    for old_id, *line in lines:
        cue_id = span_id * MAX_SPAN_FRAMES + old_id % MAX_SPAN_FRAMES
        db.execute(
            f"INSERT INTO cues (cue_id, span_id, video_id, {_CUE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (cue_id, span_id, span[0], *line),
        )
        if old_id in terms:
            db.execute(f"INSERT INTO cue_terms (rowid, terms) VALUES (?, {copy.terms_value})", (cue_id, terms[old_id]))
    for reading in source.rows(f"SELECT sources, languages, notes FROM word_spans WHERE {which}", span):
        db.execute("INSERT INTO word_spans VALUES (?, ?, ?, ?)", (span_id, *reading))


def _read_terms(source: Database, which: str, span: Row) -> Iterator[tuple[int, str]]:
    """The terms of the lines of a span, with spaces between them."""
    rows = source.rows(
        f"SELECT cue_id, {source.terms_text} FROM cue_terms JOIN cues ON cue_id = cue_terms.rowid WHERE {which}", span
    )
    yield from ((cue_id, terms) for cue_id, terms in rows)


def _read_spans(database: Database, video_id: str, slot: str) -> Iterator[Row]:
    """The spans of a video. Raises: StoreCorrupt: one is not as it was stored."""
    statement = f"SELECT {_SPAN}, checksum FROM spans{slot} WHERE video_id = ? ORDER BY start_seconds"
    for *span, checksum in database.rows(statement, (video_id,)):
        try:
            is_damaged = checksum not in (None, compute_checksum(video_id, *span))
        except TypeError:  # a damaged row may hold values of another type
            is_damaged = True
        if is_damaged:
            raise StoreCorrupt(
                f"The span [{span[0]:g}, {span[1]:g}) of video {video_id[:12]} in {database.place} is damaged. Stop "
                "the server, run `clipseek doctor --repair`, index the video again, then repeat the copy."
            )
        yield tuple(span)


def _check_video(source: Database, copy: Database, row: Row) -> int:
    """Compare a video and the bytes of its spans. Returns: its frames. Raises: StoreError: they differ."""
    slots = _list_slots(source)
    first, second = (
        [
            (slot, *span[:3], compute_checksum(row[0], *span))
            for slot in slots
            for span in _read_spans(database, row[0], slot)
        ]
        for database in (source, copy)
    )
    words = _list_words(source, row[0]) == _list_words(copy, row[0])
    if first != second or _read_video(copy, row[0]) != row or not words:
        raise StoreError(
            f"The copy of '{row[1]}' in {copy.place} differs from {source.place}. Does a server write to one of them? "
            "Stop it, then run the command again."
        )
    return sum(span[3] for span in first)


def _list_words(database: Database, video_id: str) -> list[Row]:
    """The lines of a video, in an order that no database decides, and what somebody wants of them."""
    if WORDS not in _list_slots(database):
        return []
    lines = database.rows(f"SELECT {_CUE} FROM cues WHERE video_id = ?", (video_id,))
    wishes = database.rows("SELECT language, no_words FROM word_wishes WHERE video_id = ?", (video_id,))
    return [*sorted(lines), *wishes]


def main() -> None:
    make_private_from_now_on()
    console = Console(stderr=True)

    def run() -> list[dict[str, Any]]:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=None)

            def step(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            return [asdict(copied) for copied in copy_stores(**json.load(sys.stdin), on_step=step)]

    print_result(run)


if __name__ == "__main__":
    main()
