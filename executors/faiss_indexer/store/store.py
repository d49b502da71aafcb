"""The store: one SQLite file that is the truth about videos, spans and frames; all else can be rebuilt from it."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from clipseek.api.errors import InvalidRequest, ModelMismatch, StoreError, VideoNotFound
from clipseek.api.limits import EVEN, MAX_RATE, MIN_RATE, SAMPLINGS
from clipseek.api.model_ids import advise_to_index_again, model_name, settings_for
from executors.faiss_indexer.store.database import Database, prepare_schema
from executors.faiss_indexer.store.records import Frames, StoredSpan, VideoRecord, compute_checksum, list_shots

TICK_SECONDS = 1e-6  # the least time between two videos that are added one after the other
_VIDEO_FIELDS = tuple(field.name for field in fields(VideoRecord))
_VIDEO_COLUMNS = ", ".join(_VIDEO_FIELDS)
_FRAME_COLUMNS = "frames, pts_seconds, vectors, cut_seconds, blank"


class Store(AbstractContextManager["Store"]):
    """The SQLite store in `folder`. Any thread may read; writes wait for one another.

    A store of an earlier format is brought up to date; a copy of it stays as `index.db.formatN-backup`. A store
    without an identity gets one (`store_id` in `meta`), by which `clipseek backup` knows its copies.

    Raises: StoreVersion: a newer ClipSeek wrote the file. StoreFull, StoreReadOnly, StoreBusy, StoreCorrupt,
    StoreError: it cannot be opened; every method that reads or writes may raise them, too.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "index.db"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The store {self.path} cannot be created ({error}). Check CLIPSEEK_HOME.") from error
        self.database = self._database = Database(self.path)
        prepare_schema(self._database)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    # Videos

    def claim(self, model_id: str) -> None:
        """Make the store this model's where it holds no frames yet. Raises ModelMismatch where it holds another's."""
        with self._database.write() as db:
            self._claim_model(db, model_id)

    def register(self, video: VideoRecord, model_id: str, added_after: float = 0.0) -> list[int]:
        """Add a video to the store, or update its record.

        A known video keeps its sampling rate unless `video.frames_per_second` is another one above 0, and its way of
        sampling unless `video.sampling` names another. A change of either drops its frames: it must be indexed again.

        Args:
            added_after: when the last video was added elsewhere, in seconds since the epoch; a new one comes after it,
                whatever the clock says.

        Returns: the ids of the spans that were dropped.

        Raises: ModelMismatch: the store holds frames of another model. InvalidRequest: the rate or the way of sampling
        does not exist.
        """
        dropped: list[int] = []
        with self._database.write() as db:
            self._claim_model(db, model_id)
            known = db.execute(
                "SELECT frames_per_second, sampling FROM videos WHERE video_id = ?", (video.video_id,)
            ).fetchone()
            rate, sampling = _check_sampling(video, known)
            if known and known != (rate, sampling):
                dropped = _delete_spans(db, "video_id = ?", (video.video_id,))
            added_at = max(time.time(), added_after + TICK_SECONDS)
            values = asdict(video) | {"frames_per_second": rate, "sampling": sampling, "added_at": added_at}
            names = ", ".join(values)
            updates = ", ".join(f"{name} = excluded.{name}" for name in values if name not in ("video_id", "added_at"))
            db.execute(
                f"INSERT INTO videos ({names}) VALUES ({', '.join(':' + name for name in values)}) "
                f"ON CONFLICT (video_id) DO UPDATE SET {updates}",
                values,
            )
        return dropped

    def video(self, video_id: str) -> VideoRecord:
        """Raises VideoNotFound."""
        row = self._database.row(f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id = ?", (video_id,))
        if row is None:
            raise VideoNotFound(f"There is no video '{video_id}'. `clipseek videos` lists all videos.")
        return _read_video(row)

    def known_videos(self, video_ids: Iterable[str]) -> list[VideoRecord]:
        """The videos with these ids, in their order; unknown ids are left out."""
        video_ids = list(video_ids)
        rows = self._database.rows(
            f"SELECT {_VIDEO_COLUMNS} FROM videos WHERE video_id IN (SELECT value FROM json_each(?))",
            (json.dumps(video_ids),),
        )
        videos = {video.video_id: video for video in map(_read_video, rows)}
        return [videos[video_id] for video_id in video_ids if video_id in videos]

    def videos(self) -> list[VideoRecord]:
        """All videos, in the order they were added."""
        return [_read_video(row) for row in self._database.rows(f"SELECT {_VIDEO_COLUMNS} FROM videos ORDER BY rowid")]

    def added_at(self, video_id: str) -> float:
        """When a video was added, in seconds since the epoch; 0 for an unknown one."""
        row = self._database.row("SELECT added_at FROM videos WHERE video_id = ?", (video_id,))
        return float(row[0]) if row else 0.0

    def last_added_at(self) -> float:
        """When the last video was added; 0 in an empty store."""
        row = self._database.row("SELECT MAX(added_at) FROM videos")
        return float(row[0] or 0.0) if row else 0.0

    def delete(self, video_id: str) -> list[int]:
        """Forget a video and its frames; an unknown one is no error. Returns: the ids of its spans."""
        with self._database.write() as db:
            deleted = _delete_spans(db, "video_id = ?", (video_id,))
            db.execute("DELETE FROM videos WHERE video_id = ?", (video_id,))
        return deleted

    # Spans and frames

    def put_span(
        self, video_id: str, span: tuple[float, float], frames: Frames, model_id: str
    ) -> tuple[int, list[int]]:
        """Store the frames of `[start, end)` and delete the spans that overlap it.

        Returns: the new span's id, and the ids of the spans that it replaced.

        Raises: VideoNotFound: the video was never registered, or was deleted in the meantime. ModelMismatch: the store
        holds frames of another model.
        """
        start, end = span
        blobs = frames.to_blobs()
        checksum = compute_checksum(video_id, start, end, *blobs)
        with self._database.write() as db:
            if db.execute("SELECT 1 FROM videos WHERE video_id = ?", (video_id,)).fetchone() is None:
                raise VideoNotFound(f"There is no video '{video_id}': it was deleted, or never sent to /probe.")
            self._claim_model(db, model_id)
            replaced = _delete_spans(
                db, "video_id = ? AND start_seconds < ? AND end_seconds > ?", (video_id, end, start)
            )
            cursor = db.execute(
                f"INSERT INTO spans (video_id, start_seconds, end_seconds, {_FRAME_COLUMNS}, checksum) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (video_id, start, end, *blobs, checksum),
            )
            _bump_revision(db)
            span_id = cursor.lastrowid
        if span_id is None:
            raise StoreError(f"SQLite gave no id for span [{start}, {end}) of video {video_id}")
        return span_id, replaced

    def stored_spans(self, video_id: str) -> dict[tuple[float, float], int]:
        """The `[start, end)` of a video's stored spans, each with its number of frames."""
        rows = self._database.rows(
            "SELECT start_seconds, end_seconds, frames FROM spans WHERE video_id = ?", (video_id,)
        )
        return {(start, end): frames for start, end, frames in rows}

    def frames(self, video_id: str) -> Frames:
        """All stored frames and cuts of a video, in order of time."""
        rows = self._database.rows(
            f"SELECT {_FRAME_COLUMNS} FROM spans WHERE video_id = ? ORDER BY start_seconds", (video_id,)
        )
        return Frames.join([Frames.from_blobs(*row) for row in rows])

    def shots(self, video_id: str) -> list[tuple[float, float]]:
        """The `[start, end)` of every shot of a video, in order of time; spans not yet stored count as without cuts.

        A video that was indexed before format 2 is one shot until it is indexed again.

        Raises: VideoNotFound.
        """
        duration_seconds = self.video(video_id).duration_seconds
        rows = self._database.rows(
            "SELECT cut_seconds FROM spans WHERE video_id = ? ORDER BY start_seconds", (video_id,)
        )
        return list_shots(np.frombuffer(b"".join(row[0] for row in rows), np.float64), duration_seconds)

    def spans(self) -> Iterator[StoredSpan]:
        """Every stored span that has frames, one at a time."""
        for span_id, video_id, *blobs in self._database.rows(
            f"SELECT span_id, video_id, {_FRAME_COLUMNS} FROM spans WHERE frames > 0"
        ):
            yield StoredSpan(span_id, video_id, Frames.from_blobs(*blobs))

    def span_facts(self) -> dict[int, tuple[str, int]]:
        """The video and the number of frames of every stored span, by span id."""
        rows = self._database.rows("SELECT span_id, video_id, frames FROM spans")
        return {span_id: (video_id, frames) for span_id, video_id, frames in rows}

    def frame_count(self) -> int:
        """How many frames are stored in all."""
        row = self._database.row("SELECT COALESCE(SUM(frames), 0) FROM spans")
        return int(row[0]) if row else 0

    # The store's own facts

    @property
    def revision(self) -> int:
        """Grows with every change of frames: what was derived from one revision is stale at any other."""
        return int(self._read_meta("revision") or 0)

    @property
    def model_id(self) -> str:
        """The identity of the model whose frames are stored; empty for a new store."""
        return self._read_meta("model_id") or ""

    def check_model(self, model_id: str) -> None:
        """Raises ModelMismatch where frames of another model are stored."""
        if self.model_id not in ("", model_id) and self.frame_count():
            raise self._mismatch(self.model_id, model_id)

    def fitted_shift(self, model_id: str) -> float:
        """What `keep_fitted_shift` stored for this model; 0 where it stored nothing."""
        fitted = json.loads(self._read_meta("fitted_shift") or "{}")
        return float(fitted["shift"]) if fitted.get("model_id") == model_id else 0.0

    def keep_fitted_shift(self, shift: float, model_id: str) -> None:
        """Store how much more relevance than by default the library's matches need; it holds for one model."""
        with self._database.write() as db:
            _write_meta(db, "fitted_shift", json.dumps({"shift": shift, "model_id": model_id}))

    def _read_meta(self, key: str) -> str | None:
        row = self._database.row("SELECT value FROM meta WHERE key = ?", (key,))
        return row[0] if row else None

    def _claim_model(self, db: sqlite3.Connection, model_id: str) -> None:
        own = db.execute("SELECT value FROM meta WHERE key = 'model_id'").fetchone()
        if own and own[0] == model_id:
            return
        if own and db.execute("SELECT 1 FROM spans LIMIT 1").fetchone():
            raise self._mismatch(own[0], model_id)
        _write_meta(db, "model_id", model_id)
        _write_meta(db, "model_name", model_name(model_id))

    def _mismatch(self, stored: str, used: str) -> ModelMismatch:
        advice = advise_to_index_again(stored, used) or (
            f"Start the server with {settings_for(stored, used)}, or give the new model a store of its own "
            "(CLIPSEEK_HOME), or delete the videos and index them again."
        )
        return ModelMismatch(
            f"The store {self.path} was filled by the model '{stored}', but the server runs '{used}': their embeddings "
            f"cannot be compared. {advice}"
        )


def _check_sampling(video: VideoRecord, known: tuple[float, str] | None) -> tuple[float, str]:
    rate = video.frames_per_second or (known[0] if known else 0.0)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidRequest(f"frames_per_second is {rate:g}, but must be from {MIN_RATE:g} to {MAX_RATE:g}.")
    sampling = video.sampling or (known[1] if known else EVEN)
    if sampling not in SAMPLINGS:
        raise InvalidRequest(f"sampling is '{sampling}', but must be one of {', '.join(SAMPLINGS)}.")
    return rate, sampling


def _read_video(row: tuple[object, ...]) -> VideoRecord:
    values = dict(zip(_VIDEO_FIELDS, row, strict=True))
    return VideoRecord(**values | {"has_audio": bool(values["has_audio"])})  # type: ignore[arg-type]


def _write_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _delete_spans(db: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> list[int]:
    deleted = [row[0] for row in db.execute(f"DELETE FROM spans WHERE {condition} RETURNING span_id", values)]
    if deleted:
        _bump_revision(db)
    return deleted


def _bump_revision(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'revision'")
