"""The store: a database that is the truth about videos, spans and frames; all else can be rebuilt from it."""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from clipseek.api.errors import InvalidRequest, ModelMismatch, VideoNotFound
from clipseek.api.formats import excerpt
from clipseek.api.limits import EVEN, MAX_RATE, MIN_RATE, SAMPLINGS
from clipseek.api.model_ids import advise_to_index_again, settings_for
from executors.faiss_indexer.store.database import Database, Row, Transaction
from executors.faiss_indexer.store.models import (
    ANSWERING,
    MODEL_ID,
    REVISION,
    WORDS,
    as_slot,
    claim_slot,
    has_words,
    is_slot_used,
    list_slots,
    next_revision,
    write_meta,
)
from executors.faiss_indexer.store.records import (
    NOT_KNOWN,
    Frames,
    StoredSpan,
    StoredVideo,
    VideoRecord,
    compute_checksum,
    list_shots,
)
from executors.faiss_indexer.store.spans import covers, plan_spans
from executors.faiss_indexer.store.sqlite import SqliteDatabase

_SPANS_A_PAGE = 256  # 8 MB
KEPT_REVISIONS = 10_000  # an index that is further behind compares all its spans with those of the store
_VIDEO_FIELDS = tuple(field.name for field in fields(VideoRecord))
_VIDEO_COLUMNS = ", ".join(_VIDEO_FIELDS)
_FITTED_SHIFT = "fitted_shift"
# Whether an earlier version registered a video: it did not note when the first picture is shown.
_IS_OLD = "SELECT 1 FROM videos WHERE video_id = ? AND first_seconds = ?"
_FRAME_COLUMNS = "frames, pts_seconds, vectors, cut_seconds, blank"


@dataclass(frozen=True)
class StoreState:
    """What every search must know: whether spans have changed, the model, the shift that was fitted for it, and the
    slot of the model that answers.
    """

    revision: int
    model_id: str
    fitted_shift: float
    answering: str


@dataclass(frozen=True)
class SpanChange:
    """A span of a video, and how many frames it has now: 0 if it was removed."""

    span_id: int
    video_id: str
    frames: int


class Store(AbstractContextManager["Store"]):
    """The store in a folder (as the SQLite file `index.db`), or in a database. Any thread may read; writes wait for one
    another. It may hold the vectors of several models: this reads and writes those of one, in its `slot`.

    A store of an earlier format is brought up to date; a copy of an SQLite file stays as `index.db.formatN-backup`. A
    store without an identity gets one (`store_id` in `meta`), by which `clipseek backup` knows its copies.

    With a `slot` a database is shared with the store that prepared it, and stays open whatever happens here.

    Raises: StoreVersion: a newer ClipSeek wrote it. StoreFull, StoreReadOnly, StoreBusy, StoreCorrupt,
    StoreUnreachable, StoreError: it cannot be opened; every method that reads or writes may raise them, too.
    """

    def __init__(self, place: Path | Database, slot: str | None = None) -> None:
        self.database: Database = SqliteDatabase(place / "index.db") if isinstance(place, Path) else place
        self._database, is_shared = self.database, slot is not None and not isinstance(place, Path)
        try:
            if not is_shared:
                self._database.prepare()
            self.slot = as_slot((self._read_meta(ANSWERING) or "") if slot is None else slot)
        except BaseException:
            if not is_shared:
                self._database.close()
            raise
        self._spans, self._changes = f"spans{self.slot}", f"changes{self.slot}"

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    @property
    def place(self) -> str:
        """Where the store is, for people."""
        return self._database.place

    # Videos

    def register(self, video: VideoRecord, model_id: str) -> list[int]:
        """Add a video to the store, or update its record.

        A known video keeps its sampling rate unless `video.frames_per_second` is another one above 0, and its way of
        sampling unless `video.sampling` names another. A change of either drops its frames: it must be indexed again.

        The times of a video of version 0.1 count from its first picture. If that is shown later, they are corrected.

        Returns: the ids of the spans that were dropped.

        Raises: ModelMismatch: the store holds frames of another model. InvalidRequest: the rate or the way of sampling
        does not exist.
        """
        dropped: list[int] = []
        if video.first_seconds > 0 and self._database.row(_IS_OLD, (video.video_id, NOT_KNOWN)):
            self._database.keep_copy("times")
        with self._database.write() as db:
            self._claim_model(db, model_id)
            known = db.execute(
                "SELECT frames_per_second, sampling FROM videos WHERE video_id = ?", (video.video_id,)
            ).fetchone()
            rate, sampling = _check_sampling(video, known)
            if known and known != (rate, sampling):
                dropped = self._delete_spans_of(db, video.video_id)
            elif video.first_seconds > 0 and db.execute(_IS_OLD, (video.video_id, NOT_KNOWN)).fetchone():
                self._correct_times(db, video)
            values = asdict(video) | {"frames_per_second": rate, "sampling": sampling}
            values |= {"has_audio": int(video.has_audio), "added_at": time.time()}
            put_video_row(db, values, kept=("added_at",))
        return dropped

    def _correct_times(self, db: Transaction, video: VideoRecord) -> None:
        """Frames before the first picture show that times count from it. Without a first frame all are dropped."""
        if has_words(db):
            delete_spans(db, "video_id = ?", (video.video_id,), WORDS)  # read by the old times
        slots = {self.slot, *list_slots(db)}
        firsts = {slot: first for slot in slots if (first := _read_first_span(db, video.video_id, slot))}
        if not firsts:
            self._delete_spans_of(db, video.video_id)
        elif any(first.begin_before(video.first_seconds) for first in firsts.values()):
            for slot in slots:
                gap = firsts[slot].make_gap(video.first_seconds) if slot in firsts else None
                self._move_spans(db, video, gap, slot)

    def _move_spans(self, db: Transaction, video: VideoRecord, gap: Frames | None, slot: str) -> None:
        """Divide the frames of a video into spans again, all of them later, behind the gap.

        From the end, so that each is read before it is lost. What was not stored stays missing.
        """
        (old_end,) = db.execute("SELECT duration_seconds FROM videos WHERE video_id = ?", (video.video_id,)).fetchone()
        for start, end in reversed(plan_spans(video.duration_seconds)):
            since, until = max(0.0, start - video.first_seconds), min(old_end, end - video.first_seconds)
            rows = db.execute(
                f"SELECT start_seconds, end_seconds, {_FRAME_COLUMNS} FROM spans{slot} "
                "WHERE video_id = ? AND start_seconds < ? AND end_seconds > ? ORDER BY start_seconds",
                (video.video_id, until, since),
            ).fetchall()
            inside = "video_id = ? AND start_seconds >= ? AND start_seconds < ?"
            delete_spans(db, inside, (video.video_id, start, end), slot)
            if gap is not None and covers([row[:2] for row in rows], since, until):
                old = Frames.join([Frames.from_blobs(*row[2:]) for row in rows])
                pieces = [gap] * (start == 0) + [old.move(video.first_seconds, start, end)]
                added = _insert_span(db, video.video_id, (start, end), Frames.join(pieces), slot)
                note_changes(db, [added], slot)

    def video(self, video_id: str) -> VideoRecord:
        """Raises VideoNotFound."""
        row = self._database.row(f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id = ?", (video_id,))
        if row is None:
            raise VideoNotFound(f"There is no video '{excerpt(video_id)}'. `clipseek videos` lists all videos.")
        return _read_video(row)

    def known_videos(self, video_ids: Iterable[str]) -> list[VideoRecord]:
        """The videos with these ids, in their order; unknown ids are left out."""
        video_ids = list(video_ids)
        rows = self._database.rows(
            f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id IN ({_marks(video_ids)})", video_ids
        )
        videos = {video.video_id: video for video in map(_read_video, rows)}
        return [videos[video_id] for video_id in video_ids if video_id in videos]

    def videos(self) -> list[VideoRecord]:
        """All videos, in the order they were added."""
        return [_read_video(row) for row in self._database.rows(f"SELECT {_VIDEO_COLUMNS} FROM videos ORDER BY rowid")]

    def stored_videos(self, video_id: str = "") -> list[StoredVideo]:
        """One video, or all in the order they were added, with their spans: two queries, however many there are.

        Raises: VideoNotFound.
        """
        condition, values = ("WHERE video_id = ?", (video_id,)) if video_id else ("", ())
        rows = list(
            self._database.rows(f"SELECT added_at, {_VIDEO_COLUMNS} FROM videos {condition} ORDER BY rowid", values)
        )
        if video_id and not rows:
            self.video(video_id)
        spans: dict[str, dict[tuple[float, float], int]] = {}
        facts = f"SELECT video_id, start_seconds, end_seconds, frames FROM {self._spans} {condition}"
        for name, start, end, frames in self._database.rows(facts, values):
            spans.setdefault(name, {})[start, end] = frames
        return [
            StoredVideo(record, float(row[0]), spans.get(record.video_id, {}))
            for row in rows
            for record in [_read_video(row[1:])]
        ]

    def added_at(self, video_id: str) -> float:
        """When a video was added, in seconds since the epoch; 0 for an unknown one."""
        row = self._database.row("SELECT added_at FROM videos WHERE video_id = ?", (video_id,))
        return float(row[0]) if row else 0.0

    def delete(self, video_id: str) -> list[int]:
        """Forget a video and its frames; an unknown one is no error. Returns: the ids of its spans."""
        with self._database.write() as db:
            deleted = self._delete_spans_of(db, video_id)
            if has_words(db):
                delete_spans(db, "video_id = ?", (video_id,), WORDS)
            db.execute("DELETE FROM videos WHERE video_id = ?", (video_id,))
        return deleted

    def _delete_spans_of(self, db: Transaction, video_id: str) -> list[int]:
        """Remove the spans of a video, also those of other models. Returns: the ids of those in this slot."""
        ids = {slot: delete_spans(db, "video_id = ?", (video_id,), slot) for slot in {self.slot, *list_slots(db)}}
        return ids[self.slot]

    # Spans and frames

    def put_span(
        self, video_id: str, span: tuple[float, float], frames: Frames, model_id: str
    ) -> tuple[int, list[int]]:
        """Store the frames of `[start, end)` and delete the spans that overlap it.

        Returns: the new span's id, and the ids of the spans that it replaced.

        Raises: VideoNotFound: the video was never registered, or was deleted in the meantime. ModelMismatch: the store
        holds frames of another model.
        """
        with self._database.write() as db:
            return self._put_span(db, video_id, span, frames, model_id)

    def _put_span(
        self, db: Transaction, video_id: str, span: tuple[float, float], frames: Frames, model_id: str
    ) -> tuple[int, list[int]]:
        start, end = span
        if db.execute("SELECT 1 FROM videos WHERE video_id = ?", (video_id,)).fetchone() is None:
            raise VideoNotFound(f"There is no video '{excerpt(video_id)}': it was deleted, or never sent to /probe.")
        if model_id:  # none where all of a span was corrected, or nothing is in it
            self._claim_model(db, model_id)
        overlapping = "video_id = ? AND start_seconds < ? AND end_seconds > ?"
        replaced = _delete_rows(db, overlapping, (video_id, end, start), self.slot)
        added = _insert_span(db, video_id, span, frames, self.slot)
        note_changes(db, [*replaced, added], self.slot)
        return added.span_id, [change.span_id for change in replaced]

    def stored_spans(self, video_id: str) -> dict[tuple[float, float], int]:
        """The `[start, end)` of a video's stored spans, each with its number of frames."""
        rows = self._database.rows(
            f"SELECT start_seconds, end_seconds, frames FROM {self._spans} WHERE video_id = ?", (video_id,)
        )
        return {(start, end): frames for start, end, frames in rows}

    def frames(self, video_id: str) -> Frames:
        """All stored frames and cuts of a video, in order of time."""
        rows = self._database.rows(
            f"SELECT {_FRAME_COLUMNS} FROM {self._spans} WHERE video_id = ? ORDER BY start_seconds", (video_id,)
        )
        return Frames.join([Frames.from_blobs(*row) for row in rows])

    def shots(self, video_id: str) -> list[tuple[float, float]]:
        """The `[start, end)` of every shot of a video, in order of time; spans not yet stored count as without cuts.

        A video that was indexed before format 2 is one shot until it is indexed again.

        Raises: VideoNotFound.
        """
        duration_seconds = self.video(video_id).duration_seconds
        rows = self._database.rows(
            f"SELECT cut_seconds FROM {self._spans} WHERE video_id = ? ORDER BY start_seconds", (video_id,)
        )
        return list_shots(np.frombuffer(b"".join(row[0] for row in rows), np.float64), duration_seconds)

    def spans(self, span_ids: Sequence[int] | None = None) -> Iterator[StoredSpan]:
        """Every stored span that has frames, a few in memory at a time; or those of some ids that are stored."""
        columns = f"SELECT span_id, video_id, {_FRAME_COLUMNS} FROM {self._spans} WHERE frames > 0"
        if span_ids is not None:
            yield from map(_read_span, self._database.rows(f"{columns} AND span_id IN ({_marks(span_ids)})", span_ids))
            return
        last = -1
        while page := list(
            self._database.rows(f"{columns} AND span_id > ? ORDER BY span_id LIMIT ?", (last, _SPANS_A_PAGE))
        ):
            yield from map(_read_span, page)
            last = page[-1][0]

    def spans_of(self, video_id: str) -> list[StoredSpan]:
        """The spans of a video that have frames, in order of time."""
        columns = f"SELECT span_id, video_id, {_FRAME_COLUMNS} FROM {self._spans} WHERE frames > 0"
        rows = self._database.rows(f"{columns} AND video_id = ? ORDER BY start_seconds", (video_id,))
        return [_read_span(row) for row in rows]

    def span_facts(self) -> tuple[int, dict[int, tuple[str, int]]]:
        """The revision, and of every span that has frames then its video and their number, by span id."""
        rows = self._database.rows(
            f"SELECT value, span_id, video_id, frames FROM meta LEFT JOIN {self._spans} ON frames > 0 WHERE key = ?",
            (REVISION + self.slot,),
        )
        revision, facts = 0, {}
        for value, span_id, video_id, frames in rows:
            revision = int(value)
            if span_id is not None:
                facts[span_id] = (video_id, frames)
        return revision, facts

    def changes_since(self, revision: int) -> tuple[int, list[SpanChange] | None]:
        """The present revision, and what has changed since an earlier one, in order.

        None in place of changes that are not known any more, or never were: version 0.1 notes none.
        """
        rows = self._database.rows(
            "SELECT value, revision, span_id, video_id, frames FROM meta "
            f"LEFT JOIN {self._changes} ON revision > ? WHERE key = ? ORDER BY revision, frames",
            (revision, REVISION + self.slot),
        )
        present, known, changes = 0, set(), []
        for value, changed_at, *change in rows:
            present = int(value)
            if changed_at is not None:
                known.add(changed_at)
                changes.append(SpanChange(*change))
        return present, changes if len(known) == present - revision else None

    def frame_count(self) -> int:
        """How many frames are stored in all."""
        row = self._database.row(f"SELECT COALESCE(SUM(frames), 0) FROM {self._spans}")
        return int(row[0]) if row else 0

    # The store's own facts

    def state(self) -> StoreState:
        """What a search must know, in one short query."""
        keys = [key + self.slot for key in (REVISION, MODEL_ID, _FITTED_SHIFT)]
        facts: dict[str, str] = dict(
            self._database.rows("SELECT key, value FROM meta WHERE key IN (?, ?, ?, ?)", (*keys, ANSWERING))
        )
        revision, model_id, shift = (facts.get(key, "") for key in keys)
        return StoreState(int(revision or 0), model_id, _read_shift(shift, model_id), as_slot(facts.get(ANSWERING, "")))

    @property
    def revision(self) -> int:
        """Grows with every change of frames: what was derived from one revision is stale at any other."""
        return self.state().revision

    @property
    def model_id(self) -> str:
        """The identity of the model whose frames are stored; empty for a new store."""
        return self.state().model_id

    @property
    def store_id(self) -> str:
        """The identity of the store."""
        return self._read_meta("store_id") or ""

    def fitted_shift(self, model_id: str) -> float:
        """What `keep_fitted_shift` stored for this model; 0 where it stored nothing."""
        return _read_shift(self._read_meta(_FITTED_SHIFT + self.slot), model_id)

    def check_model(self, model_id: str) -> None:
        """Raises ModelMismatch where frames of another model are stored."""
        stored = self.model_id
        if stored not in ("", model_id) and self.frame_count():
            raise self._mismatch(stored, model_id)

    def keep_fitted_shift(self, shift: float, model_id: str) -> None:
        """Store how much more relevance than by default the library's matches need; it holds for one model."""
        with self._database.write() as db:
            write_meta(db, _FITTED_SHIFT + self.slot, json.dumps({"shift": shift, "model_id": model_id}))

    def _read_meta(self, key: str) -> str | None:
        row = self._database.row("SELECT value FROM meta WHERE key = ?", (key,))
        return row[0] if row else None

    def _claim_model(self, db: Transaction, model_id: str) -> None:
        own = db.execute("SELECT value FROM meta WHERE key = ?", (MODEL_ID + self.slot,)).fetchone()
        if own and own[0] == model_id:
            return
        if own and is_slot_used(db, self.slot):
            raise self._mismatch(own[0], model_id)
        claim_slot(db, self.slot, model_id)

    def _mismatch(self, stored: str, used: str) -> ModelMismatch:
        advice = advise_to_index_again(stored, used) or (
            f"Start the server with {settings_for(stored, used)}, or give the new model a store of its own "
            "(CLIPSEEK_HOME), or change the library's model with `clipseek model use`."
        )
        how = "was filled by" if self.frame_count() else "uses"
        return ModelMismatch(
            f"The store {self.place} {how} the model '{stored}', but the server runs '{used}': their "
            f"embeddings cannot be compared. {advice}"
        )


def _check_sampling(video: VideoRecord, known: tuple[float, str] | None) -> tuple[float, str]:
    rate = video.frames_per_second or (known[0] if known else 0.0)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidRequest(f"frames_per_second is {rate:g}, but must be from {MIN_RATE:g} to {MAX_RATE:g}.")
    sampling = video.sampling or (known[1] if known else EVEN)
    if sampling not in SAMPLINGS:
        raise InvalidRequest(f"sampling is '{excerpt(sampling)}', but must be one of {', '.join(SAMPLINGS)}.")
    return rate, sampling


def _read_video(row: tuple[object, ...]) -> VideoRecord:
    values = dict(zip(_VIDEO_FIELDS, row, strict=True))
    return VideoRecord(**values | {"has_audio": bool(values["has_audio"])})  # type: ignore[arg-type]


def _read_span(row: Row) -> StoredSpan:
    return StoredSpan(row[0], row[1], Frames.from_blobs(*row[2:]))


def _read_shift(text: str | None, model_id: str) -> float:
    fitted = json.loads(text or "{}")
    return float(fitted["shift"]) if fitted.get("model_id") == model_id else 0.0


def put_video_row(db: Transaction, values: Mapping[str, object], kept: Collection[str]) -> None:
    """Add a video, or update its row but for the columns `kept`."""
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name not in ("video_id", *kept))
    db.execute(
        f"INSERT INTO videos ({', '.join(values)}) VALUES ({_marks(values)}) "
        f"ON CONFLICT (video_id) DO UPDATE SET {updates}",
        tuple(values.values()),
    )


def delete_spans(db: Transaction, condition: str, values: tuple[object, ...], slot: str = "") -> list[int]:
    """Remove spans, and note that. Returns: their ids."""
    changes = _delete_rows(db, condition, values, slot)
    note_changes(db, changes, slot)
    return [change.span_id for change in changes]


def _delete_rows(db: Transaction, condition: str, values: tuple[object, ...], slot: str) -> list[SpanChange]:
    rows = db.execute(f"DELETE FROM spans{slot} WHERE {condition} RETURNING span_id, video_id", values).fetchall()
    return [SpanChange(span_id, video_id, 0) for span_id, video_id in rows]


def _read_first_span(db: Transaction, video_id: str, slot: str) -> Frames | None:
    """The frames of a video's first span, if it has some."""
    row = db.execute(
        f"SELECT {_FRAME_COLUMNS} FROM spans{slot} WHERE video_id = ? AND frames > 0 AND start_seconds = 0", (video_id,)
    ).fetchone()
    return Frames.from_blobs(*row) if row else None


def _insert_span(db: Transaction, video_id: str, span: tuple[float, float], frames: Frames, slot: str) -> SpanChange:
    start, end = span
    blobs = frames.to_blobs()
    [span_id] = db.execute(
        f"INSERT INTO spans{slot} (video_id, start_seconds, end_seconds, {_FRAME_COLUMNS}, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING span_id",
        (video_id, start, end, *blobs, compute_checksum(video_id, start, end, *blobs)),
    ).fetchall()[0]
    return SpanChange(span_id, video_id, len(frames.vectors))


def note_changes(db: Transaction, changes: Sequence[SpanChange], slot: str = "") -> None:
    """Give spans that were stored or removed a revision, and note them for the indexes."""
    if not changes:
        return
    revision = next_revision(db, slot)
    for change in changes:
        values = (revision, change.span_id, change.video_id, change.frames)
        db.execute(f"INSERT INTO changes{slot} VALUES (?, ?, ?, ?)", values)
    db.execute(f"DELETE FROM changes{slot} WHERE revision <= ?", (revision - KEPT_REVISIONS,))


def _marks(values: Iterable[object]) -> str:
    """A placeholder for each value; NULL, which nothing equals, for none."""
    return ", ".join("?" for _ in values) or "NULL"
