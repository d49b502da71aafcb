"""Uploads in chunks, registered files, and refusals."""

import errno
import hashlib
import json
import os
import random
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipseek.api.errors import (
    EmptyFile,
    FileMissing,
    InvalidRequest,
    LimitExceeded,
    MediaMissing,
    NoVideosFound,
    PathNotAllowed,
    StoreFull,
    StoreReadOnly,
    UploadCorrupted,
    VideoNotFound,
)
from clipseek.api.formats import plain_title
from executors.video_loader.media import partial_upload
from executors.video_loader.media.media_files import MediaFiles

CHUNK = 1000
DATA = random.Random(7).randbytes(4321)
VIDEO_ID = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> MediaFiles:
    return MediaFiles(tmp_path / "media", (tmp_path / "videos",), CHUNK)


def send(store: MediaFiles, offset: int, title: str = "a video.mp4") -> list[int]:
    return store.write_chunk(VIDEO_ID, title, len(DATA), offset, DATA[offset : offset + CHUNK])


def test_chunks_in_any_order_and_twice_make_the_file(store: MediaFiles) -> None:
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]
    assert send(store, 4000) == [0, 1000, 2000, 3000]
    assert send(store, 1000) == [0, 2000, 3000]
    assert send(store, 1000) == [0, 2000, 3000]
    assert send(store, 0) == [2000, 3000]
    assert send(store, 3000) == [2000]
    assert not store.is_complete(VIDEO_ID)
    assert send(store, 2000) == []
    assert store.path(VIDEO_ID).read_bytes() == DATA
    assert store.path(VIDEO_ID).suffix == ".mp4"
    assert store.record(VIDEO_ID).title == "a video.mp4"
    assert sorted(file.suffix for file in store.root.iterdir()) == [".json", ".mp4"]


def test_an_upload_goes_on_in_another_process(store: MediaFiles) -> None:
    send(store, 0)
    send(store, 3000)
    again = MediaFiles(store.root, (), CHUNK)
    assert again.missing_offsets(VIDEO_ID, len(DATA)) == [1000, 2000, 4000]
    for offset in (1000, 2000, 4000):
        missing = send(again, offset)
    assert missing == []
    assert again.path(VIDEO_ID).read_bytes() == DATA


def test_a_chunk_whose_mark_was_not_written_is_requested_again(
    store: MediaFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = partial_upload._write_all

    def killed_after_data(descriptor: int, data: bytes, offset: int) -> None:
        if data == b"\x01":
            raise KeyboardInterrupt
        write_all(descriptor, data, offset)

    monkeypatch.setattr(partial_upload, "_write_all", killed_after_data)
    with pytest.raises(KeyboardInterrupt):
        send(store, 1000)
    assert 1000 in store.missing_offsets(VIDEO_ID, len(DATA))


def test_a_crash_between_record_and_rename_leaves_an_upload_that_can_be_completed(
    store: MediaFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for offset in range(0, 4000, CHUNK):
        send(store, offset)
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        send(store, 4000)
    monkeypatch.undo()
    assert not store.is_complete(VIDEO_ID)
    with pytest.raises(VideoNotFound):
        store.path(VIDEO_ID)
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [4000]
    assert send(store, 4000) == []
    assert store.path(VIDEO_ID).read_bytes() == DATA


def test_chunks_at_the_same_time(store: MediaFiles) -> None:
    data = random.Random(1).randbytes(100 * CHUNK)
    video_id = hashlib.sha256(data).hexdigest()
    barrier = threading.Barrier(4)

    def worker(number: int) -> None:
        barrier.wait()
        for offset in range(0, len(data), CHUNK):
            if offset // CHUNK % 4 in {number, (number + 1) % 4}:  # each chunk comes twice
                store.write_chunk(video_id, "x.mkv", len(data), offset, data[offset : offset + CHUNK])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    assert store.path(video_id).read_bytes() == data


def test_existing_content_needs_no_upload(store: MediaFiles) -> None:
    for offset in range(0, len(DATA), CHUNK):
        send(store, offset)
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == []
    assert send(store, 2000, "another name.mov") == []
    assert store.record(VIDEO_ID).title == "a video.mp4"


def test_damaged_data_is_discarded(store: MediaFiles) -> None:
    for offset in range(0, 4000, CHUNK):
        send(store, offset)
    with pytest.raises(UploadCorrupted, match=VIDEO_ID):
        store.write_chunk(VIDEO_ID, "a video.mp4", len(DATA), 4000, b"x" * 321)
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("video_id", ["", "../../etc/passwd", VIDEO_ID.upper(), VIDEO_ID[:-1], VIDEO_ID + "\n"])
def test_an_invalid_id_is_refused(store: MediaFiles, video_id: str) -> None:
    for call in (store.path, store.delete, lambda v: store.missing_offsets(v, 1)):
        with pytest.raises(InvalidRequest, match="SHA-256"):
            call(video_id)


@pytest.mark.parametrize(
    ("offset", "data", "says"),
    [
        (500, DATA[500:1500], "Offset 500"),
        (5000, b"", "Offset 5000"),
        (-1000, DATA[:CHUNK], "Offset -1000"),
        (0, DATA[:999], "999 bytes, but 1000"),
        (4000, DATA[3000:4000], "1000 bytes, but 321"),
    ],
)
def test_a_chunk_that_does_not_fit(store: MediaFiles, offset: int, data: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        store.write_chunk(VIDEO_ID, "x", len(DATA), offset, data)


def test_another_size_than_announced_before(store: MediaFiles) -> None:
    send(store, 0)
    with pytest.raises(InvalidRequest, match=r"5000 bytes are announced.*4321"):
        store.missing_offsets(VIDEO_ID, 5000)


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_file(store: MediaFiles, size: int) -> None:
    with pytest.raises(EmptyFile):
        store.missing_offsets(VIDEO_ID, size)


def test_a_full_disk_is_noticed_before_writing(store: MediaFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 10**12 - 10**6, 10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(StoreFull, match=r"needs 4\.3 kB, 1\.0 MB are free"):
        send(store, 0)
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_counts_nothing_as_arrived(
    store: MediaFiles, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fails(*_: object) -> int:
        raise OSError(code, "full")

    monkeypatch.setattr(os, "pwrite", fails)
    with pytest.raises(StoreFull, match="disk of"):
        send(store, 1000)
    monkeypatch.undo()
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_disk_that_becomes_read_only_counts_nothing_as_arrived(
    store: MediaFiles, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fails(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", fails)
    with pytest.raises(StoreReadOnly, match="is read-only"):
        send(store, 1000)
    monkeypatch.undo()
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]


def test_a_video_is_on_the_disk_before_it_counts_as_stored(store: MediaFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    for offset in range(0, len(DATA), CHUNK):
        send(store, offset)
    chunk = [f"{VIDEO_ID}.part", f"{VIDEO_ID}.chunks"]  # the data first
    stored = [f"{VIDEO_ID}.part", f"{VIDEO_ID}.json-part", "media", "media"]
    assert synced == [*chunk, "media", *chunk * 4, *stored, "media"]


def test_a_registered_video_is_not_copied_and_not_deleted(store: MediaFiles, tmp_path: Path) -> None:
    video = tmp_path / "videos" / "sub folder" / "holiday; rm -rf.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(DATA)
    record = store.register(str(video))
    assert (record.video_id, record.title, record.size_bytes) == (VIDEO_ID, "holiday; rm -rf.mp4", len(DATA))
    assert store.path(VIDEO_ID) == video
    assert [r.video_id for r in store.records()] == [VIDEO_ID]
    store.delete(VIDEO_ID)
    store.delete(VIDEO_ID)
    assert video.read_bytes() == DATA
    with pytest.raises(VideoNotFound):
        store.path(VIDEO_ID)


def test_a_registered_video_that_was_changed_or_moved(store: MediaFiles, tmp_path: Path) -> None:
    video = tmp_path / "videos" / "x.mp4"
    video.parent.mkdir()
    video.write_bytes(DATA)
    store.register(str(video))
    os.utime(video, ns=(1, 1))
    with pytest.raises(MediaMissing, match="was changed"):
        store.path(VIDEO_ID)
    video.unlink()
    with pytest.raises(MediaMissing, match="Put it back"):
        store.path(VIDEO_ID)
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]


def test_paths_outside_the_allowed_folders(store: MediaFiles, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(DATA)
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "link.mp4").symlink_to(secret)
    for path in (secret, videos / "link.mp4", videos / ".." / "secret.mp4", tmp_path / "videos-too" / "x.mp4"):
        with pytest.raises(PathNotAllowed, match="CLIPSEEK_MEDIA_ROOTS"):
            store.register(str(path))
    with pytest.raises(FileMissing):
        store.register(str(videos / "none.mp4"))
    (videos / "empty.mp4").touch()
    with pytest.raises(EmptyFile):
        store.register(str(videos / "empty.mp4"))


def test_add_file_copies_a_local_video(store: MediaFiles, tmp_path: Path) -> None:
    video = tmp_path / "x.webm"
    video.write_bytes(DATA)
    assert store.add_file(video) == store.add_file(video)
    assert store.path(VIDEO_ID).read_bytes() == DATA


def test_delete_removes_an_upload_on_its_way(store: MediaFiles) -> None:
    send(store, 0)
    store.delete(VIDEO_ID)
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("AC/DC <b>live</b>; 猫.mp4", "AC/DC <b>live</b>; 猫.mp4"),
        ("a\nb\x00c.mp4", "abc.mp4"),
        ("", "untitled"),
        ("猫" * 300, "猫" * 300),
        ("x" * 2000, "x" * 1000),
        ("Cafe\u0301.mp4", "Caf\u00e9.mp4"),  # as macOS writes it
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467.mp4", "\U0001f468\u200d\U0001f469\u200d\U0001f467.mp4"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("a\u202egpj.mp4\u2066", "agpj.mp4"),
        ("\u200d \u200c", "untitled"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert plain_title(name) == title


@pytest.mark.parametrize(
    ("title", "suffix"), [("x.MKV", ".mkv"), ("x.mp4;rm", ".film"), ("x", ".film"), ("x.json", ".json")]
)
def test_the_suffix_is_only_a_hint(store: MediaFiles, title: str, suffix: str) -> None:
    for offset in range(0, len(DATA), CHUNK):
        send(store, offset, title)
    assert store.path(VIDEO_ID).suffix == suffix
    assert store.record(VIDEO_ID).title == title


def test_the_videos_below_an_allowed_folder(store: MediaFiles, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    (videos / "more").mkdir(parents=True)
    for name in ("b.mp4", "more/a.mkv", "notes.txt"):
        (videos / name).write_bytes(b"x")
    assert store.folders.list_videos(str(videos)) == [videos / "b.mp4", videos / "more" / "a.mkv"]
    assert store.folders.list_videos(str(videos / "b.mp4")) == [videos / "b.mp4"]
    (videos / "none").mkdir()
    for asked, error in (
        (videos / "none", NoVideosFound),
        (videos / "nowhere", FileMissing),
        (tmp_path, PathNotAllowed),
        (videos / "..", PathNotAllowed),
    ):
        with pytest.raises(error):
            store.folders.list_videos(str(asked))


def test_the_refusal_of_a_long_path_is_short(store: MediaFiles, tmp_path: Path) -> None:
    """A path of megabytes would fill answers and logs."""
    for path in (tmp_path / ("x/" * 40_000), tmp_path / ("x" * 80_000), tmp_path / "videos" / ("x/" * 1000)):
        with pytest.raises((PathNotAllowed, FileMissing)) as refused:
            store.folders.list_videos(str(path))
        assert len(str(refused.value)) < 600


def test_links_that_lead_out_of_the_allowed_folders_are_not_listed(tmp_path: Path) -> None:
    one, two, secret = tmp_path / "one", tmp_path / "two", tmp_path / "secret"
    for folder in (one, two, secret):
        folder.mkdir()
        (folder / "video.mp4").write_bytes(DATA)
    store = MediaFiles(tmp_path / "media", (one, two), CHUNK)
    (one / "file.mp4").symlink_to(secret / "video.mp4")
    (one / "folder").symlink_to(secret)
    (one / "indirect.mp4").symlink_to(one / "folder" / "video.mp4")
    (one / "broken.mp4").symlink_to(secret / "none.mp4")
    (one / "loop.mp4").symlink_to(one / "loop.mp4")
    (one / "allowed.mp4").symlink_to(two / "video.mp4")
    assert store.folders.list_videos(str(one)) == [one / "allowed.mp4", one / "video.mp4"]
    (one / "allowed.mp4").unlink()
    (one / "video.mp4").unlink()
    with pytest.raises(NoVideosFound):
        store.folders.list_videos(str(one))


def test_what_lies_outside_is_refused_alike_whether_it_exists_or_not(store: MediaFiles, monkeypatch) -> None:
    def forbidden(path: Path, **_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", forbidden)
    with pytest.raises(PathNotAllowed, match="CLIPSEEK_MEDIA_ROOTS"):
        store.folders.resolve("/elsewhere/secret.mp4")


def test_equal_videos_of_two_stores_share_their_bytes_where_links_can_be_made(tmp_path, monkeypatch):
    roots = [tmp_path / name for name in ("a", "b", "c")]
    a, b, c = (MediaFiles(root, (), CHUNK, all_roots=lambda: roots) for root in roots)
    video = tmp_path / "video.mp4"
    video.write_bytes(b"x" * (CHUNK + 1))
    first = a.add_file(video)
    assert b.missing_offsets(first.video_id, first.size_bytes) == [0, CHUNK]  # a hash alone reveals nothing
    b.add_file(video)

    def no_links(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", no_links)
    c.add_file(video)
    inodes = [store.path(first.video_id).stat().st_ino for store in (a, b, c)]
    assert inodes[0] == inodes[1] != inodes[2]
    a.delete(first.video_id)
    assert [store.path(first.video_id).read_bytes() for store in (b, c)] == [video.read_bytes()] * 2
    assert all(len(list(root.iterdir())) == 2 for root in roots[1:])  # video and record, no remains


def test_all_videos_together_have_a_size_limit_and_one_deleted_meanwhile_does_no_harm(tmp_path):
    store = MediaFiles(tmp_path, (), CHUNK, max_store_gb=3000 / 1e9)
    (tmp_path / "deleted.film.mp4").symlink_to(tmp_path / "nowhere")  # listed, but gone when it is measured
    (tmp_path / f"{'b' * 64}.film").write_bytes(bytes(1500))
    assert store.missing_offsets("a" * 64, 1500)
    with pytest.raises(LimitExceeded, match="MAX_STORE_GB"):
        store.missing_offsets("a" * 64, 1501)


def test_only_a_video_that_could_never_be_read_is_refused(store: MediaFiles) -> None:
    def upload() -> Path:
        for offset in range(0, len(DATA), CHUNK):
            send(store, offset)
        return store.path(VIDEO_ID)

    path = upload()
    store.refuse(VIDEO_ID)
    store.refuse(VIDEO_ID)
    assert not path.exists() and not store.is_known(VIDEO_ID)
    upload()
    assert store.accept(VIDEO_ID).title == "a video.mp4"
    MediaFiles(store.root, (), CHUNK).refuse(VIDEO_ID)  # as another loader would, or this one after a restart
    assert path.read_bytes() == DATA
    assert store.accept(VIDEO_ID, "another title").title == "another title"
    record = json.loads((store.root / f"{VIDEO_ID}.json").read_text())
    assert "untried" not in record  # records of earlier versions lack it too
    assert record["title"] == "another title"


def test_a_known_video_that_comes_again_is_not_refused(store: MediaFiles, tmp_path: Path) -> None:
    video = tmp_path / "videos" / "a video.mp4"
    video.parent.mkdir()
    video.write_bytes(DATA)
    store.register(str(video))
    store.accept(VIDEO_ID)
    moved = video.replace(video.with_name("moved.mp4"))
    store.register(str(moved))
    store.refuse(VIDEO_ID)
    assert store.path(VIDEO_ID) == moved
    moved.unlink()
    for offset in range(0, len(DATA), CHUNK):
        send(store, offset)
    store.refuse(VIDEO_ID)
    assert store.path(VIDEO_ID).read_bytes() == DATA


def test_marks_of_an_upload_that_is_gone_count_for_nothing(store: MediaFiles) -> None:
    (store.root / f"{VIDEO_ID}.chunks").write_bytes(b"\x01" * 5)  # a server was killed while it deleted an upload
    assert store.missing_offsets(VIDEO_ID, len(DATA)) == [0, 1000, 2000, 3000, 4000]
    assert send(store, 0) == [1000, 2000, 3000, 4000]
    for offset in range(1000, len(DATA), CHUNK):
        send(store, offset)
    assert store.path(VIDEO_ID).read_bytes() == DATA


@pytest.mark.parametrize("drop", ["delete", "corrupt"])
def test_a_server_killed_while_it_deletes_an_upload_leaves_no_marks(
    store: MediaFiles, drop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for offset in range(0, 4000, CHUNK):
        store.write_chunk(
            VIDEO_ID, "a video.mp4", len(DATA), offset, bytes(CHUNK) if drop == "corrupt" else DATA[:CHUNK]
        )
    order, unlink = [], Path.unlink

    def noted(path: Path, missing_ok: bool = False) -> None:
        order.append(path.suffix)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", noted)
    if drop == "delete":
        store.delete(VIDEO_ID)
    else:
        with pytest.raises(UploadCorrupted):
            send(store, 4000)
    assert order.index(".chunks") < order.index(".part")


def test_the_size_of_the_videos_leaves_out_those_used_in_place(store: MediaFiles, tmp_path: Path) -> None:
    for offset in range(0, len(DATA), CHUNK):
        send(store, offset)
    linked = tmp_path / "videos" / "linked.mp4"
    linked.parent.mkdir()
    linked.write_bytes(DATA * 2)
    store.register(str(linked))
    assert store.facts() == {"media_files": "2", "media_bytes": str(len(DATA))}
