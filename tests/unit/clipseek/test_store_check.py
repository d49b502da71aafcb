"""`clipseek doctor --check` and `--repair` on real stores: a sound one is told to be, every fault is found."""

import hashlib
import json
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock

from clipseek.api.errors import StoreError
from clipseek.cli.main import main
from clipseek.config.settings import Settings
from clipseek.upkeep.doctor import check_store, repair_store
from clipseek.upkeep.finding import Finding
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.store.check import check_store as check_database
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.video_loader.media.media_files import MediaFiles

MODEL = "tiny@01"
VIDEO = b"the bytes of a video" * 100
ID = hashlib.sha256(VIDEO).hexdigest()
DAY = 24 * 3600


def frames(count: int, start: float = 0.0) -> Frames:
    vectors = np.random.default_rng(count).normal(size=(count, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Frames(start + np.arange(count, dtype=float), vectors.astype(np.float16), np.array([start + 1.5]))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


def make_settings(tmp_path: Path) -> Settings:
    """A store with one video of two spans, complete, as a server that was stopped leaves it."""
    file = tmp_path / "holiday.mp4"
    file.write_bytes(VIDEO)
    media = MediaFiles(tmp_path / "home" / "media", (), 500)
    media.add_file(file)
    media.accept(ID)
    video = VideoRecord(ID, "holiday.mp4", len(VIDEO), 40.0, 64, 48, 25.0, "h264", "mp4", 0, False, 1.0, "even")
    with Library(tmp_path / "home") as library:
        library.register(video, MODEL)
        library.put_span(ID, (0.0, 30.0), frames(30), MODEL)
        library.put_span(ID, (30.0, 40.0), frames(10, 30.0), MODEL)
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


def faults(checks: list[Finding]) -> dict[str, str]:
    return {check.what: check.found for check in checks if check.state != "ok"}


def change(settings: Settings, statement: str, *values: object) -> None:
    with sqlite3.connect(settings.home / "index.db") as db:
        assert db.execute(statement, values).rowcount == 1
    db.close()


def test_a_sound_store_is_told_to_be_sound(settings):
    checks = check_store(settings)
    assert faults(checks) == {}
    found = {check.what: check.found for check in checks}
    assert found["spans"] == "2 with 40 frames, unit vectors"
    assert found["videos"] == "1 whose content matches the name"
    assert found["index cache"] == "frames-2.faiss"


def test_a_store_in_use_is_read_and_not_repaired(settings):
    with Library(settings.home), FileLock(settings.home / "server.lock"):
        assert faults(check_store(settings)) == {}
        with pytest.raises(StoreError, match="in use by a server"):
            repair_store(settings)


@pytest.mark.parametrize(
    ("statement", "value", "found"),
    [
        ("UPDATE spans SET vectors = ? WHERE start_seconds = 30", np.ones((10, 8), np.float16).tobytes(), "lengths"),
        ("UPDATE spans SET vectors = ? WHERE start_seconds = 30", b"\x00" * 16, "16 of vectors"),
        ("UPDATE spans SET pts_seconds = ? WHERE start_seconds = 30", np.full(10, 35.0).tobytes(), "do not ascend"),
        ("UPDATE spans SET pts_seconds = ? WHERE start_seconds = 30", np.arange(10.0).tobytes(), "lie outside it"),
        ("UPDATE spans SET start_seconds = ? WHERE start_seconds = 30", 29.0, "overlaps another span"),
        ("UPDATE spans SET end_seconds = ? WHERE start_seconds = 30", 99.0, "outside its video"),
        ("UPDATE spans SET video_id = ? WHERE start_seconds = 30", "f" * 64, "its video is unknown"),
    ],
)
def test_a_span_that_breaks_a_rule_is_found_and_dropped(settings, statement, value, found):
    change(settings, statement, value)
    assert found in faults(check_store(settings))["spans"]
    checks = repair_store(settings)
    assert "dropped 1 wrong spans" in checks[0].found
    assert set(faults(checks)) == {"complete"}  # the span is missing, to be indexed again
    with Library(settings.home) as library:
        assert library.store.stored_spans(ID) == {(0.0, 30.0): 30}


SPAN_FAULT = f"'holiday.mp4' ({ID[:12]}) [30, 40): is not as it was stored: its checksum is wrong"


def change_span(home: Path, column: str = "vectors", place: int = 7) -> None:
    """Change one bit of the span [30, 40): in a vector the sign of a number, in a time the last one."""
    with sqlite3.connect(home / "index.db") as db:
        [blob] = db.execute(f"SELECT {column} FROM spans WHERE start_seconds = 30").fetchone()
        wrong = blob[:place] + bytes([blob[place] ^ (0x80 if column == "vectors" else 1)]) + blob[place + 1 :]
        db.execute(f"UPDATE spans SET {column} = ? WHERE start_seconds = 30", (wrong,))
    db.close()


@pytest.mark.parametrize(
    ("column", "place"), [("vectors", 7), ("vectors", 101), ("pts_seconds", 16), ("cut_seconds", 0), ("blank", 3)]
)
def test_any_changed_bit_of_a_span_is_found_and_the_span_dropped(settings, column, place):
    """The sign of a number changes nothing about a vector's length, nor the last bit of a time about its order."""
    change_span(settings.home, column, place)
    [finding] = [check for check in check_store(settings) if check.what == "spans"]
    assert finding.state == "error"
    assert finding.found == SPAN_FAULT
    assert "clipseek doctor --repair" in finding.fix and "clipseek index FILE" in finding.fix
    assert "dropped 1 wrong spans" in repair_store(settings)[0].found
    with Library(settings.home) as library:
        library.put_span(ID, (30.0, 40.0), frames(10, 30.0), MODEL)
    assert faults(check_store(settings)) == {}


def test_a_damaged_duration_is_found_at_once(settings):
    change(settings, "UPDATE videos SET duration_seconds = 1e15")
    assert "2 spans" not in faults(check_store(settings))["complete"]
    change(settings, "UPDATE videos SET duration_seconds = 9e999")
    assert "inf s is no duration of a video" in faults(check_store(settings))["database"]


def test_whatever_bit_of_the_database_is_wrong_no_span_changes_unnoticed(settings, tmp_path):
    whole = (settings.home / "index.db").read_bytes()
    copy = tmp_path / "copy"
    copy.mkdir()
    used = [place for place in range(len(whole)) if whole[place]]  # the rest is free space
    random = np.random.default_rng(0)
    for place in sorted(random.choice(used, 300, replace=False).tolist()):
        bit = 1 << int(random.integers(8))
        (copy / "index.db").write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        if not any(finding.state == "error" for finding in check_database(replace(settings, home=copy), "main")):
            assert read_spans(copy) == read_spans(settings.home), (place, bit)


def read_spans(home: Path) -> list[tuple[object, ...]]:
    names = "video_id, start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, blank"
    with closing(sqlite3.connect(home / "index.db")) as db:
        return db.execute(f"SELECT {names} FROM spans ORDER BY start_seconds").fetchall()


def as_version_0_1(settings: Settings) -> None:
    """Take from the store what that version does not write."""
    with sqlite3.connect(settings.home / "index.db") as db:
        db.execute("ALTER TABLE spans DROP COLUMN checksum")
        db.execute("DELETE FROM meta WHERE key = 'store_id'")
    db.close()


def test_spans_of_an_earlier_version_are_read_and_get_a_checksum_when_repaired(settings):
    as_version_0_1(settings)
    expected = {"checksums": "2 of 2 spans have none: an earlier ClipSeek stored them"}
    assert faults(check_store(settings)) == expected
    with Library(settings.home) as library:  # a start of this version
        assert library.store.frames(ID).vectors.tobytes() == b"".join(
            part.vectors.tobytes() for part in (frames(30), frames(10, 30.0))
        )
    assert faults(check_store(settings)) == expected
    checks = repair_store(settings)
    assert checks[0].found == "gave 2 spans a checksum" and faults(checks) == {}
    change(settings, "UPDATE spans SET cut_seconds = ? WHERE start_seconds = 30", np.array([31.0]).tobytes())
    assert set(faults(check_store(settings))) == {"spans"}


def test_an_untouched_store_of_an_earlier_version_is_repaired_as_it_is(settings):
    as_version_0_1(settings)
    assert faults(repair_store(settings)) == {}


@pytest.mark.parametrize("damage", ["torn", "another store's", "other vectors"])
def test_an_index_cache_that_does_not_fit_is_found_and_dropped(settings, damage):
    [file] = (settings.home / "index").glob("frames-*.faiss")
    if damage == "torn":
        os.truncate(file, file.stat().st_size // 2)
    elif damage == "other vectors":
        data = bytearray(file.read_bytes())
        data[200] ^= 0x40
        file.write_bytes(data)
    else:
        with Library(settings.home.with_name("other")) as other:
            video = VideoRecord(ID, "other.mp4", 1, 40.0, 64, 48, 25.0, "h264", "mp4", 0, False, 1.0, "even")
            other.register(video, MODEL)
            other.put_span(ID, (0.0, 30.0), frames(25), MODEL)
            other.put_span(ID, (30.0, 40.0), frames(15, 30.0), MODEL)
        [taken] = (settings.home.with_name("other") / "index").glob("frames-*.faiss")
        file.write_bytes(taken.read_bytes())
    assert faults(check_store(settings)) == {"index cache": "frames-2.faiss does not fit the store"}
    checks = repair_store(settings)
    assert checks[0].found == "dropped frames-2.faiss; the next start rebuilds it from the store"
    assert faults(checks) == {}


def test_a_stale_index_cache_is_no_fault(settings):
    [file] = (settings.home / "index").glob("frames-*.faiss")
    file.rename(file.with_name("frames-1.faiss"))
    checks = check_store(settings)
    assert faults(checks) == {}
    assert "older than the store" in {check.what: check.found for check in checks}["index cache"]


def test_a_video_whose_content_changed_is_found_and_never_deleted(settings):
    video = settings.home / "media" / f"{ID}.film.mp4"
    video.write_bytes(VIDEO[:-1] + b"?")
    assert set(faults(check_store(settings))) == {"videos"}
    assert set(faults(repair_store(settings))) == {"videos"}
    assert video.exists()


@pytest.mark.parametrize("damage", ["gone", "torn", "of another video"])
def test_the_record_of_a_video_is_written_anew(settings, damage):
    record = settings.home / "media" / f"{ID}.json"
    before = json.loads(record.read_text())
    if damage == "gone":
        record.unlink()
    elif damage == "torn":
        record.write_text('{"video_id": "')
    else:
        record.write_text(json.dumps(before | {"video_id": "f" * 64}))
    assert set(faults(check_store(settings))) == {"records of videos"}
    checks = repair_store(settings)
    assert "wrote the record of 'holiday.mp4'" in checks[0].found
    assert faults(checks) == {}
    assert json.loads(record.read_text()) == before


def test_a_video_without_a_video_and_a_video_without_a_video(settings, tmp_path):
    MediaFiles(settings.home / "media", (), 500).delete(ID)
    (tmp_path / "new.mp4").write_bytes(b"new")
    MediaFiles(settings.home / "media", (), 500).add_file(tmp_path / "new.mp4")
    found = faults(check_store(settings))
    assert found == {
        "videos without a file": f"'holiday.mp4' ({ID[:12]})",
        "files without a video": hashlib.sha256(b"new").hexdigest()[:12],
    }


def test_uploads_under_way_are_fine_and_old_leftovers_go(settings):
    media = MediaFiles(settings.home / "media", (), 500)
    media.write_chunk("a" * 64, "half.mp4", 1500, 0, b"x" * 500)
    assert faults(check_store(settings)) == {}
    old = time.time() - 2 * DAY
    for file in media.root.glob("a*"):
        os.utime(file, (old, old))
    assert set(faults(check_store(settings))) == {"leftovers"}
    assert faults(repair_store(settings)) == {}
    assert sorted(file.name[:2] for file in media.root.iterdir()) == [ID[:2]] * 2


def test_a_video_used_where_it_lies_is_missed_when_it_changes(settings, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "own.mp4").write_bytes(b"own")
    media = MediaFiles(settings.home / "media", (videos,), 500)
    record = media.register(str(videos / "own.mp4"))
    with Library(settings.home) as library:
        known = library.store.video(ID)
        library.register(replace(known, video_id=record.video_id, title="own.mp4", duration_seconds=0.0), MODEL)
    assert faults(check_store(settings)) == {}
    (videos / "own.mp4").write_bytes(b"oww")
    assert set(faults(check_store(settings))) == {"videos used where they lie"}


def test_a_damaged_database_is_an_error_of_its_own(settings):
    (settings.home / "index.db").write_bytes(b"no database at all" * 1000)
    [database] = [check for check in check_store(settings) if check.what == "database"]
    assert (database.state, "backup" in database.fix) == ("error", True)


def test_a_lost_database_is_an_error_and_so_is_a_lost_store(settings, tmp_path):
    (settings.home / "index.db").unlink()
    assert set(faults(check_store(settings))) == {"database", "files without a video"}
    assert not (settings.home / "index.db").exists()
    for look in (check_store, repair_store):
        [empty] = look(replace(settings, home=tmp_path / "none"))
        assert (empty.state, "there is no store" in empty.found) == ("error", True)


def test_every_library_of_a_home_is_looked_at(settings, tmp_path):
    with Library(settings.home / "libraries" / "second"):
        pass
    found = [check.found for check in check_store(settings) if check.what == "store"]
    assert found == [str(settings.home), str(settings.home / "libraries" / "second")]


def test_the_command_ends_with_1_on_errors(settings, monkeypatch):
    monkeypatch.setenv("CLIPSEEK_HOME", str(settings.home))
    assert CliRunner().invoke(main, ["doctor", "--check"]).exit_code == 0
    (settings.home / "media" / f"{ID}.film.mp4").write_bytes(b"?")
    done = CliRunner().invoke(main, ["doctor", "--check", "--json"])
    assert done.exit_code == 1
    assert any(row["state"] == "error" and row["what"] == "videos" for row in json.loads(done.stdout))
