"""Copies, checks and repairs of a store with two models."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from clipseek.config.settings import Settings
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.model_libraries import ModelLibraries
from executors.faiss_indexer.store.check import check_store, repair_store
from executors.faiss_indexer.store.copying import copy_stores
from executors.faiss_indexer.store.models import StoredModels
from executors.faiss_indexer.store.postgres import PostgresDatabase
from executors.faiss_indexer.store.sqlite import SqliteDatabase
from executors.faiss_indexer.store.store import Store
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

OTHER = "other@9:8"
NAMES = ["a" * 64, "b" * 64]


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Two videos by two models, of which the later answers."""
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    with ModelLibraries(settings.home, 1e9) as libraries:
        for name in NAMES:
            libraries.of_model().register(video(name, duration_seconds=30.0), MODEL)
            for model_id, seed in ((MODEL, 1), (OTHER, 2)):
                if model_id == OTHER:
                    libraries.models.prepare(OTHER)
                libraries.of_model(model_id).put_span(name, (0.0, 30.0), frames(4, seed=seed), model_id)
        assert libraries.models.switch(OTHER)
        assert libraries.of_model().store.model_id == OTHER
        libraries.of_model().store.keep_fitted_shift(0.25, OTHER)
    return settings


def everything(database) -> list:
    models = StoredModels(database)
    stores = [Store(database, model.slot) for model in models.all()]
    return [
        models.all(),
        [[store.frames(name).vectors.tolist() for name in NAMES] for store in stores],
        [store.fitted_shift(OTHER) for store in stores],
    ]


def test_a_copy_has_the_vectors_of_every_model_and_the_one_that_answers(settings, tmp_path, postgres):
    source = SqliteDatabase(settings.home / "index.db")
    before = everything(source)
    source.close()
    assert [copied.frames for copied in copy_stores(str(settings.home), postgres)] == [16]
    assert [copied.copied_videos for copied in copy_stores(postgres, str(tmp_path / "back"))] == [2]
    assert [copied.copied_videos for copied in copy_stores(postgres, str(tmp_path / "back"))] == [0]
    for database in (PostgresDatabase(postgres, "main"), SqliteDatabase(tmp_path / "back" / "index.db")):
        assert everything(database) == before
        database.close()


def test_the_doctor_checks_and_repairs_the_vectors_of_every_model(settings):
    def faults() -> dict[str, str]:
        return {finding.what: finding.found for finding in check_store(settings, "main") if finding.state != "ok"}

    assert faults() == {}
    said = [finding.found for finding in check_store(settings, "main") if finding.what == "spans"]
    assert said == ["2 with 8 frames, unit vectors", f"2 with 8 frames, unit vectors, kept of {MODEL}"]
    with closing(sqlite3.connect(settings.home / "index.db")) as db:
        db.execute("UPDATE spans SET vectors = zeroblob(length(vectors)) WHERE video_id = ?", (NAMES[0],))
        db.commit()
    assert set(faults()) == {"spans", "index cache"}
    assert next(finding.found for finding in repair_store(settings, "main")).startswith("dropped 1 wrong spans")
    assert faults() == {}  # the answering model has every video
    with closing(SqliteDatabase(settings.home / "index.db")) as database:
        assert StoredModels(database).missing_videos(MODEL, 9) == [NAMES[0]]


def test_a_forgotten_model_gives_its_space_back(tmp_path):
    many = np.random.default_rng(0).normal(size=(4000, 64))
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    with ModelLibraries(tmp_path, 1e9) as libraries:
        libraries.of_model().register(video(duration_seconds=30.0), MODEL)
        libraries.of_model().put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
        libraries.models.prepare(OTHER)
        big = frames(4000)
        big = type(big)(np.linspace(0, 29, 4000), many.astype(np.float16))
        libraries.of_model(OTHER).put_span("a" * 64, (0.0, 30.0), big, OTHER)
    size = folder_size(tmp_path)
    with ModelLibraries(tmp_path, 1e9) as libraries:
        libraries.forget("other")
    assert folder_size(tmp_path) < size - many.size * 2 * 1.9  # in the store, and in the saved index


def test_the_index_that_answers_stays_when_a_model_of_its_name_is_forgotten(settings):
    older = "other@1:1"  # the files of the model were replaced since
    with ModelLibraries(settings.home, 1e9) as libraries:
        libraries.models.prepare(older)
        libraries.of_model(older).put_span(NAMES[0], (0.0, 30.0), frames(4), older)
        answering = libraries.of_model()
        libraries.forget("other")
        assert libraries.of_model() is answering and len(answering.index) == 8
        assert [model.model_id for model in libraries.models.all()] == [OTHER, MODEL]


def test_the_space_of_a_small_model_waits_for_the_next_vectors(tmp_path):
    with Store(tmp_path) as store:
        store.register(video(duration_seconds=30.0), MODEL)
        store.put_span("a" * 64, (0.0, 30.0), frames(20_000), MODEL)
        models = StoredModels(store.database)
        Store(store.database, models.prepare(OTHER)).put_span("a" * 64, (0.0, 30.0), frames(2_000), OTHER)
        models.forget("other")
        [free] = store.database.row("PRAGMA freelist_count")
        [pages] = store.database.row("PRAGMA page_count")
        assert 0 < free < pages / 4  # to write the whole file anew would cost more than that
        store.database.shrink()
        assert store.database.row("PRAGMA freelist_count") == (free,)


def folder_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_store_of_one_model_keeps_its_format_and_needs_no_copy(tmp_path):
    with Library(tmp_path) as library:
        library.register(video(), MODEL)
        assert library.store.database.version() == 4
    with Library(tmp_path):
        assert not list(tmp_path.glob("*-backup"))
