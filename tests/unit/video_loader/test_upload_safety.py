"""Uploads and other libraries: no damage spreads, no byte is taken for another, nothing is written through a link."""

import contextlib
import errno
import hashlib
import logging
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipseek.api.errors import InvalidRequest, StoreCorrupt, StoreFull, UploadCorrupted
from executors.machine.folder_cache import FolderLocks
from executors.video_loader.media import media_files, same_video
from executors.video_loader.media.media_files import MediaFiles

CHUNK = 4096
DATA = random.Random(7).randbytes(3 * CHUNK + 100)
VIDEO_ID = hashlib.sha256(DATA).hexdigest()
OFFSETS = list(range(0, len(DATA), CHUNK))


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    return [tmp_path / "one", tmp_path / "two", tmp_path / "three"]


@pytest.fixture
def stores(roots: list[Path]) -> list[MediaFiles]:
    return [MediaFiles(root, (), CHUNK, all_roots=lambda: roots) for root in roots]


def send(store: MediaFiles, *offsets: int, data: bytes = DATA, size_bytes: int = len(DATA)) -> list[int]:
    """Send chunks, all without `offsets`. Returns: the missing ones."""
    missing: list[int] = []
    for offset in offsets or OFFSETS:
        missing = store.write_chunk(VIDEO_ID, "a video.mp4", size_bytes, offset, data[offset : offset + CHUNK])
    return missing


# Equal videos of two libraries


def test_a_damaged_video_of_another_library_is_not_shared_but_reported(stores, caplog):
    one, two, three = stores
    send(one)
    damaged = DATA[:-1] + b"?"
    one.path(VIDEO_ID).write_bytes(damaged)
    with caplog.at_level(logging.ERROR):
        send(two)
    assert two.path(VIDEO_ID).read_bytes() == DATA
    assert one.path(VIDEO_ID).read_bytes() == damaged  # it is the operator's to decide
    [line] = caplog.messages
    assert str(one.path(VIDEO_ID)) in line and hashlib.sha256(damaged).hexdigest() in line
    caplog.clear()
    send(three)
    assert three.path(VIDEO_ID).samefile(two.path(VIDEO_ID)) and not three.path(VIDEO_ID).samefile(one.path(VIDEO_ID))
    assert [sorted(file.suffix for file in store.root.iterdir()) for store in stores] == [[".json", ".mp4"]] * 3


def test_a_video_of_another_library_that_cannot_be_read_is_not_shared(stores, monkeypatch, caplog):
    one, two, _ = stores
    send(one)

    def fails(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(same_video, "compute_sha256", fails)
    send(two)
    assert two.path(VIDEO_ID).read_bytes() == DATA and not two.path(VIDEO_ID).samefile(one.path(VIDEO_ID))
    assert "it cannot be read (Input/output error)" in caplog.text


def test_a_link_planted_as_a_video_of_another_library_is_not_shared(stores, tmp_path):
    one, two, _ = stores
    (tmp_path / "secret").write_bytes(DATA)
    (one.root / f"{VIDEO_ID}.film.mp4").symlink_to(tmp_path / "secret")
    send(two)
    assert not two.path(VIDEO_ID).is_symlink() and not two.path(VIDEO_ID).samefile(tmp_path / "secret")


# Nothing is written into a file that another library has


def test_a_server_killed_while_it_stores_a_video_leaves_no_upload_that_other_libraries_share(stores, monkeypatch):
    """The next chunk would be written into their video."""
    one, two, _ = stores
    send(one)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(media_files, "write_record", killed)
    with pytest.raises(KeyboardInterrupt):
        send(two)
    monkeypatch.undo()
    (two.root / f"{VIDEO_ID}.chunks").unlink()  # lost, too
    with pytest.raises(UploadCorrupted):
        send(two, data=bytes(len(DATA)))
    assert one.path(VIDEO_ID).read_bytes() == DATA


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard link", "symbolic link"])
@pytest.mark.parametrize("name", ["part", "chunks", "json-part", "json"])
def test_nothing_is_written_through_a_link_in_the_store(stores, link, name, tmp_path):
    store, target = stores[0], tmp_path / "another file"
    target.write_bytes(before := bytes(len(DATA)))
    link(target, store.root / f"{VIDEO_ID}.{name}")
    if name == "json":
        with pytest.raises(StoreCorrupt, match="delete the video"):
            send(store)
        store.delete(VIDEO_ID)
    assert send(store) == []
    assert store.path(VIDEO_ID).read_bytes() == DATA
    assert target.read_bytes() == before


def test_a_record_that_names_another_file_is_damaged(stores):
    store = stores[0]
    send(store)
    record = store.root / f"{VIDEO_ID}.json"
    record.write_text(record.read_text().replace(f"{VIDEO_ID}.film.mp4", "../../secret.mp4"))
    with pytest.raises(StoreCorrupt, match="it belongs to"):
        store.path(VIDEO_ID)
    assert not store.is_known(VIDEO_ID) and not list(store.records())
    assert store.facts()["media_files"] == "0"


# Chunks and power cuts


def test_a_chunk_is_on_the_disk_before_it_is_marked(stores, monkeypatch):
    """The order is: data, its sync, the mark, its sync, and at first the folder's."""
    done: list[str] = []
    pwrite, fsync = os.pwrite, os.fsync

    def name(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name.removeprefix(f"{VIDEO_ID}.")

    monkeypatch.setattr(os, "pwrite", lambda file, *rest: done.append(f"write {name(file)}") or pwrite(file, *rest))
    monkeypatch.setattr(os, "fsync", lambda file: done.append(f"sync {name(file)}") or fsync(file))
    chunk = ["write part", "sync part", "write chunks", "sync chunks"]
    send(stores[0], 0)
    assert done == [*chunk, "sync one"]
    done.clear()
    send(stores[0], CHUNK)
    assert done == chunk


@pytest.mark.parametrize("marks", [b"", b"\x01\x00", b"\x01\x01\x01\x01\x01", b"\x01\x01\x01\x07", b"\xff" * 4])
def test_torn_or_damaged_marks_mean_sending_again(stores, marks):
    store = stores[0]
    send(store, 0)
    (store.root / f"{VIDEO_ID}.chunks").write_bytes(marks)
    missing = store.missing_offsets(VIDEO_ID, len(DATA))
    assert missing == (OFFSETS[1:] if marks == b"\x01\x00" else OFFSETS)
    for offset in missing:
        send(store, offset)
    assert store.path(VIDEO_ID).read_bytes() == DATA


def test_marks_beside_a_torn_part_mean_sending_again(stores):
    store = stores[0]
    send(store, *OFFSETS[:3])
    (store.root / f"{VIDEO_ID}.part").write_bytes(b"")
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == OFFSETS
    assert send(store) == []


def test_marks_without_their_data_never_make_a_video(stores):
    store = stores[0]
    send(store, 0)
    (store.root / f"{VIDEO_ID}.chunks").write_bytes(b"\x01" * 4)
    with pytest.raises(UploadCorrupted, match="Upload it again"):
        send(store, *store.missing_offsets(VIDEO_ID, len(DATA)))
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == OFFSETS
    assert send(store) == []


# Several at once


@pytest.fixture
def hashing(monkeypatch):
    """Holds up the check of a whole upload. Gives: an event once it runs, and one that lets it go on."""
    runs, may_go_on, real = threading.Event(), threading.Event(), media_files.compute_sha256

    def slow(path: Path) -> str:
        runs.set()
        assert may_go_on.wait(60)
        return real(path)

    monkeypatch.setattr(media_files, "compute_sha256", slow)
    yield runs, may_go_on
    may_go_on.set()


def test_no_lock_is_held_while_a_video_is_read_to_check_it(stores, hashing):
    runs, may_go_on = hashing
    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(send, stores[0])
        assert runs.wait(60)
        with FolderLocks(stores[0].root)[VIDEO_ID]:  # so is every other upload that has the same lock
            pass
        may_go_on.set()
        assert storing.result() == []


def test_a_video_deleted_while_its_upload_is_checked_stays_deleted(stores, hashing):
    store, (runs, may_go_on) = stores[0], hashing
    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(send, store)
        assert runs.wait(60)
        store.delete(VIDEO_ID)
        send(store, CHUNK)  # and somebody sends it again
        may_go_on.set()
        assert storing.result() == [0, *OFFSETS[2:]]
    assert not store.is_known(VIDEO_ID)
    assert send(store) == []
    assert store.path(VIDEO_ID).read_bytes() == DATA


@pytest.mark.parametrize("deleted", [0, 1], ids=["the other library's", "the new one"])
def test_a_video_deleted_while_another_librarys_is_read_harms_nothing(stores, monkeypatch, caplog, deleted):
    one, two, _ = stores
    send(one)
    real = same_video.compute_sha256

    def delete_then_read(path: Path) -> str:
        stores[deleted].delete(VIDEO_ID)
        return real(path)

    monkeypatch.setattr(same_video, "compute_sha256", delete_then_read)
    assert send(two) == ([] if deleted == 0 else OFFSETS)
    monkeypatch.undo()
    assert not caplog.messages
    assert one.is_known(VIDEO_ID) == bool(deleted) and send(two) == []
    assert two.path(VIDEO_ID).read_bytes() == DATA
    assert sorted(file.suffix for file in two.root.iterdir()) == [".json", ".mp4"]


def test_two_who_complete_one_upload_at_once_both_succeed(stores, hashing):
    store, (runs, may_go_on) = stores[0], hashing
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(send, store) for _ in range(2)]
        assert runs.wait(60)
        may_go_on.set()
        assert [one.result() for one in both] == [[], []]
    assert store.path(VIDEO_ID).read_bytes() == DATA
    assert sorted(file.suffix for file in store.root.iterdir()) == [".json", ".mp4"]


def test_another_size_announced_at_the_same_time_changes_no_upload(stores, monkeypatch):
    store, check = stores[0], MediaFiles._make_room
    monkeypatch.setattr(MediaFiles, "_make_room", lambda *_: send_first())

    def send_first() -> None:
        monkeypatch.setattr(MediaFiles, "_make_room", check)
        send(store, 0)

    with pytest.raises(InvalidRequest, match="are announced"):
        send(store, 0, size_bytes=len(DATA) + CHUNK)
    assert (store.root / f"{VIDEO_ID}.part").stat().st_size == len(DATA)


def test_equal_videos_uploaded_to_several_libraries_at_once_arrive_whole(stores):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, [*stores, *stores]))
    assert [store.path(VIDEO_ID).read_bytes() for store in stores] == [DATA] * 3
    assert [sorted(file.suffix for file in store.root.iterdir()) for store in stores] == [[".json", ".mp4"]] * 3


# A full disk, in each step


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("call", ["os.pwrite", "os.fsync", "pathlib.Path.open", "pathlib.Path.replace", "os.ftruncate"])
def test_a_disk_that_fills_up_in_any_step_loses_nothing(stores, monkeypatch, call, step):
    """Step by step, a system call fails once; then the client asks what is missing and goes on."""
    one, two, _ = stores
    send(one)
    owner, name = {"os": os, "pathlib.Path": Path}[call.rpartition(".")[0]], call.rpartition(".")[2]
    real, steps = getattr(owner, name), iter(range(1000))

    def full(*args, **options):
        reads = name == "open" and "r" in options.get("mode", args[1] if len(args) > 1 else "r")
        if not reads and next(steps) == step:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **options)

    monkeypatch.setattr(owner, name, full)
    with contextlib.suppress(StoreFull):
        send(two)
    monkeypatch.undo()
    assert not two.is_known(VIDEO_ID) or two.path(VIDEO_ID).read_bytes() == DATA
    for offset in two.missing_offsets(VIDEO_ID, len(DATA)):
        send(two, offset)
    for store in (one, two):
        assert store.path(VIDEO_ID).read_bytes() == DATA
    assert sorted(file.suffix for file in two.root.iterdir()) == [".json", ".mp4"]
