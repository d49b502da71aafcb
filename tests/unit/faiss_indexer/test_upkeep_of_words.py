"""Copies, checks, repairs and backups of a store with words."""

import sqlite3
from contextlib import closing

import pytest

from clipseek.api.limits import SCREEN
from clipseek.config.settings import Settings
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.store.check import check_store, repair_store
from executors.faiss_indexer.store.copying import copy_stores
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.models import StoredModels
from executors.faiss_indexer.store.postgres import PostgresDatabase
from executors.faiss_indexer.store.sqlite import SqliteDatabase
from executors.faiss_indexer.words.cue_store import CueStore
from tests.unit.faiss_indexer.test_store import MODEL, frames, video
from tests.unit.faiss_indexer.test_words import OTHER, TALK, VIDEO, put


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Two videos with words, one of them with a correction."""
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    with Library(settings.home) as library:
        for name in (OTHER, VIDEO):
            library.register(video(name, duration_seconds=100.0), MODEL)
            library.put_span(name, (0.0, 30.0), frames(4), MODEL)
        put(library.words.store)
        put(library.words.store, TALK[:2], OTHER)
        library.words.store.correct(VIDEO, library.words.store.transcript(VIDEO)[0].cue_id, "Another name.")
        library.words.store.wish(OTHER, language="zh")
    return settings


def everything(database: Database) -> list:
    store = CueStore(database)
    found = [
        [(c.start_seconds, c.text, c.edited, c.language) for c in store.transcript(name)] for name in (VIDEO, OTHER)
    ]
    terms = [len(store.with_terms([term], 9)) for term in ("telescop", "房地", "4711")]
    database.close()
    return [*found, terms, store_facts(found)]


def store_facts(found: list) -> list[int]:
    return [len(lines) for lines in found]


def faults(findings) -> list[str]:
    return [f"{finding.what}: {finding.found}" for finding in findings if finding.state != "ok"]


def test_a_copy_has_all_words_and_what_finds_them(settings, tmp_path, postgres):
    before = everything(SqliteDatabase(settings.home / "index.db"))
    assert before[3] == [len(TALK), 2] and before[0][0][1:3] == ("Another name.", True)
    copy_stores(str(settings.home), postgres)
    assert everything(PostgresDatabase(postgres, "main")) == before
    copy_stores(postgres, str(tmp_path / "back"))
    back = SqliteDatabase(tmp_path / "back" / "index.db")
    assert CueStore(back).facts(OTHER)[OTHER].language == "zh"
    assert everything(back) == before
    with Library(tmp_path / "back") as library:
        assert len(library.words.index) > len(TALK) + 2  # long lines have several vectors


def test_a_copy_follows_corrections_wishes_and_lines_in_any_order(settings, tmp_path, postgres):
    with Library(settings.home) as library:
        put(library.words.store, [(1.0, 2.0, text, SCREEN, "en") for text in ("Banana", "apple", "Äpfel")], OTHER)
    copy_stores(str(settings.home), postgres)
    with Library(settings.home) as library:
        first = library.words.store.transcript(VIDEO)[1]
        library.words.store.correct(VIDEO, first.cue_id, "Corrected after the first copy.")
        library.words.store.wish(OTHER, language="de")
    assert [copied.copied_videos for copied in copy_stores(str(settings.home), postgres)] == [2]
    copy = PostgresDatabase(postgres, "main")
    assert CueStore(copy).facts(OTHER)[OTHER].language == "de"
    assert everything(copy) == everything(SqliteDatabase(settings.home / "index.db"))


def test_a_sound_store_with_words_has_no_faults(settings):
    assert [line for line in faults(check_store(settings, "main")) if not line.startswith("complete")] == []


def test_a_span_that_lost_a_line_is_found_and_removed(settings):
    with closing(sqlite3.connect(settings.home / "index.db")) as db:
        db.execute("DELETE FROM cues WHERE text = 'Another name.'")
        db.commit()
    assert any("vectors, but its lines have" in line for line in faults(check_store(settings, "main")))
    assert any("words" in finding.found for finding in repair_store(settings, "main"))
    assert [line for line in faults(check_store(settings, "main")) if not line.startswith("complete")] == []
    with Library(settings.home) as library:
        assert library.words.store.transcript(VIDEO) == [] and len(library.words.store.transcript(OTHER)) == 2


def test_words_are_no_model_of_pictures(settings):
    database = SqliteDatabase(settings.home / "index.db")
    assert [model.model_id for model in StoredModels(database).all()] == [MODEL]
    database.close()
