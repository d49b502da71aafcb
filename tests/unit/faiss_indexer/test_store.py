"""The store: what was put in comes out to the bit, replaced parts are gone, another model is refused."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from clipseek.api.errors import (
    InvalidRequest,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreVersion,
)
from executors.faiss_indexer.store.records import NOT_KNOWN, Frames, VideoRecord, list_shots
from executors.faiss_indexer.store.spans import count_spans, is_planned, missing_spans, plan_spans
from executors.faiss_indexer.store.sqlite import SCHEMA_VERSION
from executors.faiss_indexer.store.store import Store

MODEL = "starter@0123:abcd"


def video(video_id: str = "a" * 64, **changes) -> VideoRecord:
    values = {
        "video_id": video_id,
        "title": "film.mp4",
        "size_bytes": 1000,
        "duration_seconds": 70.5,
        "width": 640,
        "height": 360,
        "fps": 25.0,
        "codec": "h264",
        "container": "mp4",
        "rotation_degrees": 0,
        "has_audio": True,
        "frames_per_second": 1.0,
        "sampling": "even",
    }
    return VideoRecord(**values | changes)


def frames(count: int, seed: int = 0, start: float = 0.0, dimensions: int = 8) -> Frames:
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Frames(start + np.arange(count, dtype=float), vectors.astype(np.float16))


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as made:
        yield made


def test_spans_are_planned_to_the_end_of_the_video():
    assert plan_spans(70.5) == [(0.0, 30.0), (30.0, 60.0), (60.0, 70.5)]
    assert plan_spans(60.0) == [(0.0, 30.0), (30.0, 60.0)]
    assert plan_spans(0.04) == [(0.0, 0.04)]
    assert missing_spans(70.5, {(30.0, 60.0)}) == [(0.0, 30.0), (60.0, 70.5)]
    for duration_seconds in (0.0, 0.04, 29.99, 30.0, 70.5, 90.00001):
        plan = plan_spans(duration_seconds)
        assert count_spans(duration_seconds) == len(plan)
        assert all(is_planned(span, duration_seconds) for span in plan)
        assert not any(
            is_planned(span, duration_seconds) for span in [(0.0, 29.0), (30.0, 60.5), (120.0, 150.0), (5.0, 35.0)]
        )


def test_frames_of_different_lengths_are_refused():
    with pytest.raises(InvalidRequest, match=r"pts_seconds \(3,\) and vectors \(2, 8\)"):
        Frames(np.zeros(3), frames(2).vectors)


def test_a_cut_at_or_after_the_end_of_the_video_begins_no_shot():
    assert list_shots(np.array([0.0, 2.0, 5.0]), 5.0) == [(0.0, 2.0), (2.0, 5.0)]


STORES = Path(__file__).parent / "stores"  # each written by a release of that format: film.mp4 with frames(4)


def old_store(folder: Path, version: int) -> Path:
    return Path(shutil.copy(STORES / f"format{version}.db", folder / "index.db"))


def rows(path: Path, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("version", "shots"), [(1, [(0.0, 70.5)]), *((version, [(0.0, 3.0), (3.0, 70.5)]) for version in (2, 3))]
)
def test_a_store_of_an_earlier_format_keeps_everything_and_is_backed_up(tmp_path, version, shots):
    path = old_store(tmp_path, version)
    before = rows(path, "SELECT * FROM videos"), rows(path, "SELECT * FROM spans")
    for _ in range(2):
        with Store(tmp_path) as store:
            assert store.video("a" * 64) == video(first_seconds=NOT_KNOWN)
            assert (store.revision, store.model_id) == (1, MODEL)
            assert store.span_facts() == (1, {1: ("a" * 64, 4)})
            np.testing.assert_array_equal(store.frames("a" * 64).vectors, frames(4).vectors)
            np.testing.assert_array_equal(store.frames("a" * 64).pts_seconds, frames(4).pts_seconds)
            np.testing.assert_array_equal(store.frames("a" * 64).blank, [False] * 4)
            assert store.shots("a" * 64) == shots
        assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)] == [(4,)]
    backup = tmp_path / f"index.db.format{version}-backup"
    assert rows(backup, "PRAGMA user_version") == [(version,)]
    assert (rows(backup, "SELECT * FROM videos"), rows(backup, "SELECT * FROM spans")) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.db", backup.name]


def test_a_store_of_version_0_1_opens_as_it_is(tmp_path):
    """Version 0.2 has the format of version 0.1: there is nothing to migrate, so no copy is made."""
    path = old_store(tmp_path, 4)
    old = {
        table: ", ".join(row[1] for row in rows(path, f"PRAGMA table_info({table})")) for table in ("spans", "videos")
    }
    before = [rows(path, f"SELECT {names} FROM {table}") for table, names in old.items()]
    meta = dict(rows(path, "SELECT * FROM meta"))
    with Store(tmp_path) as store:
        assert store.video("a" * 64) == video(first_seconds=NOT_KNOWN)
        assert (store.revision, store.model_id) == (1, MODEL)
        assert store.stored_spans("a" * 64) == {(0.0, 30.0): 4}
        np.testing.assert_array_equal(store.frames("a" * 64).vectors, frames(4).vectors)
        np.testing.assert_array_equal(store.frames("a" * 64).pts_seconds, frames(4).pts_seconds)
        assert store.shots("a" * 64) == [(0.0, 3.0), (3.0, 70.5)]
        assert store.fitted_shift(MODEL) == 0.125
    after = [rows(path, f"SELECT {names} FROM {table}") for table, names in old.items()]
    assert after == before
    assert rows(path, "SELECT checksum FROM spans") == [(None,)]
    assert rows(path, "SELECT first_seconds, timecode, timecode_rate FROM videos") == [(NOT_KNOWN, "", "")]
    new_meta = dict(rows(path, "SELECT * FROM meta"))
    assert len(new_meta.pop("store_id")) == 32 and new_meta == meta
    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)] == [(4,)]
    assert [file.name for file in tmp_path.iterdir()] == ["index.db"]


def test_a_store_keeps_its_identity_and_version_0_1_can_still_write_to_it(tmp_path):
    old_store(tmp_path, 4)
    identities = []
    for number in range(2):
        with Store(tmp_path) as store, closing(sqlite3.connect(store.place)) as db:
            identities.append(rows(Path(store.place), "SELECT value FROM meta WHERE key = 'store_id'"))
            db.execute(  # as that version stores a span
                "INSERT INTO spans (video_id, start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, "
                "blank) VALUES (?, ?, 60, 0, '', '', '', '')",
                ("a" * 64, 30 + number),
            )
            db.commit()
    assert identities[0] == identities[1] and identities[0][0][0]
    with Store(tmp_path / "other") as store:
        assert rows(Path(store.place), "SELECT value FROM meta WHERE key = 'store_id'") not in ([], identities[0])
    assert rows(tmp_path / "index.db", "SELECT checksum FROM spans") == [(None,)] * 3


def test_a_restored_backup_is_brought_up_to_date_again(tmp_path):
    old_store(tmp_path, 2)
    with Store(tmp_path) as store:
        store.delete("a" * 64)
    shutil.copy(tmp_path / "index.db.format2-backup", tmp_path / "index.db")
    with Store(tmp_path) as store:
        assert store.frame_count() == 4


def test_a_store_that_cannot_be_backed_up_is_left_as_it_is(tmp_path):
    path = old_store(tmp_path, 1)
    (tmp_path / "index.db.format1-backup").mkdir()
    with pytest.raises(StoreError, match="cannot be backed up before it is updated"):
        Store(tmp_path)
    assert rows(path, "PRAGMA user_version") == [(1,)]


def test_a_newer_store_and_a_file_that_is_none_are_refused(tmp_path):
    with Store(tmp_path) as store:
        path = Path(store.place)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreVersion, match="format 99"):
        Store(tmp_path)
    path.write_bytes(b"this is no database" * 100)
    for extra in tmp_path.glob("index.db-*"):
        extra.unlink()
    with pytest.raises(StoreCorrupt, match="it is not a database"):
        Store(tmp_path)


def test_a_damaged_page_is_named_when_it_is_read(store):
    store.register(video(), MODEL)
    store.put_span("a" * 64, (0.0, 30.0), frames(2000, dimensions=64), MODEL)
    store.close()
    path = Path(store.place)
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * (path.stat().st_size - 2 * 4096))
    with (
        Store(path.parent) as damaged,
        pytest.raises(StoreCorrupt, match="because it is damaged"),
    ):
        damaged.frames("a" * 64)


def test_what_another_program_holds_is_busy_for_writes_and_read_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("executors.faiss_indexer.store.sqlite._WAIT_SECONDS", 0.05)
    with Store(tmp_path) as store, closing(sqlite3.connect(store.place, isolation_level=None)) as other:
        store.register(video(), MODEL)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="another program uses it"):
            store.delete("a" * 64)
        assert store.video("a" * 64) == video()
        other.execute("ROLLBACK")
        store.delete("a" * 64)
        assert store.videos() == []


def test_a_store_that_becomes_read_only_is_still_read(store):
    store.register(video(), MODEL)
    store._database.connection().execute(
        "PRAGMA query_only = ON"
    )  # as SQLite answers where the disk is remounted read-only
    with pytest.raises(StoreReadOnly, match="it is read-only"):
        store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
    assert store.videos() == [video()]


@pytest.fixture
def nobody():
    """Not root, who may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_read_only_store_is_refused_with_the_way_out(nobody):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "home"
        Store(folder).close()
        (folder / "index.db").chmod(0o444)
        folder.chmod(0o555)
        with pytest.raises(StoreReadOnly, match="Make its folder and its disk writable"):
            Store(folder)
        folder.chmod(0o755)


def test_a_full_disk_stores_nothing_half_way_and_leaves_the_store_usable(store):
    store.register(video(), MODEL)
    connection = store._database.connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreFull, match="is full"):
        store.put_span("a" * 64, (0.0, 30.0), frames(2000, dimensions=64), MODEL)
    assert store.frame_count() == 0
    connection.execute("PRAGMA max_page_count = 1000000")
    store.put_span("a" * 64, (0.0, 30.0), frames(2), MODEL)
    assert store.frame_count() == 2


def make_old(store: Store, **changes) -> None:
    """A video as version 0.1 left it: two spans and a half, at one frame a second from the first picture on."""
    store.register(video(first_seconds=NOT_KNOWN, **changes), MODEL)
    for start, end in ((0.0, 30.0), (30.0, 60.0), (60.0, 70.5)):
        count = int(end - start)
        cuts = np.array([start, start + 4.5] if start else [4.5])
        made = frames(count, seed=int(start), start=start)
        blank = np.arange(count) % 3 == 0
        store.put_span("a" * 64, (start, end), Frames(made.pts_seconds, made.vectors, cuts, blank), MODEL)


@pytest.mark.parametrize(("late", "length"), [(0.3, 70.8), (0.83, 71.33), (19.6, 90.1), (45.0, 115.5)])
@pytest.mark.shows("Videos of an old store", "get the times of players; a copy stays")
def test_an_old_video_whose_pictures_come_late_gets_the_times_of_players(tmp_path, late, length):
    with Store(tmp_path) as store:
        make_old(store)
        before, revision = store.frames("a" * 64), store.revision
        for _ in range(2):  # the second time there is nothing to do
            store.register(video(first_seconds=late, duration_seconds=length), MODEL)
            after = store.frames("a" * 64)
            has_gap = late > 0.5  # then nothing is seen before
            assert (after.pts_seconds[0], after.blank[0]) == (0.0, True) or not has_gap
            np.testing.assert_allclose(after.pts_seconds[has_gap:], before.pts_seconds + late)
            np.testing.assert_allclose(after.cut_seconds, [late] * has_gap + [*(before.cut_seconds + late)])
            np.testing.assert_array_equal(after.vectors[has_gap:], before.vectors)
            np.testing.assert_array_equal(after.blank[has_gap:], before.blank)
            stored = store.stored_spans("a" * 64)
            assert missing_spans(length, stored) == []
            for (start, end), count in stored.items():
                assert count == np.count_nonzero((after.pts_seconds >= start) & (after.pts_seconds < end))
        _, changes = store.changes_since(revision)
        assert {change.span_id: change.frames for change in changes if change.frames} == {
            span_id: frames for span_id, (_, frames) in store.span_facts()[1].items()
        }
    assert rows(tmp_path / "index.db.times-backup", "SELECT duration_seconds, first_seconds FROM videos") == [
        (70.5, -1)
    ]
    assert [row[2:] for row in rows(tmp_path / "index.db.times-backup", "SELECT * FROM spans")] != []


def test_what_an_old_video_lacks_stays_missing(tmp_path):
    with Store(tmp_path) as store:
        make_old(store)
        delete = "DELETE FROM spans WHERE start_seconds = ?"
        with store.database.write() as db:
            db.execute(delete, (60.0,))
        store.register(video(first_seconds=0.8, duration_seconds=71.3), MODEL)
        assert missing_spans(71.3, store.stored_spans("a" * 64)) == [(60.0, 71.3)]
        make_old(store)
        with store.database.write() as db:
            db.execute(delete, (0.0,))
        store.register(video(first_seconds=NOT_KNOWN), MODEL)
        store.register(video(first_seconds=0.8, duration_seconds=71.3), MODEL)
        assert store.stored_spans("a" * 64) == {}  # nothing tells from when its times count


def test_a_video_whose_times_are_right_keeps_them(tmp_path):
    """An early version 0.2 counted from the file's zero, and did not note when the first picture comes."""
    with Store(tmp_path) as store:
        store.register(video(first_seconds=NOT_KNOWN), MODEL)
        store.put_span("a" * 64, (0.0, 30.0), frames(4, start=0.8), MODEL)
        store.register(video(first_seconds=0.8), MODEL)
        np.testing.assert_array_equal(store.frames("a" * 64).pts_seconds, frames(4, start=0.8).pts_seconds)
        store.register(video(first_seconds=NOT_KNOWN), MODEL)
        gap = Frames(np.array([0.0, 0.8, 1.8, 2.8]), frames(4).vectors, np.array([0.8]))
        store.put_span("a" * 64, (0.0, 30.0), gap, MODEL)
        store.register(video(first_seconds=0.8), MODEL)
        np.testing.assert_array_equal(store.frames("a" * 64).pts_seconds, gap.pts_seconds)
        store.put_span("a" * 64, (0.0, 30.0), frames(4), MODEL)
        store.register(video(first_seconds=0.9), MODEL)  # known by now, whatever a later FFmpeg measures
        np.testing.assert_array_equal(store.frames("a" * 64).pts_seconds, frames(4).pts_seconds)
