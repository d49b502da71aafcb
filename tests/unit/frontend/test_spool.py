"""Large uploads: written to a file as they arrive, and handed over once, for a ticket."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipseek.api.errors import LimitExceeded, StoreFull
from clipseek.config.settings import Settings
from frontend.uploads.queue_folder import QueueFolder, Task
from frontend.uploads.quirks import Spool, UploadBody

HEAD = b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\n'
END = b"\r\n--xyz--\r\n"
VIDEO = b"\r\n\r\n--xyz video \r\n--xy" * 50


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 100_000])
def test_the_file_is_what_lies_between_the_boundaries(piece_bytes):
    body, file = HEAD + VIDEO + END, io.BytesIO()
    upload = UploadBody(b"xyz", file)
    for start in range(0, len(body), piece_bytes):
        upload.feed(body[start : start + piece_bytes])
    upload.finish()
    assert file.getvalue() == VIDEO
    assert upload.head == HEAD and upload.end == END


def test_an_incomplete_upload_is_refused():
    upload = UploadBody(b"xyz", io.BytesIO())
    upload.feed(HEAD + VIDEO)
    with pytest.raises(ValueError, match="is incomplete"):
        upload.finish()
    with pytest.raises(ValueError, match="do not end"):
        UploadBody(b"xyz", io.BytesIO()).feed(b"x" * 70_000)


def test_a_ticket_works_once_and_expires(tmp_path):
    now = [0.0]
    spool = Spool(lambda: now[0])
    video, late = tmp_path / "video.part", tmp_path / "late.part"
    late.write_bytes(b"late")
    ticket = spool.put(video)
    assert spool.take(b"video") is None
    assert spool.take(ticket) is video and spool.take(ticket) is None
    stale = spool.put(late)
    now[0] = 99.0
    spool.drop_old(100)
    assert late.exists()
    now[0] = 100.0
    spool.drop_old(100)
    assert not late.exists() and spool.take(stale) is None


@pytest.fixture
def queue(tmp_path):
    (tmp_path / "page" / "queue").mkdir(parents=True)
    return tmp_path / "page" / "queue"


def test_uploads_that_arrive_or_wait_count_towards_the_limits_of_the_store(tmp_path, queue):
    settings = Settings(home=tmp_path, max_store_gb=10_000 / 1e9, max_video_gb=6000 / 1e9)
    for library in (tmp_path / "media", tmp_path / "libraries" / "other" / "media"):
        library.mkdir(parents=True)
        (library / f"{library.parent.name}.film.mp4").write_bytes(bytes(1000))
    (queue / "1.upload").write_bytes(bytes(1000))
    spool = Spool()
    arriving = spool.begin(queue, 5000, settings)
    arriving.write_bytes(bytes(4000))
    assert spool.begin(queue, 2000, settings).exists()
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_STORE_GB"):
        spool.begin(queue, 1, settings)
    spool.drop(arriving)
    assert not arriving.exists()
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_VIDEO_GB"):
        spool.begin(queue, 6001, settings)
    assert spool.begin(queue, 5000, settings).exists()


def test_a_small_upload_has_the_same_limits(tmp_path, queue, monkeypatch):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path))
    monkeypatch.setenv("CLIPSEEK_MAX_STORE_GB", "1e-6")
    folder = QueueFolder(queue)
    folder.store_upload(1, io.BytesIO(bytes(600)))
    assert folder.upload(1).stat().st_size == 600
    with pytest.raises(LimitExceeded, match=r"of the page's queue, with this upload 1\.2 kB"):
        folder.store_upload(2, io.BytesIO(bytes(600)))
    assert not folder.upload(2).exists()


def test_the_folder_of_a_second_page_that_was_killed_is_deleted_by_the_next_one(tmp_path):
    """Each page is a process: the system releases the lock of one that is killed."""
    code = "from frontend.media.page_folder import page_folder; print(page_folder(), flush=True); input()"
    environment = os.environ | {"CLIPSEEK_HOME": str(tmp_path)}

    def start() -> tuple[subprocess.Popen[str], Path]:
        page = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return page, Path(page.stdout.readline().strip())

    pages = [start() for _ in range(3)]
    try:
        folders = [folder for _, folder in pages]
        assert folders[0] == tmp_path / "page" and {folder.parent for folder in folders[1:]} == {
            tmp_path / "other-pages"
        }
        pages[1][0].kill()
        pages[1][0].wait()
        assert folders[1].exists()
        pages.append(start())
        assert [folder.exists() for folder in folders] == [True, False, True]
    finally:
        for page, _ in pages:
            page.communicate("\n")
    assert not any((tmp_path / "other-pages").iterdir())


def test_an_upload_is_on_the_disk_before_its_task_is(queue, monkeypatch):
    synced, real = [], os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    folder = QueueFolder(queue)
    for number, upload in enumerate((io.BytesIO(b"video"), queue / "spooled.part"), 1):
        if isinstance(upload, Path):
            upload.write_bytes(b"video")
        folder.store_upload(number, upload)
        folder.save_task(number, Task("a video", 5, is_upload=True))
        assert synced == [f"{number}.upload", f"{number}.draft", "queue"]
        synced.clear()


def test_a_spooled_upload_that_cannot_be_queued_leaves_no_file(queue, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = QueueFolder(queue)
    (queue / "spooled.part").write_bytes(b"video")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreFull):
        folder.store_upload(1, queue / "spooled.part")
    assert not list(queue.iterdir())
