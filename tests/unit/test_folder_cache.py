"""The cache on disk: what it removes at its start, and in which order."""

import os

from executors.machine.folder_cache import FolderCache


def test_only_abandoned_drafts_are_removed_at_the_start(tmp_path):
    for name in ("making-old", "making-young"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.mp4").write_bytes(b"x")
        os.utime(tmp_path / name, (1, 1))
    os.utime(tmp_path / "making-old" / "clip.mp4", (1, 1))
    cache = FolderCache(tmp_path, 100)
    assert [entry.name for entry in tmp_path.iterdir()] == ["making-young"]  # somebody still writes to its file
    assert cache.files() == []


def test_the_least_recently_used_files_make_room_and_ignored_ones_stay(tmp_path):
    cache = FolderCache(tmp_path, 30, ignored=frozenset({".lock"}))
    for used_at, name in enumerate(("first", "second", "third", "own.lock")):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (100 + used_at, 7))
    cache.mark_used(tmp_path / "first")
    assert (tmp_path / "first").stat().st_mtime == 7
    cache.make_room(10)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["first", "own.lock", "third"]
    cache.make_room(25, keep=tmp_path / "third")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["own.lock", "third"]
