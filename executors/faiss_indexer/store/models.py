"""The models of a store: one answers, and the vectors of others are kept beside its own.

Each model has a slot, which ends the names of its tables (`spans`, `changes`) and of its facts in `meta`. The first
slot is "", as in stores of earlier versions, later ones are "_2", "_3" and so on. A model is claimed by its first span
and forgotten on request; its empty slot is then free for another one. So a change of the model that answers is the
change of one fact, and no other model's vectors are touched by it.
"""

import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from clipseek.api.errors import InvalidRequest, NotFound, StoreCorrupt, StoreError
from clipseek.api.model_ids import model_name
from executors.faiss_indexer.store.database import Database, Transaction

logger = logging.getLogger(__name__)

# Facts in `meta`: the slot of the model that answers, and that of the model somebody chose, also for an empty library.
ANSWERING, CHOSEN = "answering_slot", "chosen_slot"
WORDS = "_words"  # the slot of what lines of words mean: no model of pictures, so it never answers in their place
REVISION, MODEL_ID, MODEL_NAME = "revision", "model_id", "model_name"  # of each slot, whose name ends the key
_ROUNDING_SECONDS = 1e-3  # of a sum of spans
_COVERED = """SELECT videos.video_id, COALESCE(SUM({spans}.end_seconds - {spans}.start_seconds), 0) FROM videos
LEFT JOIN {spans} ON {spans}.video_id = videos.video_id GROUP BY videos.video_id ORDER BY MIN(videos.rowid)"""


@dataclass(frozen=True)
class StoredModel:
    """A model whose vectors a store holds.

    Attributes:
        covered_seconds: of the videos that the answering model has indexed, those that this one has.
        total_seconds: what the answering model has indexed.
    """

    slot: str
    model_id: str
    answers: bool
    covered_seconds: float
    total_seconds: float

    @property
    def name(self) -> str:
        """The value of CLIPSEEK_MODEL that selects it."""
        return model_name(self.model_id)


class StoredModels:
    """The models of the store in a database. Any thread, and any process, may use them at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredModel]:
        """Every model, the answering one first."""
        with self._database.snapshot() as db:
            answering, slots = answering_slot(db), list_slots(db)
            wanted = _read_covered(db, answering)
            total = sum(wanted.values())
            models = [
                StoredModel(slot, model_id, slot == answering, _common_seconds(db, slot, wanted), total)
                for slot, model_id in slots.items()
            ]
        return sorted(models, key=lambda model: not model.answers)

    def answering(self) -> str:
        """The identity of the model that answers; "" where none was used or chosen yet."""
        with self._database.snapshot() as db:
            slot = answering_slot(db)
            return list_slots(db).get(slot, "") if is_slot_used(db, slot) else ""

    def find(self, model_id: str) -> str | None:
        """The slot of a model, whose vectors may be stored and searched there. None: the store holds none of it."""
        with self._database.snapshot() as db:
            slot, answering = _find_slot(db, model_id), answering_slot(db)
            if slot in (None, answering) or is_slot_used(db, answering):
                return slot
        with self._database.write() as db:
            write_meta(db, ANSWERING, str(slot))  # of an empty library: this model answers now
        return slot

    def prepare(self, model_id: str) -> str:
        """Make room for the vectors of a model beside those of the others. Returns: its slot."""
        with self._database.write() as db:
            return _prepare_slot(self._database, db, model_id)

    def missing_videos(self, model_id: str, most: int, last: Collection[str] = ()) -> list[str]:
        """The videos of which a model lacks something that the answering one has, in the order they were added.

        Those in `last` come behind all others.
        """
        with self._database.snapshot() as db:
            missing = _list_missing(db, _find_slot(db, model_id))
        return sorted(missing, key=frozenset(last).__contains__)[:most]

    def switch(self, model_id: str) -> bool:
        """Let a model answer from now on. Returns: False if it lacks something, and the other one still answers."""
        with self._database.write() as db:
            slot = _prepare_slot(self._database, db, model_id)
            if _list_missing(db, slot):
                return False
            for key in (ANSWERING, CHOSEN):
                write_meta(db, key, slot)
        return True

    def forget(self, name: str) -> None:
        """Remove the vectors of the models called `name`. Raises: NotFound. InvalidRequest: it answers."""
        with self._database.write() as db:
            answering = answering_slot(db)
            slots = [slot for slot, model_id in list_slots(db).items() if name in (model_id, model_name(model_id))]
            kept = [slot for slot in slots if slot != answering]
            if not slots:
                raise NotFound(
                    f"The library has no vectors of a model '{name[:200]}'. `clipseek model list` shows what it has."
                )
            if not kept:
                raise InvalidRequest(
                    f"The model '{name[:200]}' answers in this library. Change to another one first: "
                    "clipseek model use NAME"
                )
            for slot in kept:
                self._database.clear_slot(db, slot)
                next_revision(db, slot)  # an index of these vectors is stale
                db.execute("DELETE FROM meta WHERE key IN (?, ?)", (MODEL_ID + slot, MODEL_NAME + slot))
        try:
            self._database.shrink()
        except StoreError as error:
            logger.warning("%s It is used for the next vectors.", error)


def answering_slot(db: Transaction) -> str:
    """The slot of the model that answers."""
    return as_slot(_read(db, ANSWERING) or "")


def is_slot_used(db: Transaction, slot: str) -> bool:
    """Whether a slot has vectors, or somebody chose its model: then no other one takes it."""
    return _has_spans(db, slot) or _read(db, CHOSEN) == slot


def list_slots(db: Transaction) -> dict[str, str]:
    """The slots that are in use by models of pictures, each with its model."""
    rows = db.execute("SELECT key, value FROM meta WHERE key LIKE 'model_id%'").fetchall()
    slots = {as_slot(key.removeprefix(MODEL_ID)): model_id for key, model_id in sorted(rows)}
    slots.pop(WORDS, None)
    return slots


def list_all_slots(db: Transaction) -> list[str]:
    """The slots whose tables hold spans: those of models of pictures, and that of words if there are any."""
    return [*(list_slots(db) or [""]), *([WORDS] if has_words(db) and _has_spans(db, WORDS) else [])]


def has_words(db: Transaction) -> bool:
    """Whether the store has tables for words."""
    return _read(db, REVISION + WORDS) is not None


def as_slot(text: str) -> str:
    """A slot as it is stored. Raises: StoreCorrupt: it is none; nothing else may end the name of a table."""
    if not re.fullmatch(rf"(_[0-9]{{1,6}}|{WORDS})?", text):
        raise StoreCorrupt(
            f"The store names a table of vectors '{text[:20]}', which no version makes. Restore a backup."
        )
    return text


def claim_slot(db: Transaction, slot: str, model_id: str) -> None:
    """Give a slot without vectors to a model."""
    write_meta(db, MODEL_ID + slot, model_id)
    write_meta(db, MODEL_NAME + slot, model_name(model_id))


def write_meta(db: Transaction, key: str, value: str) -> None:
    """Store one of the store's own facts."""
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def next_revision(db: Transaction, slot: str) -> int:
    """Count a change of a model's spans. Returns: its number."""
    counted = "UPDATE meta SET value = CAST(value AS BIGINT) + 1 WHERE key = ? RETURNING value"
    [(value,)] = db.execute(counted, (REVISION + slot,)).fetchall()
    return int(value)


def add_slots(database: Database, db: Transaction, slots: Iterable[str]) -> None:
    """Create the tables of slots, where they are missing."""
    for slot in slots:
        if _read(db, REVISION + slot) is None:
            if slot == WORDS:
                database.add_words(db)
            else:
                database.add_slot(db, slot)
            write_meta(db, REVISION + slot, "0")


def _read(db: Transaction, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def _has_spans(db: Transaction, slot: str) -> bool:
    return db.execute(f"SELECT 1 FROM spans{slot} LIMIT 1").fetchone() is not None


def _find_slot(db: Transaction, model_id: str) -> str | None:
    return next((slot for slot, known in list_slots(db).items() if known == model_id), None)


def _prepare_slot(database: Database, db: Transaction, model_id: str) -> str:
    slot = _find_slot(db, model_id)
    if slot is None:
        used = {answering_slot(db)} if _has_spans(db, answering_slot(db)) else set()
        used |= list_slots(db).keys() - {answering_slot(db)}
        slot = next(slot for slot in ("", *(f"_{number}" for number in range(2, len(used) + 3))) if slot not in used)
        add_slots(database, db, [slot])
        claim_slot(db, slot, model_id)
    return slot


def _read_covered(db: Transaction, slot: str) -> dict[str, float]:
    """How many seconds of each video are indexed, in the order they were added."""
    return dict(db.execute(_COVERED.format(spans=f"spans{slot}")).fetchall())


def _common_seconds(db: Transaction, slot: str, wanted: dict[str, float]) -> float:
    covered = _read_covered(db, slot)
    return sum(min(seconds, covered.get(video_id, 0.0)) for video_id, seconds in wanted.items())


def _list_missing(db: Transaction, slot: str | None) -> list[str]:
    """The videos of which a slot lacks something that the answering one has."""
    wanted = _read_covered(db, answering_slot(db))
    covered = {} if slot is None else _read_covered(db, slot)
    return [
        video_id for video_id, seconds in wanted.items() if covered.get(video_id, 0.0) < seconds - _ROUNDING_SECONDS
    ]
