"""Several libraries with one store: each finds at its next search what another has changed, whatever the database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipseek.api.score_scale import ScoreScale
from executors.faiss_indexer.index.vector_index import VectorIndex
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.postgres import PostgresDatabase
from executors.faiss_indexer.store.sqlite import SqliteDatabase
from executors.faiss_indexer.store.store import Store
from tests.postgres import cut_connections
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

DIMENSIONS, SPANS = 8, ((0.0, 30.0), (30.0, 60.0), (60.0, 70.5))
EXACT = 150
Open = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgres"])
def open_database(request, tmp_path) -> Open:
    """Opens one store again and again, as processes do."""
    if request.param == "sqlite":
        return lambda: SqliteDatabase(tmp_path / "index.db")
    url = request.getfixturevalue("postgres")
    return lambda: PostgresDatabase(url, "main")


@pytest.fixture
def libraries(open_database, tmp_path) -> Iterator[list[Library]]:
    with ExitStack() as opened:
        yield [opened.enter_context(Library(tmp_path, EXACT, open_database(), number)) for number in range(2)]


def name_of(number: int) -> str:
    return f"{number:064x}"


def put(library: Library, number: int, span: tuple[float, float] = SPANS[0], seed: int = 0, count: int = 10) -> None:
    library.register(video(name_of(number)), MODEL)
    library.put_span(name_of(number), span, frames(count, seed, span[0], DIMENSIONS), MODEL)


def query(seed: int = 0, vector: np.ndarray | None = None) -> list[Part]:
    if vector is None:
        vector = np.random.default_rng(1000 + seed).normal(size=DIMENSIONS)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return [Part(unit, 1.0, MODEL, scale=ScoreScale(0.0, 1.0))]


def answer(library: Library, parts: list[Part]) -> list[tuple[str, float, float, float]]:
    found = library.search(parts, SearchOptions(all_matches=True, top_k=50))
    matches = [(m.video_id, m.segment.start_seconds, m.segment.end_seconds, round(m.score, 5)) for m in found.matches]
    return [*matches, ("", found.videos_searched, found.frames_searched, 0.0)]


def test_what_one_has_stored_the_other_finds_at_its_next_search(libraries):
    first, second = libraries
    assert answer(second, query()) == [("", 0, 0, 0.0)]
    put(first, 1)
    assert answer(second, query())[0][0] == name_of(1)
    put(second, 1, seed=5)  # in place of it
    vector = frames(10, 5, 0.0, DIMENSIONS).vectors[3].astype(np.float32)
    best = answer(first, query(vector=vector))
    assert best == answer(second, query(vector=vector)) and best[-1] == ("", 1, 10, 0.0)
    second.delete(name_of(1))
    assert answer(first, query()) == [("", 0, 0, 0.0)]


def test_another_model_and_a_calibration_reach_the_other(libraries):
    first, second = libraries
    put(first, 1)
    first.store.keep_fitted_shift(0.125, MODEL)
    second.search(query(), SearchOptions())
    assert second.relevance.fitted_shift == 0.125
    second.delete(name_of(1))
    first.register(video(name_of(2)), "other@1:2")
    first.put_span(name_of(2), SPANS[0], frames(10, 1, 0.0, 2 * DIMENSIONS), "other@1:2")
    vector = np.ones(2 * DIMENSIONS, np.float32) / 4
    assert second.search([Part(vector, 1.0, "other@1:2")], SearchOptions(all_matches=True)).matches
    assert second.relevance.fitted_shift == 0.0 and second.index.dimensions == 2 * DIMENSIONS


def test_one_that_starts_late_or_is_far_behind_is_right(libraries, open_database, tmp_path, monkeypatch):
    monkeypatch.setattr("executors.faiss_indexer.store.store.KEPT_REVISIONS", 3)
    first, second = libraries
    put(first, 9)
    answer(second, query())
    for number in range(8):
        put(first, number)
    first.delete(name_of(9))
    right = answer(first, query())
    assert first.store.changes_since(1)[1] is None
    assert answer(second, query()) == right
    with Library(tmp_path, EXACT, open_database(), 7) as late:
        assert answer(late, query()) == right


def test_a_store_that_was_set_back_is_read_again(libraries):
    """As after a dump was restored below running indexers: the same ids, other frames."""
    first, second = libraries
    put(first, 1, seed=1)
    put(first, 2, seed=2)
    answer(second, query())
    with first.store._database.write() as db:
        db.execute("DELETE FROM changes")
        db.execute("UPDATE meta SET value = '1' WHERE key = 'revision'")
        db.execute("UPDATE spans SET vectors = ?", (frames(10, 3, 0.0, DIMENSIONS).to_blobs()[2],))
    assert answer(second, query()) == answer(first, query())
    vector = frames(10, 3, 0.0, DIMENSIONS).vectors[0].astype(np.float32)
    assert len(dict(second.index.nearest_videos(vector))) == 2
    assert max(dict(second.index.nearest_videos(vector)).values()) > 0.99


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "delete", "rate", "search"]),
        st.integers(0, 1),  # which library
        st.integers(0, 3),  # which video
        st.integers(0, 2),  # which span
        st.integers(0, 30),  # frames, also none: one a second, so that no span reaches into the next one
    ),
    max_size=25,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_any_history_ends_with_equal_answers(libraries, tmp_path, steps):
    for place, (what, who, number, span, count) in enumerate(steps):
        library = libraries[who]
        if what == "put":
            put(library, number, SPANS[span], place, count)
        elif what == "delete":
            library.delete(name_of(number))
        elif what == "rate":
            library.register(video(name_of(number), frames_per_second=1.0 + place % 2), MODEL)
        else:
            library.search(query(place), SearchOptions())
    answers = [[answer(library, query(seed)) for seed in range(3)] for library in libraries]
    assert answers[0] == answers[1]
    frame_count = libraries[0].store.frame_count()
    assert [len(library.index) for library in libraries] == [frame_count] * 2
    fresh = VectorIndex(tmp_path / "fresh", libraries[0].store, EXACT)
    assert fresh.frames_of == libraries[0].index.frames_of == libraries[1].index.frames_of
    fresh.close()
    for number in range(4):
        libraries[0].delete(name_of(number))


def test_searches_while_others_write_find_whole_videos(libraries):
    """A replaced span is there before or after, never both, and never neither."""
    first, second = libraries
    put(first, 1, count=30)
    is_over, errors = threading.Event(), []

    def write() -> None:
        try:
            for seed in range(40):
                put(first, 1, seed=seed, count=30)
                put(first, 2 + seed % 5, seed=seed)
                first.delete(name_of(2 + seed % 5))
        except Exception as error:  # noqa: BLE001 (collected for the assertion)
            errors.append(error)
        finally:
            is_over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not is_over.is_set():
        found = second.search(query(), SearchOptions(all_matches=True))
        assert name_of(1) in {match.video_id for match in found.matches}
    writer.join()
    assert not errors
    assert answer(first, query()) == answer(second, query())


def test_spans_that_nobody_removed_and_are_gone_stop_no_search(libraries):
    """As an operator may delete them."""
    first, second = libraries
    put(first, 1)
    put(first, 2)
    with first.store._database.write() as db:
        db.execute("DELETE FROM spans WHERE video_id = ?", (name_of(2),))
    assert answer(second, query())[-1] == ("", 1, 10, 0.0)


def test_a_replica_reads_its_saved_index_and_no_other_ones(libraries, open_database, tmp_path, caplog):
    first, second = libraries
    for number in range(3):
        put(first, number, seed=number)
    right = answer(second, query())
    for library in libraries:
        library.index.save()
    assert len(list(tmp_path.glob("index-*-*/frames-3.faiss"))) == 2
    caplog.set_level("INFO")
    with Library(tmp_path, EXACT, open_database(), 1) as again:
        assert answer(again, query()) == right
    assert "rebuilt" not in caplog.text


def test_a_search_without_changes_asks_the_store_once(libraries, monkeypatch):
    library = libraries[0]
    put(library, 1)
    asked = []
    for name in ("changes_since", "span_facts", "spans"):
        monkeypatch.setattr(Store, name, lambda *_, name=name: asked.append(name))
    library.follow()
    assert asked == []


def test_following_goes_on_where_it_was_cut_off(postgres, tmp_path):
    with (
        Library(tmp_path, EXACT, PostgresDatabase(postgres, "main"), 0) as first,
        Library(tmp_path, EXACT, PostgresDatabase(postgres, "main"), 1) as second,
    ):
        put(first, 1)
        answer(second, query())
        put(first, 2)
        put(first, 1, seed=4)
        spans = second.store.spans

        def fail(span_ids=None):
            raise OSError("cut off")

        second.store.spans = fail
        with pytest.raises(OSError, match="cut off"):
            answer(second, query())
        second.store.spans = spans
        cut_connections(postgres)
        assert answer(second, query()) == answer(first, query())
