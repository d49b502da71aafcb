"""`clipseek doctor --check` and `--repair` where the videos are in an object store, or in a folder of their own."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from clipseek.config.settings import Settings
from clipseek.upkeep.doctor import check_store, repair_store
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.store.records import VideoRecord
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.shared_media import SharedMediaFiles, open_media_files
from tests.unit.clipseek.test_store_check import ID, MODEL, VIDEO, faults, frames


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder of the object store."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path, shared: Path) -> Settings:
    """A store with one video, which is in the object store."""
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", media=f"local://{shared}")
    (tmp_path / "holiday.mp4").write_bytes(VIDEO)
    open_media_files(settings, "main", 500).add_file(tmp_path / "holiday.mp4")
    video = VideoRecord(ID, "holiday.mp4", len(VIDEO), 30.0, 64, 48, 25.0, "h264", "mp4", 0, False, 1.0, "even")
    with Library(settings.home) as library:
        library.register(video, MODEL)
        library.put_span(ID, (0.0, 30.0), frames(30), MODEL)
    return settings


def shared_store(settings: Settings) -> SharedMediaFiles:
    store = open_media_files(settings, "main", 500)
    assert isinstance(store, SharedMediaFiles)
    return store


def test_a_sound_store_is_told_to_be_sound(settings, shared):
    checks = check_store(settings)
    assert faults(checks) == {}
    found = {check.what: check.found for check in checks}
    assert found["videos"] == f"1 at local://{shared}, 2.0 kB"
    assert found["copies of videos here"] == "1 with the content of their videos"


def test_videos_that_are_missing_or_cut_off_there_are_found(settings, shared):
    video = shared / "main" / f"{ID}.film.mp4"
    os.truncate(video, 7)
    assert faults(check_store(settings)) == {
        "videos": f"'holiday.mp4' ({ID[:12]}) has 7 bytes, but its record says {len(VIDEO)}"
    }
    video.unlink()
    assert faults(check_store(settings)) == {"videos": f"'holiday.mp4' ({ID[:12]}) is missing"}
    (shared / "main" / f"{ID}.json").write_text("{")
    assert set(faults(check_store(settings))) == {"records of videos", "videos without a file"}
    (shared / "main" / f"{ID}.json").unlink()
    assert faults(check_store(settings)) == {"videos without a file": f"'holiday.mp4' ({ID[:12]})"}


def test_what_belongs_to_no_video_is_found(settings, shared, tmp_path):
    (tmp_path / "new.mp4").write_bytes(b"new")
    record = shared_store(settings).add_file(tmp_path / "new.mp4")
    cut_off = shared / "main" / f"{'a' * 64}.film.mp4"
    cut_off.write_bytes(b"new")
    assert faults(check_store(settings)) == {
        "files without a video": record.video_id[:12],
        "objects without a record": cut_off.name,
    }


def test_a_damaged_copy_is_dropped_and_fetched_again(settings, shared):
    [(_, _, copy)] = shared_store(settings).cache.files()
    copy.write_bytes(b"?" * len(VIDEO))
    assert faults(check_store(settings)) == {"copies of videos here": copy.name}
    checks = repair_store(settings)
    assert checks[0].found == f"deleted the copy {copy.name}; it is fetched again when needed"
    assert faults(checks) == {}
    with shared_store(settings).in_use(ID) as path:
        assert path.read_bytes() == VIDEO


def test_videos_from_before_are_put_there_by_repair_if_they_are_sound(settings, shared, tmp_path):
    before = MediaFiles(settings.home / "media", (), 500)
    (tmp_path / "old.mp4").write_bytes(b"old")
    record = before.add_file(tmp_path / "old.mp4")
    (before.root / f"{record.video_id}.json").unlink()  # repair can do both
    assert faults(check_store(settings)) == {"videos that are only here": record.video_id[:12]}
    before_video = before.root / record.file_name
    before_video.write_bytes(b"odd")
    assert {"local videos", "videos that are only here"} <= set(faults(repair_store(settings)))
    assert sorted(file.name[:12] for file in (shared / "main").iterdir()) == [ID[:12]] * 2
    before_video.write_bytes(b"old")
    (before.root / f"{record.video_id}.json").unlink()
    checks = repair_store(settings)
    assert f"({record.video_id[:12]}) to local://" in checks[1].found
    assert set(faults(checks)) == {"files without a video"}
    assert (shared / "main" / f"{record.video_id}.film.mp4").read_bytes() == b"old"
    assert list(before.root.iterdir()) == []


def test_an_object_store_that_cannot_be_reached_is_a_fault(settings, shared):
    shared.rename(shared.with_name("not-mounted"))
    for look in (check_store, repair_store):
        assert "no such folder or bucket" in faults(look(settings))["videos"]


def test_videos_in_a_folder_of_their_own_are_looked_at(settings, shared):
    settings = replace(settings, media=str(shared))
    assert faults(check_store(settings)) == {}
    (shared / "main" / f"{ID}.film.mp4").write_bytes(b"?" * len(VIDEO))
    assert set(faults(check_store(settings))) == {"videos"}
    assert json.loads((shared / "main" / f"{ID}.json").read_text())["video_id"] == hashlib.sha256(VIDEO).hexdigest()
