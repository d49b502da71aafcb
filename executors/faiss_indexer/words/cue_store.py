"""The cues in the store: the lines of words of all videos, their terms, and the vectors of what they mean."""

import json
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from clipseek.api.errors import NotFound
from clipseek.api.limits import SCREEN, WORD_SPAN_SECONDS
from executors.faiss_indexer.index.vector_index import batched
from executors.faiss_indexer.store.database import Database, Transaction
from executors.faiss_indexer.store.models import WORDS, add_slots
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES, plan_spans
from executors.faiss_indexer.store.store import Store
from executors.faiss_indexer.words.terms import term_set

TimeRange = tuple[float, float]
Vectors = npt.NDArray[np.float16]  # [V, D], unit rows
_COLUMNS = "cue_id, video_id, start_seconds, end_seconds, text, source, language, confidence, edited"
_MOST_COUNTED = 10_000  # cues that have a term: more is as common as that
_IDS_AT_A_TIME = 500
_MOST_OWNERS = 20_000  # spans, some 100 lines each
_COUNT_AGES = 0.1
_TOUCHING_SECONDS = 0.1  # between the same line at the end of one span and at the start of the next


@dataclass(frozen=True)
class StoredCue:
    """A timed line of words, `[start_seconds, end_seconds)`; see `clipseek.api.documents.Cue`."""

    cue_id: int
    video_id: str
    start_seconds: float
    end_seconds: float
    text: str
    source: str
    language: str = ""
    confidence: float = 1.0
    edited: bool = False


@dataclass(frozen=True)
class Reading:
    """How a span was read: where its words come from, which languages it has, and what could not be read."""

    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class WordFacts:
    """What is known of the words of a video.

    Attributes:
        spans: the `[start, end)` that were read, each with its number of cues.
        languages: the most frequent first.
        wanted: nobody said that they are not to be read.
    """

    spans: dict[TimeRange, int] = field(default_factory=dict)
    languages: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    language: str = ""
    wanted: bool = True


class CueStore(Store):
    """The words of a library, in its database. A span of words has a cue where a span of pictures has a frame."""

    def __init__(self, database: Database) -> None:
        with database.write() as db:
            add_slots(database, db, [WORDS])
        super().__init__(database, WORDS)
        self._owners: LRUCache[int, list[int]] = LRUCache(_MOST_OWNERS)  # of the vectors of a span, which never change
        self._reading_owners = threading.Lock()
        self._counted = 0, 0

    # Writing

    def put_words(
        self,
        video_id: str,
        span: TimeRange,
        cues: Sequence[StoredCue],
        vectors: Sequence[Vectors],
        model_id: str,
        reading: Reading,
    ) -> int:
        """Store the cues that begin in `[start, end)`, in place of those that were read there before.

        Corrected lines stay; a new line of the same source that overlaps one is left out.

        Args:
            vectors: of each cue, float16 [V, D], unit rows: what it means, and what its parts mean.
            model_id: of the vectors; "" if there are none.

        Returns: how many cues the span has now.

        Raises: VideoNotFound, ModelMismatch.
        """
        with self._database.write() as db:
            lines = self._read_edited(db, video_id, span)
            edited = [cue for cue, _ in lines]
            lines += [line for line in zip(cues, vectors, strict=True) if not _overlaps_any(line[0], edited)]
            lines.sort(key=lambda line: (line[0].start_seconds, line[0].end_seconds, line[0].source))
            counts = [len(rows) for _, rows in lines]
            starts = np.repeat([cue.start_seconds for cue, _ in lines], counts)
            rows = np.concatenate([rows for _, rows in lines]) if lines else np.empty((0, 0), np.float16)
            span_id, _ = self._put_span(db, video_id, span, Frames(starts, rows), model_id)
            self._insert(db, span_id, video_id, [cue for cue, _ in lines], counts)
            values = [json.dumps(part) for part in (reading.sources, reading.languages, reading.notes)]
            db.execute("INSERT INTO word_spans VALUES (?, ?, ?, ?)", (span_id, *values))
        return len(lines)

    def _read_edited(self, db: Transaction, video_id: str, span: TimeRange) -> list[tuple[StoredCue, Vectors]]:
        """The corrected lines that begin in a span, with their vectors."""
        starts_inside = "video_id = ? AND start_seconds >= ? AND start_seconds < ?"
        rows = db.execute(
            f"SELECT span_id, vectors, {_COLUMNS} FROM cues WHERE {starts_inside} AND edited = 1", (video_id, *span)
        ).fetchall()
        lines = []
        for span_id, count, *row in rows:
            frames, vectors = db.execute(
                f"SELECT frames, vectors FROM {self._spans} WHERE span_id = ?", (span_id,)
            ).fetchone()
            cue = _read_cue(row)
            first = cue.cue_id % MAX_SPAN_FRAMES
            lines.append((cue, np.frombuffer(vectors, np.float16).reshape(frames, -1)[first : first + count]))
        return lines

    def _insert(
        self, db: Transaction, span_id: int, video_id: str, cues: Sequence[StoredCue], counts: Sequence[int]
    ) -> None:
        cue_id = span_id * MAX_SPAN_FRAMES
        for cue, count in zip(cues, counts, strict=True):
            line = cue.text, cue.source, cue.language, cue.confidence, int(cue.edited)
            db.execute(
                f"INSERT INTO cues (span_id, vectors, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (span_id, count, cue_id, video_id, cue.start_seconds, cue.end_seconds, *line),
            )
            self._put_terms(db, cue_id, cue.text)
            cue_id += count

    def _put_terms(self, db: Transaction, cue_id: int, text: str) -> None:
        db.execute("DELETE FROM cue_terms WHERE rowid = ?", (cue_id,))
        terms = " ".join(sorted(term_set(text)))
        if terms:
            db.execute(
                f"INSERT INTO cue_terms (rowid, terms) VALUES (?, {self._database.terms_value})", (cue_id, terms)
            )

    def correct(self, video_id: str, cue_id: int, text: str) -> StoredCue:
        """Give a cue its right text, for good; "" removes the line. What it means stays as it was read.

        Raises: NotFound.
        """
        with self._database.write() as db:
            known = f"SELECT {_COLUMNS} FROM cues WHERE cue_id = ? AND video_id = ?"
            row = db.execute(known, (cue_id, video_id)).fetchone()
            if row is None:
                raise NotFound(
                    "There is no such line in this video: its words were read again. Ask for its transcript again."
                )
            cue = _read_cue(row)
            for number in [cue_id, *self._find_rest(db, cue)]:
                db.execute("UPDATE cues SET text = ?, edited = 1, confidence = 1 WHERE cue_id = ?", (text, number))
                self._put_terms(db, number, text)
        return replace(cue, text=text, edited=True, confidence=1.0)

    def _find_rest(self, db: Transaction, cue: StoredCue) -> list[int]:
        """Where a line on screen goes on in the next spans: the ids of the cues that `transcript` shows with it."""
        same = "video_id = ? AND source = ? AND language = ? AND text = ? AND start_seconds >= ?"
        values = (cue.video_id, cue.source, cue.language, cue.text, cue.start_seconds)
        rows = db.execute(f"SELECT {_COLUMNS} FROM cues WHERE {same} ORDER BY start_seconds, cue_id", values).fetchall()
        end, ids = cue.end_seconds, []
        for other in (_read_cue(row) for row in rows if row[0] != cue.cue_id and cue.source == SCREEN):
            if other.start_seconds > end + _TOUCHING_SECONDS:
                break
            end = max(end, other.end_seconds)
            ids.append(other.cue_id)
        return ids

    def forget(self, video_id: str) -> None:
        """Let all words of a video be read again. Until then they stay, and corrected lines do for good."""
        with self._database.write() as db:
            of_video = f"SELECT span_id FROM {self._spans} WHERE video_id = ?"
            db.execute(f"DELETE FROM word_spans WHERE span_id IN ({of_video})", (video_id,))

    def wish(self, video_id: str, *, language: str = "", no_words: bool | None = None) -> None:
        """Note whether somebody wants the words of a video, and in which language it is spoken.

        "" and None keep what was noted before.
        """
        with self._database.write() as db:
            known = db.execute("SELECT language, no_words FROM word_wishes WHERE video_id = ?", (video_id,)).fetchone()
            before, was_off = known or ("", 0)
            values = language or before, was_off if no_words is None else int(no_words)
            db.execute(
                "INSERT INTO word_wishes VALUES (?, ?, ?) ON CONFLICT (video_id) DO UPDATE SET "
                "language = excluded.language, no_words = excluded.no_words",
                (video_id, *values),
            )

    # Reading

    def missing(self, video: VideoRecord) -> list[TimeRange]:
        """The spans of a video whose words were not read yet, in order of time."""
        read = self.facts(video.video_id).get(video.video_id, WordFacts()).spans
        return [span for span in plan_spans(video.duration_seconds, WORD_SPAN_SECONDS) if span not in read]

    def facts(self, video_id: str = "") -> dict[str, WordFacts]:
        """What is known of the words of one video or of all, by video: two queries, however many there are."""
        condition, values = ("WHERE video_id = ?", (video_id,)) if video_id else ("", ())
        found: dict[str, WordFacts] = {}
        wishes = f"SELECT video_id, language, no_words FROM word_wishes {condition}"
        for name, language, no_words in self._database.rows(wishes, values):
            found[name] = WordFacts(language=language, wanted=not no_words)
        spans = (
            "SELECT video_id, start_seconds, end_seconds, "
            f"(SELECT COUNT(*) FROM cues WHERE cues.span_id = {self._spans}.span_id AND text <> ''), sources, "
            f"languages, notes FROM {self._spans} JOIN word_spans USING (span_id) {condition} "
            "ORDER BY video_id, start_seconds"
        )
        languages: dict[str, Counter[str]] = {}
        for name, start, end, count, *reading in self._database.rows(spans, values):
            facts = found.setdefault(name, WordFacts())
            facts.spans[start, end] = count
            sources, spoken, notes = map(json.loads, reading)
            languages.setdefault(name, Counter()).update(spoken)
            facts.sources += [source for source in sources if source not in facts.sources]
            facts.notes += [note for note in notes if note not in facts.notes]
        for name, counts in languages.items():
            found[name].languages = [language for language, _ in counts.most_common()]
        return found

    def transcript(self, video_id: str) -> list[StoredCue]:
        """All cues of a video, in order of time. A line on screen that goes on in the next span is one cue."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM cues WHERE video_id = ? AND text <> '' "
            "ORDER BY start_seconds, end_seconds, cue_id",
            (video_id,),
        )
        return _join_touching(map(_read_cue, rows))

    def cues(self, cue_ids: Iterable[int]) -> dict[int, StoredCue]:
        """Cues by their ids; unknown ones, and those without a text, are left out."""
        found: dict[int, StoredCue] = {}
        for ids in batched(cue_ids, _IDS_AT_A_TIME):
            marks = ", ".join("?" * len(ids))
            rows = self._database.rows(f"SELECT {_COLUMNS} FROM cues WHERE cue_id IN ({marks}) AND text <> ''", ids)
            found |= {cue.cue_id: cue for cue in map(_read_cue, rows)}
        return found

    def owners(self, numbers: Iterable[int]) -> dict[int, int]:
        """The cues that vectors belong to, by the numbers of the vectors."""
        numbers = list(numbers)
        spans = {number // MAX_SPAN_FRAMES for number in numbers}
        with self._reading_owners:
            unknown = [span_id for span_id in spans if span_id not in self._owners]
            for ids in batched(unknown, _IDS_AT_A_TIME):
                marks = ", ".join("?" * len(ids))
                found: dict[int, list[int]] = {span_id: [] for span_id in ids}
                rows = self._database.rows(
                    f"SELECT span_id, cue_id FROM cues WHERE span_id IN ({marks}) ORDER BY cue_id", ids
                )
                for span_id, cue_id in rows:
                    found[span_id].append(cue_id)
                self._owners.update(found)
            first_of = {span_id: self._owners.get(span_id, []) for span_id in spans}
        owners = {}
        for number in numbers:
            first = first_of[number // MAX_SPAN_FRAMES]
            if place := bisect_right(first, number):
                owners[number] = first[place - 1]
        return owners

    def cue_count(self, vector_count: int) -> int:
        """How many lines are stored in all: counted again when the number of vectors has changed by a tenth."""
        counted, lines = self._counted
        if abs(vector_count - counted) > _COUNT_AGES * counted:
            row = self._database.row("SELECT COUNT(*) FROM cues")
            lines = int(row[0]) if row else 0
            self._counted = vector_count, lines
        return lines

    # Terms

    def count_term(self, term: str) -> int:
        """How many cues have a term; of very many some 10,000."""
        match = self._database.terms_match
        row = self._database.row(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM cue_terms WHERE {match} LIMIT ?) AS counted",
            (self._database.any_of([term]), _MOST_COUNTED),
        )
        return int(row[0]) if row else 0

    def with_terms(
        self, terms: Sequence[str], most: int, *, all_of: bool = False, video_ids: Sequence[str] = ()
    ) -> list[int]:
        """The ids of cues that have one of the terms, or all of them, in the whole library or in some videos."""
        database = self._database
        values: list[object] = [database.any_of(terms, all_of=all_of)]
        inside = ""
        if video_ids:
            inside = f" AND video_id IN ({', '.join('?' * len(video_ids))})"
            values += video_ids
        rows = database.rows(
            f"SELECT cue_id FROM cue_terms JOIN cues ON cue_id = cue_terms.rowid WHERE {database.terms_match}{inside} "
            "LIMIT ?",
            (*values, most),
        )
        return [row[0] for row in rows]


def _overlaps_any(cue: StoredCue, others: Iterable[StoredCue]) -> bool:
    return any(
        cue.source == other.source and cue.start_seconds < other.end_seconds and other.start_seconds < cue.end_seconds
        for other in others
    )


def _join_touching(cues: Iterable[StoredCue]) -> list[StoredCue]:
    joined: list[StoredCue] = []
    last: dict[tuple[str, str, str], int] = {}
    for cue in cues:
        key = cue.source, cue.language, cue.text
        place = last.get(key) if cue.source == SCREEN else None
        if place is not None and cue.start_seconds <= joined[place].end_seconds + _TOUCHING_SECONDS:
            end = max(joined[place].end_seconds, cue.end_seconds)
            joined[place] = replace(joined[place], end_seconds=end)
        else:
            last[key] = len(joined)
            joined.append(cue)
    return joined


def _read_cue(row: Sequence[Any]) -> StoredCue:
    cue_id, video_id, start, end, text, source, language, confidence, edited = row
    return StoredCue(cue_id, video_id, start, end, text, source, language, confidence, bool(edited))
