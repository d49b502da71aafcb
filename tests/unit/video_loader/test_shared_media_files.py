"""Videos in an object store: what is not stored does not count, nothing waits forever, libraries stay apart."""

import errno
import hashlib
import itertools
import json
import os
import random
import shutil
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from clipseek.api.errors import (
    InvalidRequest,
    InvalidSetting,
    LimitExceeded,
    MediaMissing,
    MediaUnreachable,
    StoreCorrupt,
    StoreFull,
    UploadCorrupted,
    VideoNotFound,
)
from clipseek.config.settings import Settings
from executors.video_loader.media import object_store, object_upload
from executors.video_loader.media.local_copies import LocalCopies
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.object_store import ObjectStore
from executors.video_loader.media.shared_media import (
    REMEMBERED_SECONDS,
    SharedMediaFiles,
    check_media_reachable,
    drop_all_abandoned,
    open_media_files,
)
from tests.unit.video_loader.object_stores import FakeObjects

CHUNK = 1000
DATA = random.Random(7).randbytes(4321)
ID = hashlib.sha256(DATA).hexdigest()
VIDEO, RECORD = f"{ID}.film.mp4", f"{ID}.json"
Host = Callable[..., SharedMediaFiles]


@pytest.fixture(autouse=True)
def shared(tmp_path: Path) -> Iterator[Path]:
    """The folder behind the object store."""
    fsspec.register_implementation("fake", FakeObjects, clobber=True)
    FakeObjects.reset()
    folder = tmp_path / "shared"
    folder.mkdir()
    yield folder
    FakeObjects.reset()


@pytest.fixture
def now() -> list[float]:
    """The time on all hosts; tests change it."""
    return [0.0]


@pytest.fixture
def host(tmp_path: Path, shared: Path, now: list[float]) -> Host:
    """Makes the media files of a host: two of the same name are one host after a restart."""

    def make(
        name: str,
        library: str = "main",
        *,
        patience: float = 30.0,
        cache_bytes: float = 1e9,
        max_store_gb: float = 1.0,
        media_roots: tuple[Path, ...] = (tmp_path / "videos",),
    ) -> SharedMediaFiles:
        return SharedMediaFiles(
            tmp_path / name / library,
            media_roots,
            CHUNK,
            objects=ObjectStore(f"fake://{shared}", library, patience_seconds=patience),
            cache=LocalCopies(tmp_path / name / "cache", cache_bytes),
            library=library,
            max_store_gb=max_store_gb,
            idle_seconds=3600.0,
            clock=lambda: now[0],
        )

    return make


def send(store: MediaFiles, data: bytes = DATA, title: str = "a video.mp4") -> str:
    """Upload a video whole. Returns: its id."""
    video_id = hashlib.sha256(data).hexdigest()
    for offset in store.missing_offsets(video_id, len(data)):
        store.write_chunk(video_id, title, len(data), offset, data[offset : offset + CHUNK])
    return video_id


def failing(operation: str, name: str, error: BaseException) -> Callable[[str, str], None]:
    def meddle(did: str, what: str) -> None:
        if (did, what) == (operation, name):
            raise error

    return meddle


def test_another_host_uses_a_video_and_sees_its_new_title(host, shared, now):
    a, b = host("a"), host("b")
    send(a)
    assert sorted(file.name for file in (shared / "main").iterdir()) == [VIDEO, RECORD]
    assert list(a.root.iterdir()) == []  # what it has is a copy
    assert b.missing_offsets(ID, len(DATA)) == []
    for store in (a, b):
        with store.in_use(ID) as path:
            assert (path.read_bytes(), path.suffix, path.is_symlink()) == (DATA, ".mp4", False)
    assert FakeObjects.done["open rb", VIDEO] == 1  # by b: a has moved its upload into the cache
    assert [record.title for record in b.records()] == ["a video.mp4"]
    b.accept(ID, "another title")
    now[0] += REMEMBERED_SECONDS
    assert a.record(ID).title == "another title"


def test_a_video_is_fetched_once_for_all_who_ask(host):
    send(host("a"))
    stores = [host("b"), host("b")]  # as two loaders of one host
    all_ask = threading.Barrier(8)

    def ask(number: int) -> bytes:
        all_ask.wait()
        with stores[number % 2].in_use(ID) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {DATA}
    assert FakeObjects.done["open rb", VIDEO] == 1


@pytest.mark.parametrize(("operation", "name"), [("open wb", VIDEO), ("open wb", RECORD), ("name", RECORD)], ids=str)
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), r"could not \w+ .*: access denied \(Access Denied\)"),
        (ConnectionError("no route"), "ConnectionError: no route"),
        (OSError(errno.ENOSPC, "full"), "is full"),
    ],
    ids=["denied", "unreachable", "full"],
)
def test_an_upload_the_object_store_refuses_is_neither_confirmed_nor_lost(host, operation, name, error, message):
    a = host("a")
    FakeObjects.meddle = failing(operation, name, error)
    with pytest.raises((MediaUnreachable, StoreFull), match=message):
        send(a)
    for store in (a, host("a"), host("b")):
        assert not store.is_complete(ID)
    FakeObjects.reset()
    assert host("a").missing_offsets(ID, len(DATA)) == [4000]  # one piece, and it goes on
    send(host("a"))
    with host("b").in_use(ID) as path:
        assert path.read_bytes() == DATA


def test_a_crash_after_the_record_was_written_costs_nothing(host, shared, tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalCopies, "adopt", killed)
    with pytest.raises(KeyboardInterrupt):
        send(host("a"))
    monkeypatch.undo()
    a = host("a")
    assert a.is_complete(ID)
    FakeObjects.reset()
    send(a)
    assert not FakeObjects.done["open wb", VIDEO]
    where = Settings(home=tmp_path / "home", cache=tmp_path / "cache", media=f"fake://{shared}")
    drop_all_abandoned(where, -60)
    assert sorted(file.name for file in (shared / "main").iterdir()) == [VIDEO, RECORD]


def test_a_video_is_stored_even_without_room_for_a_copy(host, monkeypatch, caplog):
    usage = namedtuple("usage", "total used free")
    free = [10**12, 10**6]  # what is left once the upload is there

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free[0]))
    a = host("a")
    monkeypatch.setattr(a.objects, "put", lambda *args: (ObjectStore.put(a.objects, *args), free.pop(0)))
    send(a)
    assert "'a video.mp4' is not cached here" in caplog.text
    assert list(a.root.iterdir()) == []
    with pytest.raises(StoreFull, match="the copy of"), a.in_use(ID):
        pass
    monkeypatch.undo()
    with a.in_use(ID) as path:
        assert path.read_bytes() == DATA


@pytest.mark.parametrize(("operation", "name"), [("open wb", VIDEO), ("open rb", RECORD), ("list", "main")], ids=str)
def test_a_request_to_a_hanging_object_store_times_out(host, operation, name):
    goes_on = threading.Event()
    hangs = threading.Event()

    def hang(did: str, what: str) -> None:
        if (did, what) == (operation, name):
            hangs.set()
            goes_on.wait()

    store = host("a", patience=0.3)
    FakeObjects.meddle = hang
    try:
        with pytest.raises(MediaUnreachable, match=r"no data moved for 0\.3 s.* CLIPSEEK_MEDIA"):
            send(store)
            store.delete(ID)
        assert hangs.is_set()
    finally:
        goes_on.set()


def test_a_transfer_that_makes_progress_may_take_longer(host, monkeypatch):
    monkeypatch.setattr(object_store, "_BLOCK_BYTES", 500)
    send(host("a"))
    pause = threading.Event()

    def slow(did: str, what: str) -> None:
        if (did, what) == ("read", VIDEO):
            pause.wait(0.4)

    FakeObjects.meddle = slow
    with host("b", patience=2.0).in_use(ID) as path:  # nine blocks: 3.6 s
        assert path.read_bytes() == DATA


def test_a_video_that_is_damaged_or_missing_there_is_not_used(host, shared):
    send(host("a"))
    b = host("b")
    (shared / "main" / VIDEO).write_bytes(DATA[:-1] + b"?")
    with pytest.raises(StoreCorrupt, match=r"'a video\.mp4'.*is damaged"), b.in_use(ID):
        pass
    (shared / "main" / VIDEO).unlink()
    with pytest.raises(MediaMissing, match="is no longer at fake://"), b.in_use(ID):
        pass
    assert b.cache.files() == []
    (shared / "main" / VIDEO).write_bytes(DATA)
    with b.in_use(ID) as path:
        assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        "{}",
        {"video_id": "f" * 64, "file_name": f"{'f' * 64}.film.mp4"},
        {"video_id": ID, "file_name": f"../{VIDEO}"},
        {"video_id": ID, "file_name": "/etc/passwd"},
        {"video_id": ID, "file_name": f"{ID}.film.mp4/../x"},
        {"video_id": ID, "file_name": RECORD},
    ],
    ids=str,
)
def test_a_record_that_names_another_file_than_its_own_is_damaged(host, shared, record):
    send(host("a"))
    text = json.dumps({"title": "x", "size_bytes": 4321} | record) if isinstance(record, dict) else record
    (shared / "main" / RECORD).write_text(text)
    b = host("b")
    with pytest.raises(StoreCorrupt, match="record of video"), b.in_use(ID):
        pass
    assert not b.is_known(ID)
    b.delete(ID)  # as the message says
    assert list((shared / "main").iterdir()) == []


def test_libraries_stay_apart(host, shared):
    one, other = host("a", "one"), host("a", "other")
    send(one)
    assert other.missing_offsets(ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]
    with pytest.raises(VideoNotFound):
        other.path(ID)
    send(other)
    one.delete(ID)
    assert list((shared / "one").iterdir()) == []
    with pytest.raises(VideoNotFound), one.in_use(ID):
        pass
    with other.in_use(ID) as path:
        assert path.read_bytes() == DATA
    with host("b", "other").in_use(ID) as path:
        assert path.read_bytes() == DATA
    with pytest.raises(InvalidRequest):
        other.delete("")
    assert other.is_complete(ID)


def test_a_video_that_another_host_deleted_is_gone_here_too(host, now):
    a, b = host("a"), host("b")
    another = send(a, b"another video")
    send(a)
    with b.in_use(ID):
        pass
    assert len(b.cache.files()) == 1
    a.delete(ID)
    a.delete(ID)
    assert not a.is_known(ID)
    now[0] += REMEMBERED_SECONDS
    with pytest.raises(VideoNotFound), b.in_use(ID):
        pass
    assert b.cache.files() == []
    assert b.is_complete(another)
    send(b)
    assert host("a").is_complete(ID)


def test_a_deletion_that_the_object_store_refuses_is_an_error_and_can_be_repeated(host):
    a = host("a")
    send(a)
    FakeObjects.meddle = failing("delete", VIDEO, PermissionError("Access Denied"))
    with pytest.raises(MediaUnreachable, match="could not delete"):
        a.delete(ID)
    FakeObjects.reset()
    a.delete(ID)
    assert a.objects.sizes() == {}


def test_copies_are_limited_and_those_in_use_stay(host, tmp_path):
    videos = [bytes([number]) * 1000 for number in range(5)]
    ids = [send(host("a"), video) for video in videos]
    b = host("b", cache_bytes=3000)
    for video_id in ids[:3]:
        with b.in_use(video_id) as path:
            os.utime(path, (1000 + ids.index(video_id), 0))  # used one after another, whatever the clock's steps

    def cached() -> set[int]:
        return {ids.index(file.name.removeprefix("main_").partition(".")[0]) for _, _, file in b.cache.files()}

    assert cached() == {0, 1, 2}
    with b.in_use(ids[0]) as held:
        os.utime(held, (1, 0))  # the least recently used by far
        for number in (1, 3):
            with b.in_use(ids[number]):
                pass
        assert cached() == {0, 1, 3}
        assert held.read_bytes() == videos[0]
    with host("c", cache_bytes=10).in_use(ids[4]) as path:  # larger than the cache, but needed
        assert path.read_bytes() == videos[4]


def test_the_use_of_a_copy_does_not_make_it_another_video(host):
    send(host("a"))
    b = host("b")
    with b.in_use(ID) as path:
        os.utime(path, (1, 1))
    with b.in_use(ID) as path:
        assert path.stat().st_mtime == 1  # by this the decoders know the video that they have open
        assert path.stat().st_atime > 1  # by this the cache knows which was used last


def test_the_size_limit_counts_the_object_store(host):
    send(host("a"), b"x" * 2000)
    a, b = (host(name, max_store_gb=4500 / 1e9) for name in "ab")
    video, other = b"y" * 2000, b"z" * 1500
    with pytest.raises(LimitExceeded, match="MAX_STORE_GB"):
        b.missing_offsets(ID, 2501)
    begun = hashlib.sha256(video).hexdigest()
    assert b.write_chunk(begun, "x", 2000, 0, video[:CHUNK]) == [CHUNK]
    send(a, other)  # and so there is no room any more for what was begun at b
    with pytest.raises(LimitExceeded, match="MAX_STORE_GB"):
        b.write_chunk(begun, "x", 2000, CHUNK, video[CHUNK:])
    assert not host("c").is_complete(begun)


def test_a_video_used_where_it_lies_is_known_to_hosts_that_have_the_folder(host, tmp_path):
    (tmp_path / "videos").mkdir()
    video = tmp_path / "videos" / "own.mp4"
    video.write_bytes(DATA)
    host("a").register(str(video))
    b = host("b")
    with b.in_use(ID) as path:
        assert path == video
    with pytest.raises(MediaMissing, match="on another host"):
        host("c", media_roots=()).path(ID)
    assert host("c", media_roots=()).missing_offsets(ID, len(DATA))  # but it may be sent
    b.delete(ID)
    assert video.exists() and not host("a").is_known(ID)


def test_the_folder_of_an_unmounted_disk_is_not_created(host, shared):
    shared.rmdir()
    with pytest.raises(MediaUnreachable, match="no such folder or bucket"):
        send(host("a"))
    assert not shared.exists()


def test_local_videos_are_used_and_can_be_moved_to_the_object_store(host, tmp_path):
    before = MediaFiles(tmp_path / "a" / "main", (), CHUNK)
    send(before)
    a = host("a")
    with a.in_use(ID) as path:
        assert path == before.path(ID)
    [record] = a.local_records()
    a.move_to_objects(record)
    assert list(a.local_records()) == list(a.root.iterdir()) == []
    for name in "ab":
        with host(name).in_use(ID) as path:
            assert path.read_bytes() == DATA


def settings(tmp_path: Path, media: str) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", media=media)


def test_a_folder_is_used_as_it_is(tmp_path, shared):
    """It may be a network folder, and uploads are assembled in it."""
    where = settings(tmp_path, str(shared))
    check_media_reachable(where)
    store = open_media_files(where, "press", CHUNK)
    send(store)
    assert store.path(ID) == shared / "press" / VIDEO
    missing = settings(tmp_path, str(tmp_path / "not-mounted"))
    with pytest.raises(MediaUnreachable, match="this folder does not exist"):
        check_media_reachable(missing)


def test_an_unusable_place_is_reported_at_the_start(tmp_path, shared):
    check_media_reachable(settings(tmp_path, f"fake://{shared}"))
    assert list(shared.iterdir()) == []
    with pytest.raises(MediaUnreachable, match="no such folder or bucket"):
        check_media_reachable(settings(tmp_path, f"fake://{tmp_path}/not-mounted"))
    with pytest.raises(InvalidSetting, match=r"nope://host/videos, which is no URL"):
        check_media_reachable(settings(tmp_path, "nope://host/videos"))


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_scheme_whose_package_is_missing_says_what_to_install(tmp_path):
    with pytest.raises(MediaUnreachable, match=r"s3://bucket/videos, .* not installed \(Install s3fs"):
        check_media_reachable(settings(tmp_path, "s3://bucket/videos"))


def test_an_unreachable_server_is_reported_without_the_password(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        url = f"ftp://user:secret@127.0.0.1:{closed.getsockname()[1]}/videos"
        with pytest.raises(
            MediaUnreachable, match=r"ftp://127\.0\.0\.1:\d+/videos, could not be opened: Conn"
        ) as caught:
            check_media_reachable(settings(tmp_path, url))
    assert "secret" not in str(caught.value) + repr(settings(tmp_path, url))


def test_a_video_that_another_loader_has_just_deleted_is_sent_again(host, shared):
    a, b = host("a"), host("b")
    send(a)
    b.delete(ID)
    assert a.record(ID)  # remembered for a while
    assert a.missing_offsets(ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]
    send(a)
    b.delete(ID)
    assert a.record(ID)
    with pytest.raises(VideoNotFound):
        a.accept(ID, "a title")
    assert list((shared / "main").iterdir()) == []  # no record was put back without its video
    send(a)
    assert b.path(ID).read_bytes() == DATA


def test_a_copy_that_breaks_off_does_not_harm_the_video_that_another_host_stored_meanwhile(host, shared, monkeypatch):
    a, b = host("a"), host("b")
    moved = object_store._Watch.moved

    def break_off(watch: object_store._Watch) -> None:
        moved(watch)
        if FakeObjects.done["open wb", VIDEO]:  # at the first block of b's
            monkeypatch.setattr(object_store._Watch, "moved", moved)
            send(a)
            raise ConnectionError("no route")

    monkeypatch.setattr(object_store._Watch, "moved", break_off)
    send(b)
    with host("c").in_use(ID) as path:
        assert path.read_bytes() == DATA
    assert sorted(file.name for file in (shared / "main").iterdir()) == [VIDEO, RECORD]


@pytest.mark.parametrize("operation", ["open wb", "name"])
def test_a_video_deleted_while_it_is_copied_to_the_object_store_stays_deleted(host, shared, operation):
    a = host("a")

    def delete(did: str, what: str) -> None:
        if (did, what) == (operation, VIDEO):
            FakeObjects.reset()
            a.delete(ID)

    FakeObjects.meddle = delete
    send(a)
    assert list((shared / "main").iterdir()) == list(a.root.iterdir()) == a.cache.files() == []
    assert not a.is_known(ID) and not host("b").is_known(ID)
    send(a)
    assert host("b").is_complete(ID)


def test_the_chunks_of_an_upload_may_reach_any_host(host, shared):
    hosts = [host(name) for name in "abc"]
    for turn, offset in enumerate([*range(0, len(DATA), CHUNK), 0]):  # the first chunk twice
        store = hosts[turn % 3]
        left = store.write_chunk(ID, "a video.mp4", len(DATA), offset, DATA[offset : offset + CHUNK])
        assert left == [at for at in range(0, len(DATA), CHUNK) if at > offset and turn < 5]
    assert sorted(file.name for file in (shared / "main").iterdir()) == [VIDEO, RECORD]
    for store in hosts:
        with store.in_use(ID) as path:
            assert path.read_bytes() == DATA


def test_chunks_that_reach_several_hosts_at_once_arrive_whole(host, shared):
    videos = [random.Random(number).randbytes(2 * CHUNK + 1) for number in range(20)]
    hosts = [host(name) for name in "abc"]

    def send_chunk(turn: int) -> None:
        data, offset = videos[turn // 6], turn % 3 * CHUNK  # each chunk twice
        store = hosts[turn % 7 % 3]
        store.write_chunk(hashlib.sha256(data).hexdigest(), "x.mp4", len(data), offset, data[offset : offset + CHUNK])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send_chunk, range(120)))
    for data in videos:
        video_id = hashlib.sha256(data).hexdigest()
        assert hosts[0].missing_offsets(video_id, len(data)) == []
        with host("d").in_use(video_id) as path:
            assert path.read_bytes() == data


def test_a_host_goes_on_with_an_upload_that_another_one_began(host, now):
    a, b = host("a"), host("b")
    a.write_chunk(ID, "a video.mp4", len(DATA), 0, DATA[:CHUNK])
    assert b.missing_offsets(ID, len(DATA)) == [1000, 2000, 3000, 4000]
    with pytest.raises(InvalidRequest, match="but 4321 when its upload began"):
        b.missing_offsets(ID, 9)
    shutil.rmtree(a.root)  # that host is gone
    assert b.is_complete(send(b))


def test_what_is_left_of_a_damaged_upload_on_another_host_does_no_harm(host, shared):
    a, b = host("a"), host("b")
    a.write_chunk(ID, "x.mp4", len(DATA), 0, b"?" * CHUNK)
    with pytest.raises(UploadCorrupted):
        send(b)
    assert list((shared / "main").iterdir()) == [] and list(a.root.iterdir())
    b.write_chunk(ID, "x.mp4", len(DATA), 0, DATA[:CHUNK])
    assert a.is_complete(send(a))  # which has a wrong first chunk
    with host("c").in_use(ID) as path:
        assert path.read_bytes() == DATA


def test_an_upload_deleted_on_one_host_is_gone_on_all(host, shared, now):
    a, b = host("a"), host("b")
    a.write_chunk(ID, "x.mp4", len(DATA), 0, DATA[:CHUNK])
    b.delete(ID)
    assert list((shared / "main").iterdir()) == []
    now[0] += REMEMBERED_SECONDS
    assert a.missing_offsets(ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]
    assert b.is_complete(send(a))


def test_abandoned_chunks_are_deleted_where_another_upload_needs_their_room(host, shared):
    a, b = (host(name, max_store_gb=10_000 / 1e9) for name in "ab")
    begun = hashlib.sha256(b"x" * 6000).hexdigest()
    a.write_chunk(begun, "x", 6000, 0, b"x" * CHUNK)
    video = b"y" * 9500
    with pytest.raises(LimitExceeded):
        send(b, video)
    [chunk] = (shared / "main" / f"{begun}.chunks").iterdir()
    os.utime(chunk, (1, 1))
    with pytest.raises(LimitExceeded):
        send(b, b"z" * 11_000)
    assert chunk.exists()  # its room would not have been enough
    assert b.is_complete(send(b, video))
    assert not chunk.exists()


def test_chunks_are_deleted_after_a_day(host, shared, tmp_path):
    chunks = {}
    for number, (name, library) in enumerate((("a", "main"), ("a", "press"), ("b", "main"))):
        data = bytes([number]) * 2 * CHUNK
        video_id = hashlib.sha256(data).hexdigest()
        host(name, library).write_chunk(video_id, "x", len(data), 0, data[:CHUNK])
        [chunks[number]] = (shared / library / f"{video_id}.chunks").iterdir()
    for number in (0, 1):
        os.utime(chunks[number], (1, 1))
    drop_all_abandoned(settings(tmp_path, f"fake://{shared}"), 24 * 3600)
    assert [chunk.exists() for chunk in chunks.values()] == [False, False, True]


def test_abandoned_chunks_are_deleted_oldest_first_and_no_more_than_needed(host, shared):
    a, b = host("a"), host("b", max_store_gb=10_500 / 1e9)
    chunks = []
    for number in sorted(range(4), key=lambda number: hashlib.sha256(bytes([number]) * 6000).hexdigest(), reverse=True):
        data = bytes([number]) * 6000  # in the order in which no store lists them
        a.write_chunk(hashlib.sha256(data).hexdigest(), "x", len(data), 0, data[:CHUNK])
        [chunk] = (shared / "main" / f"{hashlib.sha256(data).hexdigest()}.chunks").iterdir()
        os.utime(chunk, (len(chunks) + 1, len(chunks) + 1))
        chunks.append(chunk)
    send(b, b"y" * 8000)
    assert [chunk.exists() for chunk in chunks] == [False, False, True, True]


def test_a_size_that_becomes_old_while_it_is_read_is_no_error(host, tmp_path, shared):
    a = host("a")
    send(a)
    hours = itertools.count(0, 3600)
    b = SharedMediaFiles(
        tmp_path / "b",
        (),
        CHUNK,
        objects=a.objects,
        cache=a.cache,
        library="main",
        max_store_gb=4400 / 1e9,
        clock=lambda: next(hours),
    )
    for _ in range(2):
        assert b._measure_used_bytes() == len(DATA)


def test_an_upload_that_goes_on_after_it_was_found_abandoned_stays(host, shared):
    a = host("a")
    a.write_chunk(ID, "x", len(DATA), 0, DATA[:CHUNK])
    [chunk] = (shared / "main" / f"{ID}.chunks").iterdir()
    os.utime(chunk, (1, 1))
    [found] = a.objects.abandoned_chunks(2)
    host("b").write_chunk(ID, "x", len(DATA), CHUNK, DATA[CHUNK : 2 * CHUNK])
    a.objects.delete_chunks(found)
    assert chunk.exists()


def test_an_upload_that_is_being_stored_does_not_look_abandoned(host, shared, tmp_path, monkeypatch):
    monkeypatch.setattr(object_upload, "SIGN_SECONDS", 0.01)
    left = []

    def age_and_drop(did: str, what: str) -> None:
        if (did, what) == ("open wb", VIDEO):
            for file in (shared / "main" / f"{ID}.chunks").iterdir():
                os.utime(file, (1, 1))
            deadline = time.monotonic() + 20
            while a.objects.abandoned_chunks(2) and time.monotonic() < deadline:  # until the next sign of life
                pass
            drop_all_abandoned(settings(tmp_path, f"fake://{shared}"), 3600)
            left.append((shared / "main" / f"{ID}.chunks").exists())

    a = host("a")
    monkeypatch.setattr(FakeObjects, "meddle", staticmethod(age_and_drop))
    send(a)
    assert left == [True] and a.is_complete(ID)
    assert sorted(file.name for file in (shared / "main").iterdir()) == [VIDEO, RECORD]


def test_a_store_that_lists_a_folder_in_itself_has_abandoned_uploads_too(host, shared, monkeypatch):
    a = host("a")
    a.write_chunk(ID, "x", len(DATA), 0, DATA[:CHUNK])
    folder = shared / "main" / f"{ID}.chunks"
    os.utime(next(folder.iterdir()), (1, 1))
    listed = a.objects._list
    itself = {"name": f"{folder}/", "type": "directory", "size": 0}
    monkeypatch.setattr(a.objects, "_list", lambda path: [*listed(path), *([itself] if path == str(folder) else [])])
    [found] = a.objects.abandoned_chunks(2)
    a.objects.delete_chunks(found)
    assert not folder.exists()


def test_nothing_but_the_chunks_of_uploads_counts_as_abandoned(host, shared, tmp_path):
    strange = ["main/notes.chunks/a", f"main/{ID[:-1]}G.chunks/a", f"Not a library/{ID}.chunks/a"]
    strange += [f"main/{ID}.chunks/more/a", f"press/{ID}.chunks/more/a", f"press/{ID}.chunks/1-0-00000000"]
    for name in strange:
        (shared / name).parent.mkdir(parents=True, exist_ok=True)
        (shared / name).write_bytes(b"?")
        os.utime(shared / name, (1, 1))
    begun = shared / "main" / f"{'a' * 64}.chunks"  # its first chunk comes in a moment
    begun.mkdir()
    assert host("a").objects.measure_videos() == 0
    drop_all_abandoned(settings(tmp_path, f"fake://{shared}"), 24 * 3600)
    assert begun.exists() and all((shared / name).exists() for name in strange)


def test_the_size_limit_is_over_all_libraries_of_the_object_store(host):
    send(host("a", "one"), b"x" * 2000)
    send(host("a", "other"), b"y" * 2000)
    third = host("a", "third", max_store_gb=4500 / 1e9)
    FakeObjects.done.clear()
    with pytest.raises(LimitExceeded, match="MAX_STORE_GB"):
        send(third, b"z" * 501)
    send(third, b"z" * 500)
    assert FakeObjects.done["list", "one"] <= 3  # not once a chunk
