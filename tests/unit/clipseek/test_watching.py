"""Watched folders: what a look finds, what is taken to be gone, what stands still, what is remembered. No server."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clipseek.api.errors import StoreBusy, StoreError
from clipseek.config.libraries import state_file
from clipseek.config.settings import Settings
from clipseek.watch.folder_scan import FileState, scan_folder, videos_below
from clipseek.watch.state import WatchedVideo, WatchState
from clipseek.watch.watcher import Changes, SettleTimer, find_changes, find_moves

STATE = FileState(1, 2, 3, 4)


def known(scan, **more):
    """As if every video of a scan had become a video."""
    return {path: WatchedVideo(state, video_id=path, **more) for path, state in scan.videos.items()}


@pytest.mark.shows("Hidden files, trash, links in circles", "skipped by index and watch alike")
def test_a_look_finds_videos_and_leaves_out_what_is_hidden_or_a_loop(tmp_path):
    (tmp_path / "below" / "deeper").mkdir(parents=True)
    (tmp_path / ".snapshot").mkdir()
    (tmp_path / "folder.mp4").mkdir()
    raw = os.fsdecode(b"caf\xe9.mp4")
    for name in ("a.mp4", "b.MKV", "notes.txt", "._a.mp4", ".snapshot/a.mp4", "below/deeper/c.mov", raw):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "below" / "loop").symlink_to(tmp_path)
    (tmp_path / "below" / "link.mp4").symlink_to(tmp_path / "a.mp4")
    (tmp_path / "below" / "to nothing.mp4").symlink_to(tmp_path / "none.mp4")
    scan = scan_folder(tmp_path)
    assert set(scan.videos) == {"a.mp4", "b.MKV", "below/deeper/c.mov", "below/link.mp4", raw}
    assert not scan.unread and set(scan.devices) == {"", "below", "below/deeper", "folder.mp4"}
    assert scan.videos["a.mp4"] == FileState.of(tmp_path / "a.mp4")
    assert scan.videos["a.mp4"].size_bytes == 5
    assert scan_folder(tmp_path / "none").unread == {"": "No such file or directory"}


@pytest.mark.parametrize(
    "folder",
    [
        *(".Trashes/501", "@eaDir/IMG_1.MOV", "$RECYCLE.BIN/S-1-5", ".Spotlight-V100", "System Volume Information"),
        *("#recycle", "DCIM/@eadir", "__MACOSX/DCIM", "lost+found", ".Trash-1000/files", "RECYCLER"),
    ],
)
@pytest.mark.shows("Hidden files, trash, links in circles", "skipped by index and watch alike")
def test_deleted_videos_and_previews_are_skipped_by_index_and_watch_alike(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "DCIM").mkdir(exist_ok=True)
    for name in (f"{folder}/deleted.mp4", "DCIM/._IMG_1.MOV", "DCIM/IMG_1.MOV"):
        (tmp_path / name).write_bytes(b"1")
    assert list(videos_below(tmp_path)) == [tmp_path / "DCIM" / "IMG_1.MOV"]
    assert set(scan_folder(tmp_path).videos) == {"DCIM/IMG_1.MOV"}
    assert list(videos_below(tmp_path / folder)) == [tmp_path / folder / "deleted.mp4"]  # it is named itself


@pytest.mark.shows("Hidden files, trash, links in circles", "skipped by index and watch alike")
def test_links_in_circles_hide_nothing(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.mp4").touch()
    (tmp_path / "below" / "up").symlink_to(tmp_path)
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "there.mp4").symlink_to("back.mp4")
    (tmp_path / "back.mp4").symlink_to("there.mp4")
    (tmp_path / "in a file.mp4").symlink_to("a.mp4/b.mp4")
    scan = scan_folder(tmp_path)
    assert set(scan.videos) == {"a.mp4"} and not scan.unread
    assert scan.has_lost("gone.mp4", tmp_path.stat().st_dev)
    assert list(videos_below(tmp_path)) == [tmp_path / "a.mp4"]


def test_a_video_is_gone_only_where_that_is_sure(tmp_path):
    (tmp_path / "share").mkdir()
    for name in ("a.mp4", "share/b.mp4", "share/c.mp4"):
        (tmp_path / name).touch()
    device = tmp_path.stat().st_dev
    (tmp_path / "share" / "b.mp4").unlink()
    scan = scan_folder(tmp_path)
    assert scan.has_lost("share/b.mp4", device) and scan.has_lost("away/with/its/folder.mp4", device)
    assert not scan.has_lost("share/c.mp4", device)
    assert not scan.has_lost("share/b.mp4", device + 1)  # what was mounted there is not
    assert not scan.has_lost("share/was/mounted/below.mp4", device + 1)
    scan.unread["share"] = "Stale file handle"
    assert not scan.has_lost("share/b.mp4", device)
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "share" / "c.mp4").unlink()
    assert not scan_folder(tmp_path).has_lost("a.mp4", device)  # none is left
    assert not scan_folder(tmp_path / "none").has_lost("a.mp4", device)


def test_among_thousands_the_few_that_differ_are_found(tmp_path):
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(150):
            (tmp_path / str(folder) / f"{number}.mp4").touch()
    before = scan_folder(tmp_path)
    videos = known(before)
    assert len(videos) == 3000 and find_changes(videos, scan_folder(tmp_path)) == Changes({}, {})
    (tmp_path / "new.mp4").touch()
    (tmp_path / "3" / "7.mp4").write_bytes(b"x")
    os.utime(tmp_path / "4" / "7.mp4", ns=(0, 0))
    (tmp_path / "5" / "7.mp4").rename(tmp_path / "6" / "renamed.mp4")
    (tmp_path / "8" / "7.mp4").unlink()
    found = find_changes(videos, scan_folder(tmp_path))
    assert set(found.videos) == {"new.mp4", "3/7.mp4", "4/7.mp4", "6/renamed.mp4"}
    assert set(found.lost) == {"5/7.mp4", "8/7.mp4"}
    assert find_moves(found) == {"6/renamed.mp4": "5/7.mp4"}


def test_what_is_broken_is_left_alone_and_what_was_begun_is_not(tmp_path):
    (tmp_path / "a.mp4").touch()
    scan = scan_folder(tmp_path)
    assert not find_changes(known(scan, error="no video", coming_id="b"), scan).videos
    assert set(find_changes(known(scan, coming_id="b"), scan).videos) == {"a.mp4"}


def test_one_video_in_the_place_of_two_is_one_move(tmp_path):
    lost = {"a.mp4": STATE}
    assert len(find_moves(Changes({"b.mp4": STATE, "c.mp4": STATE}, lost))) == 1


def test_a_file_that_is_being_written_does_not_stand_still():
    now = 0.0
    still = SettleTimer(10.0, lambda: now)
    grown = FileState(2, 2, 3, 4)
    for now, things, expected in (  # noqa: B007 (the clock reads it)
        (0.0, {"copied": STATE, "done": STATE}, set()),
        (9.0, {"copied": grown, "done": STATE}, set()),
        (10.0, {"copied": grown, "done": STATE}, {"done"}),
        (18.9, {"copied": grown}, set()),
        (19.0, {"copied": grown, "done": STATE}, {"copied"}),  # `done` was away in between
    ):
        assert set(still.settled("folder", things)) == expected
    assert SettleTimer(0.0, lambda: now).settled("folder", {"a": STATE}) == {"a": STATE}


def test_what_is_remembered_outlives_the_process(tmp_path):
    root, raw = tmp_path / "videos", os.fsdecode(b"caf\xe9.mp4")
    video = WatchedVideo(FileState(2**40, 2**62, 2**64 - 1, 2**63), "id", "coming", "why", is_missing=True)
    with WatchState(tmp_path / "new folder" / "state.db") as state:
        state.save(root, {raw: video, "b.mp4": WatchedVideo(STATE, "id")}, adds="id")
        state.save(root, {"c.mp4": video}, old_path="b.mp4")
    with WatchState(tmp_path / "new folder" / "state.db") as state:
        assert state.videos(root) == {raw: video, "c.mp4": video}
        assert state.videos(root)[raw].state.device == 2**63  # which equality leaves out
        assert state.videos(tmp_path) == {} and state.added_ids() == {"id"}
        assert sorted(state.files_of("id")) == [root / "c.mp4", root / raw]


STATE_OF_0_1 = """
CREATE TABLE films (
    root BLOB, path BLOB, size_bytes INTEGER, mtime_ns INTEGER, inode TEXT, device TEXT,
    video_id TEXT, coming_id TEXT, error TEXT, is_missing INTEGER, PRIMARY KEY (root, path)
);
CREATE INDEX films_of_video ON films (video_id);
CREATE INDEX films_of_coming_video ON films (coming_id);
CREATE TABLE brought (video_id TEXT PRIMARY KEY);
INSERT INTO films VALUES (x'2f76', x'612e6d7034', 7, 8, '9', '10', 'id', '', '', 0);
INSERT INTO brought VALUES ('id');
"""


def test_a_state_of_0_1_is_taken_over_and_a_copy_of_it_stays(tmp_path):
    file = tmp_path / "state.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(STATE_OF_0_1)
    before = file.read_bytes()
    for _ in range(2):
        with WatchState(file) as state:
            assert state.videos(Path("/v")) == {"a.mp4": WatchedVideo(FileState(7, 8, 9, 10), "id")}
            assert state.added_ids() == {"id"} and state.files_of("id") == [Path("/v/a.mp4")]
    assert (tmp_path / "state.db.0.1").read_bytes() == before


def test_a_video_is_left_over_once_no_file_is_it_or_becomes_it(tmp_path):
    with WatchState(tmp_path / "state.db") as state:
        state.save(tmp_path, {"a.mp4": WatchedVideo(STATE, coming_id="v")}, adds="v")
        assert state.orphans() == []
        state.save(tmp_path / "other", {"b.mp4": WatchedVideo(STATE, "v")})
        state.forget(tmp_path, "a.mp4")
        assert state.orphans() == []
        state.save(tmp_path / "other", {"b.mp4": WatchedVideo(STATE, "w")})  # w was in the library before
        assert state.orphans() == ["v"]
        state.forget(tmp_path / "other", "b.mp4")
        state.forget_added("v")
        assert state.orphans() == []


def test_a_state_is_for_one_process_and_must_be_one(tmp_path):
    with WatchState(tmp_path / "state.db"), pytest.raises(StoreBusy, match="Another `clipseek watch`"):
        WatchState(tmp_path / "state.db")
    (tmp_path / "text.db").write_text("this is a text, and not an SQLite file")
    with pytest.raises(StoreError, match=r"text\.db, cannot be used"):
        WatchState(tmp_path / "text.db")
    with pytest.raises(StoreError, match="cannot be used"):
        WatchState(tmp_path / "text.db" / "below.db")


def test_each_server_and_library_has_a_state_of_its_own():
    def at(address, library="", token=""):
        return state_file(Settings(Path("/home"), Path("/cache"), library=library, token=token), address, "watch.db")

    assert len({at("a:1"), at("a:2"), at("a:1", "x"), at("a:1", token="one"), at("a:1", token="other")}) == 5
    assert at("a:1", "x", "token") == at("a:1", "x", "new token")
