"""Several models in one store, on SQLite and PostgreSQL: one answers, the others are kept, and a switch is one step."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from clipseek.api.errors import InvalidRequest, ModelMismatch, NotFound, StoreBusy, StoreCorrupt, StoreVersion
from executors.faiss_indexer.store.models import StoredModels, add_slots, claim_slot
from executors.faiss_indexer.store.report import read_answering_name, read_model_name, read_totals
from executors.faiss_indexer.store.store import Store
from tests.postgres import execute, open_engine
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

A, B = "a" * 64, "b" * 64
OTHER = "other@9:8"


@pytest.fixture
def store(engine) -> Iterator[Store]:
    """Two videos, by one model."""
    with Store(open_engine(engine)) as made:
        for name in (A, B):
            made.register(video(name), MODEL)
            made.put_span(name, (0.0, 30.0), frames(4), MODEL)
        yield made


@pytest.fixture
def models(store) -> StoredModels:
    return StoredModels(store.database)


@pytest.fixture
def prepared(store, models) -> Store:
    """The same store by the other model, which has the first video."""
    other = Store(store.database, models.prepare(OTHER))
    other.put_span(A, (0.0, 30.0), frames(3, seed=7), OTHER)
    return other


def test_two_models_do_not_see_each_others_vectors(store, models, prepared):
    assert (store.model_id, store.frame_count(), prepared.model_id, prepared.frame_count()) == (MODEL, 8, OTHER, 3)
    np.testing.assert_array_equal(store.frames(A).vectors, frames(4).vectors)
    np.testing.assert_array_equal(prepared.frames(A).vectors, frames(3, seed=7).vectors)
    assert prepared.stored_spans(B) == {} and prepared.revision == 1
    assert prepared.changes_since(0)[1] and [span.video_id for span in prepared.spans()] == [A]
    assert [(m.model_id, m.answers, m.covered_seconds, m.total_seconds) for m in models.all()] == [
        (MODEL, True, 60.0, 60.0),
        (OTHER, False, 30.0, 60.0),
    ]
    with pytest.raises(ModelMismatch):
        prepared.put_span(B, (0.0, 30.0), frames(1), MODEL)


def test_the_switch_waits_until_nothing_is_missing_and_then_all_see_it(engine, store, models, prepared):
    assert models.missing_videos(OTHER, 9) == [B] and models.missing_videos("new@1:1", 1) == [A]
    assert not models.switch(OTHER)
    prepared.put_span(B, (0.0, 30.0), frames(2), OTHER)
    store.register(video("c" * 64), MODEL)
    store.put_span("c" * 64, (0.0, 30.0), frames(1), MODEL)  # added a moment before the switch
    assert not models.switch(OTHER) and store.state().answering == store.slot
    store.delete("c" * 64)
    assert models.switch(OTHER) and models.answering() == OTHER
    assert store.state().answering == prepared.slot != store.slot
    with Store(open_engine(engine)) as late:
        assert (late.model_id, late.frame_count()) == (OTHER, 5)
        assert (read_totals(late.database).model_id, read_totals(late.database).frames) == (OTHER, 5)
        assert read_model_name(late.database) == read_answering_name(late.database) == "other"
    assert models.switch(MODEL) and models.answering() == MODEL  # going back needs nothing


def test_a_deleted_or_resampled_video_is_gone_from_every_model(store, models, prepared):
    before = store.revision, prepared.revision
    store.register(video(A, frames_per_second=2.0), MODEL)
    assert (store.stored_spans(A), prepared.stored_spans(A)) == ({}, {})
    assert (store.revision, prepared.revision) == (before[0] + 1, before[1] + 1)
    prepared.put_span(B, (0.0, 30.0), frames(2), OTHER)
    store.delete(B)
    assert prepared.stored_spans(B) == {} and prepared.changes_since(prepared.revision - 1)[1][0].frames == 0


def test_a_forgotten_model_leaves_its_place_to_another_one(store, models, prepared):
    with pytest.raises(InvalidRequest, match="answers in this library"):
        models.forget("starter")
    with pytest.raises(NotFound, match="no vectors of a model 'never'"):
        models.forget("never")
    revision = prepared.revision
    models.forget("other")
    assert [model.model_id for model in models.all()] == [MODEL] and prepared.frame_count() == 0
    assert prepared.changes_since(revision)[1] is None  # an index of them compares its spans with the store
    assert models.prepare("third@1:1") == prepared.slot
    third = Store(store.database, prepared.slot)
    span_id, _ = third.put_span(A, (0.0, 30.0), frames(1), "third@1:1")
    assert span_id > 1  # no id is used twice


def test_the_first_model_can_be_forgotten_too(engine, store, models, prepared):
    prepared.put_span(B, (0.0, 30.0), frames(2), OTHER)
    assert models.switch(OTHER)
    models.forget(MODEL)
    with Store(open_engine(engine)) as late:
        assert (late.model_id, late.frame_count()) == (OTHER, 5)
        assert StoredModels(late.database).prepare(MODEL) == ""


def test_an_empty_library_takes_the_model_that_was_chosen_for_it(engine):
    with Store(open_engine(engine)) as store:
        models = StoredModels(store.database)
        store.register(video(), MODEL)
        assert models.answering() == ""  # no video needs it: another one may take its place
        assert models.switch(OTHER) and models.answering() == OTHER
        assert store.database.version() == store.database.own_versions[0]  # it needed no further tables


def test_a_chosen_model_keeps_an_empty_library_whatever_model_a_video_comes_with(engine):
    with Store(open_engine(engine)) as store:
        models = StoredModels(store.database)
        assert models.switch(OTHER)
        with pytest.raises(ModelMismatch, match=f"uses the model '{OTHER}'"):
            store.register(video(), MODEL)
        assert models.answering() == OTHER
        with store.database.write() as db:
            add_slots(store.database, db, ["_2"])
            claim_slot(db, "_2", MODEL)
        assert models.find(MODEL) == "_2" and models.answering() == OTHER


def test_a_model_whose_tables_do_not_open_takes_no_store_from_the_others(engine, store, prepared, monkeypatch):
    def fail():
        raise StoreBusy("Another program writes.")

    monkeypatch.setattr(store.database, "prepare", fail)
    assert Store(store.database, prepared.slot).frame_count() == 3  # its tables are there
    with pytest.raises(StoreCorrupt):
        Store(store.database, "; DROP TABLE videos")
    assert store.frame_count() == 8
    if engine[0] == "sqlite":
        assert store.database._opened


def test_an_emptied_library_is_taken_over_by_the_model_that_comes(store, models, prepared):
    for name in (A, B):
        store.delete(name)
    assert models.find(OTHER) == prepared.slot == store.state().answering
    assert models.find("new@1:1") is None


def test_a_store_with_several_models_is_refused_by_earlier_versions(engine, store, prepared):
    database = store.database
    assert database.version() == database.own_versions[1] == database.own_versions[0] + 1
    if engine[0] == "sqlite":
        with closing(sqlite3.connect(engine[1])) as db:
            db.execute(f"PRAGMA user_version = {database.own_versions[1] + 1}")
            db.commit()
    else:
        execute(engine[1], "UPDATE clipseek_main.meta SET value = '3' WHERE key = 'format'")
    with pytest.raises(StoreVersion):
        Store(open_engine(engine))


def test_a_damaged_store_cannot_name_other_tables(store, models):
    with store.database.write() as db:
        db.execute("INSERT INTO meta VALUES ('answering_slot', '; DROP TABLE videos')")
    for ask in (store.state, models.all, models.answering):
        with pytest.raises(StoreCorrupt, match="names a table"):
            ask()
    assert read_totals(store.database).problem and read_model_name(store.database) == ""
