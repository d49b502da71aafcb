"""What every store promises, whatever database holds it: each test runs on SQLite and on PostgreSQL."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from clipseek.api.errors import (
    InvalidRequest,
    ModelMismatch,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnreachable,
    StoreVersion,
    VideoNotFound,
)
from clipseek.api.model_ids import advise_to_index_again, model_name, settings_for
from executors.faiss_indexer.store import postgres as postgres_module
from executors.faiss_indexer.store.postgres import PostgresDatabase, hide_password, list_schemas
from executors.faiss_indexer.store.records import NOT_KNOWN, Frames
from executors.faiss_indexer.store.store import KEPT_REVISIONS, SpanChange, Store
from tests.postgres import cut_connections, execute, open_engine
from tests.unit.faiss_indexer.test_store import MODEL, frames, make_old, video


@pytest.fixture
def store(engine) -> Iterator[Store]:
    with Store(open_engine(engine)) as made:
        yield made


@pytest.fixture
def other(engine, store) -> Iterator[Store]:
    """The same store, opened by another process."""
    with Store(open_engine(engine)) as made:
        yield made


def test_frames_come_out_as_they_went_in_and_in_order_of_time(store):
    store.register(video(), MODEL)
    late, early = frames(3, seed=1, start=30.0), frames(2, seed=2)
    store.put_span("a" * 64, (30.0, 60.0), late, MODEL)
    store.put_span("a" * 64, (0.0, 30.0), early, MODEL)
    stored = store.frames("a" * 64)
    np.testing.assert_array_equal(stored.pts_seconds, [0, 1, 30, 31, 32])
    np.testing.assert_array_equal(stored.vectors, np.concatenate([early.vectors, late.vectors]))
    assert store.stored_spans("a" * 64) == {(0.0, 30.0): 2, (30.0, 60.0): 3}


def test_storing_a_span_again_replaces_it(store):
    store.register(video(), MODEL)
    first, _ = store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    second, replaced = store.put_span("a" * 64, (0.0, 30.0), frames(3, seed=5), MODEL)
    assert replaced == [first] and second != first
    assert store.frame_count() == 3
    np.testing.assert_array_equal(store.frames("a" * 64).vectors, frames(3, seed=5).vectors)


def test_a_span_without_frames_counts_as_stored(store):
    store.register(video(), MODEL)
    store.put_span("a" * 64, (0.0, 30.0), Frames(np.empty(0), np.empty((0, 0), np.float16)), MODEL)
    assert store.stored_spans("a" * 64) == {(0.0, 30.0): 0}
    assert len(store.frames("a" * 64).pts_seconds) == 0


def test_everything_is_there_after_reopening(engine):
    with Store(open_engine(engine)) as store:
        store.register(video(), MODEL)
        store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
        revision = store.revision
    with Store(open_engine(engine)) as store:
        assert store.video("a" * 64) == video()
        assert (store.frame_count(), store.revision, store.model_id) == (4, revision, MODEL)


def test_registering_again_keeps_the_frames_but_another_rate_drops_them(store):
    store.register(video(), MODEL)
    store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    assert store.register(video(title="new title", frames_per_second=0.0), MODEL) == []
    assert store.video("a" * 64).title == "new title"
    assert (store.video("a" * 64).frames_per_second, store.frame_count()) == (1.0, 4)
    assert store.register(video(frames_per_second=2.0), MODEL) == [1]
    assert (store.video("a" * 64).frames_per_second, store.frame_count()) == (2.0, 0)


def test_delete_takes_the_frames_along_and_may_be_repeated(store):
    store.register(video(), MODEL)
    store.register(video("b" * 64), MODEL)
    span, _ = store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    store.put_span("b" * 64, (0.0, 30.0), frames(2), MODEL)
    assert store.delete("a" * 64) == [span]
    assert store.delete("a" * 64) == []
    assert [v.video_id for v in store.videos()] == ["b" * 64]
    assert [v.video_id for v in store.known_videos(["a" * 64, "b" * 64])] == ["b" * 64]
    assert store.frame_count() == 2


def test_a_store_that_was_made_without_timecodes_gets_them(engine):
    with Store(open_engine(engine)) as store:
        store.register(video(), MODEL)
        with store.database.write() as db:
            for name in ("first_seconds", "timecode", "timecode_rate"):
                db.execute(f"ALTER TABLE videos DROP COLUMN {name}")
    clock = {"timecode": "10:00:00;00", "timecode_rate": "30000/1001", "first_seconds": 0.5}
    for _ in range(2):
        with Store(open_engine(engine)) as store:
            assert store.video("a" * 64) == video(first_seconds=NOT_KNOWN)
    with Store(open_engine(engine)) as store:
        store.register(video(**clock), MODEL)
        assert store.video("a" * 64) == video(**clock)


def test_an_old_video_whose_pictures_come_late_is_corrected(store, other):
    make_old(store)
    before = store.frames("a" * 64)
    for each in (store, other):  # the second one sees that it is done
        each.register(video(first_seconds=0.83, duration_seconds=71.33), MODEL)
        np.testing.assert_allclose(each.frames("a" * 64).pts_seconds, [0.0, *(before.pts_seconds + 0.83)])


def test_another_model_is_refused_while_frames_are_stored(store):
    store.register(video(), MODEL)
    store.register(video(), "english@ff:00")  # no frames yet: the store changes over
    store.put_span("a" * 64, (0.0, 30.0), frames(1), "english@ff:00")
    for refused in (lambda: store.register(video(), MODEL), lambda: store.check_model(MODEL)):
        with pytest.raises(ModelMismatch, match=r"CLIPSEEK_MODEL=english, or give"):
            refused()
    with pytest.raises(ModelMismatch):
        store.put_span("a" * 64, (30.0, 60.0), frames(1), MODEL)
    with pytest.raises(ModelMismatch, match=r"CLIPSEEK_MODEL=english and CLIPSEEK_ENGINE=auto, or give"):
        store.check_model("english@ff:00+int8-aa")
    assert store.stored_spans("a" * 64) == {(0.0, 30.0): 1}
    assert settings_for("english@ff:00+int8-aa", MODEL) == "CLIPSEEK_MODEL=english and CLIPSEEK_ENGINE=int8"
    assert model_name("local-dir:/models/a@b@0123:abcd") == "local-dir:/models/a@b"


def test_a_store_of_an_earlier_version_of_the_model_says_to_index_again(store):
    store.register(video(), MODEL)
    store.put_span("a" * 64, (0.0, 30.0), frames(1), MODEL)
    with pytest.raises(ModelMismatch) as refusal:
        store.check_model("starter@4567:abcd")
    assert "The model 'starter' has changed since it filled the store." in str(refusal.value)
    assert "Set CLIPSEEK_HOME to an empty folder and index the videos again." in str(refusal.value)
    assert "CLIPSEEK_MODEL=" not in str(refusal.value)  # no setting brings the earlier one back
    for stored, loaded in (("", MODEL), ("english@ff:00", MODEL), (MODEL, MODEL + "+int8-aa")):
        assert advise_to_index_again(stored, loaded) == ""


def test_unknown_videos_are_named(store):
    with pytest.raises(VideoNotFound, match="no video 'nope'"):
        store.video("nope")
    with pytest.raises(VideoNotFound, match="was deleted"):
        store.put_span("nope", (0.0, 1.0), frames(1), MODEL)


def with_cuts(count: int, cuts: list[float], start: float = 0.0) -> Frames:
    made = frames(count, start=start)
    return Frames(made.pts_seconds, made.vectors, np.array(cuts))


def test_shots_come_from_the_cuts_of_all_spans_in_order_of_time(store):
    store.register(video(), MODEL)
    assert store.shots("a" * 64) == [(0.0, 70.5)]
    store.put_span("a" * 64, (30.0, 60.0), with_cuts(0, [30.0, 41.52]), MODEL)
    store.put_span("a" * 64, (0.0, 30.0), with_cuts(2, [7.04]), MODEL)
    assert store.shots("a" * 64) == [(0.0, 7.04), (7.04, 30.0), (30.0, 41.52), (41.52, 70.5)]
    assert store.frames("a" * 64).cut_seconds.tolist() == [7.04, 30.0, 41.52]
    [span] = store.spans()
    assert span.frames.cut_seconds.tolist() == [7.04]
    store.put_span("a" * 64, (30.0, 60.0), with_cuts(3, [50.0], start=30.0), MODEL)
    assert store.shots("a" * 64) == [(0.0, 7.04), (7.04, 50.0), (50.0, 70.5)]
    with pytest.raises(VideoNotFound):
        store.shots("nope")


def test_blank_frames_stay_known_as_such(store):
    store.register(video(), MODEL)
    plain = frames(2, start=30.0)
    some = frames(3)
    blank = Frames(some.pts_seconds, some.vectors, blank=np.array([False, True, False]))
    store.put_span("a" * 64, (30.0, 60.0), plain, MODEL)
    store.put_span("a" * 64, (0.0, 30.0), blank, MODEL)
    np.testing.assert_array_equal(store.frames("a" * 64).blank, [False, True, False, False, False])
    with pytest.raises(InvalidRequest, match=r"pts_seconds \(3,\) and blank \(2,\)"):
        Frames(some.pts_seconds, some.vectors, blank=np.array([True, False]))


def test_another_way_of_sampling_drops_the_frames_and_none_keeps_them(store):
    assert store.register(video(sampling=""), MODEL) == []
    assert store.video("a" * 64).sampling == "even"
    store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    assert store.register(video(sampling="adaptive"), MODEL) == [1]
    assert (store.video("a" * 64).sampling, store.frame_count()) == ("adaptive", 0)
    store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    for again in ("", "adaptive"):
        assert store.register(video(sampling=again, frames_per_second=0.0), MODEL) == []
    assert (store.video("a" * 64).sampling, store.frame_count()) == ("adaptive", 4)
    with pytest.raises(InvalidRequest, match="sampling is 'odd', but must be one of even, adaptive, keyframes"):
        store.register(video(sampling="odd"), MODEL)


def test_videos_keep_the_order_they_were_added_in_when_the_clock_is_set_back(store, monkeypatch):
    for number, clock in enumerate((2e9, 1e9, 0.0)):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        store.register(video(f"{9 - number}" * 64, title=f"{9 - number}.mp4"), MODEL)
    store.register(video("9" * 64, title="first.mp4"), MODEL)
    assert [each.title for each in store.videos()] == ["first.mp4", "8.mp4", "7.mp4"]


def test_a_video_is_added_at_the_present_time_and_keeps_it(store):
    before = time.time()
    store.register(video(), MODEL)
    added_at = store.added_at("a" * 64)
    assert before <= added_at <= time.time()
    store.register(video(title="renamed.mp4"), MODEL)
    assert store.added_at("a" * 64) == added_at
    assert store.added_at("b" * 64) == 0.0


def test_threads_may_write_and_read_at_once(store):
    store.register(video(duration_seconds=3000.0), MODEL)
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            for index in range(number, 40, 4):
                store.put_span("a" * 64, (index * 30.0, index * 30.0 + 30.0), frames(5, seed=index), MODEL)
                store.frames("a" * 64)
        except Exception as error:  # noqa: BLE001 (collected for the assertion)
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert store.frame_count() == 200


# Several processes


def test_one_sees_at_once_what_another_has_stored(store, other):
    store.register(video(), MODEL)
    span_id, _ = store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    assert other.videos() == [video()]
    assert other.span_facts() == (1, {span_id: ("a" * 64, 4)}) == store.span_facts()
    other.keep_fitted_shift(0.25, MODEL)
    assert store.state().fitted_shift == 0.25
    assert store.store_id == other.store_id != ""


def test_two_writers_at_once_store_each_span_exactly_once(engine, store):
    """Each writes all spans, as a client that sends again what was not acknowledged."""
    store.register(video(duration_seconds=600.0), MODEL)
    errors: list[Exception] = []

    def write() -> None:
        try:
            with Store(open_engine(engine)) as own:
                for start in range(0, 600, 30):
                    own.put_span("a" * 64, (start, start + 30.0), frames(5, seed=start), MODEL)
        except Exception as error:  # noqa: BLE001 (collected for the assertion)
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert store.stored_spans("a" * 64) == {(float(start), start + 30.0): 5 for start in range(0, 600, 30)}
    revision, changes = store.changes_since(0)
    assert revision == 60 and follow(changes) == set(store.span_facts()[1])


def follow(changes: list[SpanChange] | None, spans: set[int] | None = None) -> set[int]:
    """What an index has after these changes."""
    assert changes is not None
    spans = set() if spans is None else spans
    for change in changes:
        if change.frames:
            spans.add(change.span_id)
        else:
            spans.discard(change.span_id)
    return spans


def test_changes_tell_what_has_come_and_gone_since_a_revision(store):
    assert store.changes_since(0) == (0, [])
    store.register(video(), MODEL)
    first, _ = store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    second, _ = store.put_span("a" * 64, (0.0, 30.0), frames(3), MODEL)
    assert store.changes_since(1) == (
        2,
        [SpanChange(first, "a" * 64, 0), SpanChange(second, "a" * 64, 3)],
    )
    assert store.register(video(frames_per_second=2.0), MODEL) == [second]
    assert store.changes_since(2) == (3, [SpanChange(second, "a" * 64, 0)])
    store.delete("a" * 64)  # has no spans any more: nothing to follow
    assert store.changes_since(3) == (3, [])


def test_changes_that_nobody_noted_are_not_guessed(store, monkeypatch):
    store.register(video(), MODEL)
    for _ in range(4):
        store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    with store._database.write() as db:  # as version 0.1 does
        db.execute("UPDATE meta SET value = CAST(value AS BIGINT) + 1 WHERE key = 'revision'")
    assert store.changes_since(0) == (5, None)
    assert store.changes_since(9) == (5, None)  # the store is an earlier one, restored
    monkeypatch.setattr("executors.faiss_indexer.store.store.KEPT_REVISIONS", 2)
    store.put_span("a" * 64, (30.0, 60.0), frames(4), MODEL)
    assert store.changes_since(5)[0] == 6
    [(count,)] = store._database.rows("SELECT COUNT(*) FROM changes")
    assert count == 1 and KEPT_REVISIONS > 1000


def die_in_a_transaction(engine: tuple[str, str]) -> None:
    store = Store(open_engine(engine))
    with store._database.write() as db:
        db.execute("DELETE FROM spans")
        db.execute("UPDATE videos SET title = 'half'")
        os._exit(9)


def test_a_writer_that_dies_in_a_transaction_leaves_no_trace_and_no_lock(engine, store):
    store.register(video(), MODEL)
    store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    process = multiprocessing.get_context("spawn").Process(target=die_in_a_transaction, args=(engine,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert (store.video("a" * 64), store.frame_count(), store.revision) == (video(), 4, 1)
    store.put_span("a" * 64, (30.0, 60.0), frames(2), MODEL)
    assert store.frame_count() == 6


def test_a_failed_write_stores_nothing(store):
    store.register(video(), MODEL)
    with pytest.raises(ZeroDivisionError), store._database.write() as db:
        db.execute("DELETE FROM videos")
        raise ZeroDivisionError
    with pytest.raises(StoreError, match="stored nothing"), store._database.write() as db:
        db.execute("DELETE FROM videos")
        db.execute("INSERT INTO meta VALUES ('revision', '7')")
    assert store.videos() == [video()]


def test_a_snapshot_stays_the_same_whatever_is_written(store, other):
    store.register(video(), MODEL)
    with store._database.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM videos").fetchone() == (1,)
        other.register(video("b" * 64), MODEL)
        assert [row[0] for row in db.rows("SELECT title FROM videos WHERE title <> ?", ("",))] == ["film.mp4"]
    assert len(store.videos()) == 2


def test_rows_may_be_left_unread_and_texts_hold_any_sign(store):
    titles = ["100 % ? :x 'quoted' \\", "映画 🎬", "%s"]
    for number, title in enumerate(titles):
        store.register(video(f"{number}" * 64, title=title), MODEL)
    for _ in range(20):  # more often than there are connections
        rows = store._database.rows("SELECT title FROM videos ORDER BY rowid")
        assert next(rows) == (titles[0],)
    del rows
    assert [each.title for each in store.videos()] == titles
    assert [each.title for each in store.known_videos(["2" * 64, "0" * 64])] == [titles[2], titles[0]]
    assert store.known_videos([]) == []


# PostgreSQL only


def test_a_connection_that_was_cut_between_calls_is_replaced(postgres):
    with Store(PostgresDatabase(postgres, "main")) as store:
        store.register(video(), MODEL)
        for start in (0.0, 30.0):
            assert cut_connections(postgres) >= 1
            store.put_span("a" * 64, (start, start + 30.0), frames(4), MODEL)
            assert cut_connections(postgres) >= 1
            assert store.revision == 1 + start / 30
        assert store.stored_spans("a" * 64) == {(0.0, 30.0): 4, (30.0, 60.0): 4}


def test_a_connection_that_is_cut_in_a_transaction_says_so_and_stores_nothing(postgres):
    with Store(PostgresDatabase(postgres, "main")) as store:
        store.register(video(), MODEL)
        with pytest.raises(StoreUnreachable, match="Try again"), store._database.write() as db:
            db.execute("DELETE FROM videos")
            cut_connections(postgres)
            db.execute("DELETE FROM spans")
        assert store.videos() == [video()]


def test_libraries_are_schemas_and_apart(postgres):
    with Store(PostgresDatabase(postgres, "main")) as main, Store(PostgresDatabase(postgres, "a-b")) as second:
        main.register(video(), MODEL)
        second.register(video("b" * 64), MODEL)
        assert [each.video_id[0] for store in (main, second) for each in store.videos()] == ["a", "b"]
        assert main.store_id != second.store_id
    execute(postgres, 'CREATE SCHEMA "other"')
    assert list_schemas(postgres) == ["a-b", "main"]


def test_many_processes_may_make_a_store_at_once(postgres):
    stores, errors = [], []

    def make() -> None:
        try:
            stores.append(Store(PostgresDatabase(postgres, "main")))
        except Exception as error:  # noqa: BLE001 (collected for the assertion)
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len({store.store_id for store in stores}) == 1
    for store in stores:
        store.close()


def test_a_server_that_is_away_is_named_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_module, "_CONNECT_SECONDS", 1.0)
    url = f"postgresql://me:secret@/videos?host={tmp_path}&password=secret"
    with pytest.raises(StoreUnreachable) as refusal:
        Store(PostgresDatabase(url, "main", "secret"))
    assert "secret" not in str(refusal.value)
    assert "there is no connection" in str(refusal.value) and "Start the server" in str(refusal.value)
    assert hide_password("postgresql://a:b@c:1/d?sslmode=require&password=x&e=f") == (
        "postgresql://a@c:1/d?sslmode=require&password=...&e=f"
    )
    secrets = "postgresql://c/d?sslpassword=x&sslkey=k.pem&oauth_client_secret=y"
    assert hide_password(secrets) == "postgresql://c/d?sslpassword=...&sslkey=k.pem&oauth_client_secret=..."


def test_a_server_that_was_away_is_found_again(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_module, "_CONNECT_SECONDS", 2.0)
    real, sockets = Path(postgres.partition("?host=")[2]), tmp_path / "sockets"
    if not real.is_dir():
        pytest.skip("the server listens on no socket that a test could take away")
    with Store(PostgresDatabase(postgres, "main")) as store:
        store.register(video(), MODEL)
    sockets.symlink_to(real)
    with Store(PostgresDatabase(postgres.replace(str(real), str(sockets)), "main")) as store:
        for _ in range(2):
            sockets.unlink()
            cut_connections(postgres)
            for _ in range(3):
                with pytest.raises(StoreUnreachable, match="Then the indexer connects by itself"):
                    store.videos()
            sockets.symlink_to(real)
            assert store.videos() == [video()]


def test_a_missing_database_a_wrong_user_and_a_newer_format_are_named(postgres):
    missing = postgres.replace("/clipseek_", "/no_")
    with pytest.raises(StoreUnreachable, match=r'there is no connection .*"no_'):
        Store(PostgresDatabase(missing, "main"))
    Store(PostgresDatabase(postgres, "main")).close()
    execute(postgres, "UPDATE clipseek_main.meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(StoreVersion, match="format 99"):
        Store(PostgresDatabase(postgres, "main"))


def test_a_server_that_only_reads_and_a_user_without_rights_are_named(postgres):
    with Store(PostgresDatabase(postgres, "main")) as store:
        store.register(video(), MODEL)
    execute(
        postgres,
        "ALTER DATABASE " + postgres.split("/")[3].partition("?")[0] + " SET default_transaction_read_only = on",
    )
    with Store(PostgresDatabase(postgres, "main")) as store:
        assert store.videos() == [video()]
        with pytest.raises(StoreReadOnly, match="Name the primary server in CLIPSEEK_STORE"):
            store.delete("a" * 64)


def test_a_lock_that_is_held_for_too_long_is_busy(postgres, monkeypatch):
    monkeypatch.setattr(postgres_module, "_SESSION", "SET lock_timeout = '100ms';")
    with Store(PostgresDatabase(postgres, "main")) as store, psycopg.connect(postgres) as holder:
        store.register(video(), MODEL)
        holder.execute("SELECT 1 FROM clipseek_main.meta FOR UPDATE")
        with pytest.raises(StoreBusy, match="another process writes"):
            store.delete("a" * 64)
        assert store.videos() == [video()]


def test_a_full_disk_has_the_stores_own_error():
    class Full(psycopg.errors.DiskFull):
        pass

    database = PostgresDatabase("postgresql://127.0.0.1:1/x", "main")
    assert isinstance(database._translate(Full("no space left"), "stored nothing"), StoreFull)
    database.close()


def test_a_text_that_postgresql_cannot_hold_is_refused(postgres):
    with Store(PostgresDatabase(postgres, "main")) as store:
        with pytest.raises(InvalidRequest, match="cannot hold this"):
            store.register(video(title="a\0b"), MODEL)
        store.register(video(), MODEL)


def test_all_videos_are_listed_with_a_fixed_number_of_queries(store, monkeypatch):
    for name in "abc":
        store.register(video(name * 64), MODEL)
        store.put_span(name * 64, (0.0, 30.0), frames(ord(name) - 96), MODEL)
    store.put_span("b" * 64, (30.0, 60.0), frames(5), MODEL)
    asked = []
    rows = store.database.rows
    monkeypatch.setattr(store.database, "rows", lambda *question: asked.append(question) or rows(*question))
    listed = store.stored_videos()
    assert [(each.record, each.added_at) for each in listed] == [
        (store.video(name * 64), store.added_at(name * 64)) for name in "abc"
    ]
    assert [sum(each.spans.values()) for each in listed] == [1, 7, 3]
    asked.clear()
    assert listed == store.stored_videos() and len(asked) == 2
    assert store.stored_videos("b" * 64) == listed[1:2]
    with pytest.raises(VideoNotFound):
        store.stored_videos("d" * 64)
