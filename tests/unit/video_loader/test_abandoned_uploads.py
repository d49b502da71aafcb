"""Uploads that nobody continues end by themselves, and what they hold counts."""

import hashlib
import os
import random
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from clipseek.api.errors import LimitExceeded, StoreFull
from clipseek.machine.store_size import measure_videos
from executors.machine.disk import RESERVED_BYTES
from executors.video_loader.media.abandoned_uploads import KEPT_SECONDS, AbandonedUploads, drop_abandoned
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.partial_upload import PartialUpload

CHUNK = 8192
IDLE_SECONDS = 3600.0


def content(number: int, chunks: int = 3) -> bytes:
    return random.Random(number).randbytes(chunks * CHUNK)


def video_id(number: int, chunks: int = 3) -> str:
    return hashlib.sha256(content(number, chunks)).hexdigest()


def send(store: MediaFiles, number: int, *places: int, chunks: int = 3) -> list[int]:
    data, missing = content(number, chunks), []
    for place in places or range(chunks):
        chunk = data[place * CHUNK : (place + 1) * CHUNK]
        missing = store.write_chunk(video_id(number, chunks), f"{number}.mp4", len(data), place * CHUNK, chunk)
    return missing


def make_old(root: Path, number: int, seconds: float, chunks: int = 3) -> None:
    for file in root.glob(f"{video_id(number, chunks)}.*"):
        os.utime(file, (time.time() - seconds,) * 2)


@pytest.fixture
def stores(tmp_path):
    """Two libraries of a store that holds six chunks."""
    roots = [tmp_path / "one", tmp_path / "two"]
    limits = {"max_store_gb": 6 * CHUNK / 1e9, "idle_seconds": IDLE_SECONDS, "all_roots": lambda: roots}
    return [MediaFiles(root, (), CHUNK, **limits) for root in roots]


def test_the_limit_is_over_all_libraries_with_what_arrived_of_uploads(stores):
    one, two = stores
    send(one, 1)
    send(two, 2, 0)  # its other chunks are holes yet
    assert measure_videos([one.root, two.root]) == 4 * CHUNK
    with pytest.raises(LimitExceeded, match="MAX_STORE_GB"):
        one.missing_offsets(video_id(3), 3 * CHUNK)
    assert one.missing_offsets(video_id(3, chunks=2), 2 * CHUNK)


def test_a_video_that_two_libraries_share_counts_once(stores):
    for store in stores:
        send(store, 1)
    assert measure_videos([store.root for store in stores]) == 3 * CHUNK


def test_uploads_that_began_together_do_not_exceed_the_limit_together(stores):
    one, two = stores
    for store, number in ((one, 1), (two, 2), (one, 3)):
        send(store, number, 0)
    send(one, 1, 1, 2)
    send(two, 2, 1)
    with pytest.raises(LimitExceeded, match="MAX_STORE_GB"):
        send(two, 2, 2)
    assert measure_videos([one.root, two.root]) == 6 * CHUNK
    assert two.missing_offsets(video_id(2), 3 * CHUNK) == [2 * CHUNK]  # it can go on when there is room
    one.delete(video_id(3))
    assert send(two, 2, 2) == []


def test_an_abandoned_upload_makes_room_in_whatever_library_it_is(stores):
    one, two = stores
    send(two, 2, 0, 1)
    send(one, 3, 0)
    send(one, 1)
    make_old(one.root, 3, IDLE_SECONDS - 60)
    with pytest.raises(LimitExceeded):
        send(one, 4, chunks=2)
    make_old(two.root, 2, IDLE_SECONDS + 60)
    assert send(one, 4, chunks=2) == []
    assert list(two.root.iterdir()) == []
    assert one.missing_offsets(video_id(3), 3 * CHUNK) == [CHUNK, 2 * CHUNK]


def test_the_oldest_goes_first_and_no_more_than_needed(stores):
    one, two = stores
    for number, hours in ((1, 3), (2, 5), (3, 4)):
        send(two, number, 0)
        make_old(two.root, number, hours * 3600)
    send(one, 5, chunks=1)
    assert send(one, 4, 0) == [CHUNK, 2 * CHUNK]
    assert [two.missing_offsets(video_id(number), 3 * CHUNK) for number in (1, 3)] == [[CHUNK, 2 * CHUNK]] * 2
    assert not list(two.root.glob(f"{video_id(2)}.*"))


def test_an_upload_that_goes_on_after_long_makes_no_room_for_itself(stores):
    one, _ = stores
    send(one, 1)
    send(one, 2, 0, 1)
    make_old(one.root, 2, 20 * 3600)
    assert send(one, 2, 2) == []


def test_a_full_disk_ends_abandoned_uploads_too(stores, monkeypatch):
    one, two = stores
    send(two, 1, 0)
    make_old(two.root, 1, IDLE_SECONDS + 60)
    usage = namedtuple("usage", "free")
    short = RESERVED_BYTES + 20_000  # 2.mp4 needs 25 kB
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(short if list(two.root.glob("*.part")) else 10**12))
    assert send(one, 2) == []


def test_where_all_abandoned_uploads_together_are_too_small_none_is_deleted(stores, monkeypatch):
    one, two = stores
    send(two, 1, 0)
    make_old(two.root, 1, IDLE_SECONDS + 60)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0))
    with pytest.raises(StoreFull):
        send(one, 2)
    assert list(two.root.glob("*.part"))


def test_abandoned_uploads_are_deleted_after_a_day_also_those_from_before_a_restart(tmp_path):
    store = MediaFiles(tmp_path / "media", (), CHUNK)
    for number, seconds in ((1, KEPT_SECONDS + 60), (2, KEPT_SECONDS - 60), (3, 0)):
        send(store, number, 0)
        make_old(store.root, number, seconds)
    (store.root / f"{video_id(4)}.chunks").write_bytes(b"\x01")  # of a server that was killed
    make_old(store.root, 4, KEPT_SECONDS + 60)
    ended = threading.Event()

    def roots() -> list[Path]:
        ended.set()
        return [store.root]

    uploads = AbandonedUploads(lambda seconds: drop_abandoned(roots(), seconds), IDLE_SECONDS)
    assert ended.wait(60)
    uploads.close()
    assert {file.stem for file in store.root.iterdir()} == {video_id(2), video_id(3)}


def test_a_link_to_a_video_of_another_library_ends_without_harm_to_it(tmp_path):
    """Earlier versions could leave such an upload behind."""
    video, root = tmp_path / "video", tmp_path / "media"
    video.write_bytes(b"a video")
    root.mkdir()
    os.link(video, root / f"{video_id(1)}.part")
    (root / f"{video_id(2)}.part").symlink_to(video)
    drop_abandoned([root], -60)
    assert list(root.iterdir()) == [] and video.read_bytes() == b"a video"


def test_files_of_others_in_the_folder_are_no_uploads(tmp_path):
    """CLIPSEEK_MEDIA may be a folder in which something else downloads."""
    names = ["film.mp4.part", "notes.chunks", f"{video_id(1)[:-1]}.part", f"{video_id(1).upper()}.part"]
    for name in names:
        (tmp_path / name).write_bytes(b"?" * 1000)
    folder = tmp_path / f"{video_id(0)}.chunks"  # of an object store that was in this folder
    folder.mkdir()
    send(MediaFiles(tmp_path, (), CHUNK), 2, 0)
    drop_abandoned([tmp_path], -60)
    assert {path.name for path in tmp_path.iterdir()} == {*names, folder.name}


def test_an_upload_that_is_being_stored_is_not_abandoned(tmp_path):
    store = MediaFiles(tmp_path / "media", (), CHUNK)
    send(store, 1, 0)
    with PartialUpload(store.root, video_id(1), CHUNK).alone():
        drop_abandoned([store.root], -60)
        assert store.missing_offsets(video_id(1), 3 * CHUNK) == [CHUNK, 2 * CHUNK]
    drop_abandoned([store.root], -60)
    assert store.missing_offsets(video_id(1), 3 * CHUNK) == [0, CHUNK, 2 * CHUNK]
