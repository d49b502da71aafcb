"""Replicas of the loader share a folder of videos: chunks of one upload reach any of them, at the same time."""

import hashlib
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from executors.machine.folder_cache import FolderLocks
from executors.video_loader.media.media_files import MediaFiles

CHUNK = 64
SPAWN = multiprocessing.get_context("spawn")


VIDEOS = 150


def content(number: int) -> bytes:
    return random.Random(number).randbytes(CHUNK + 1 + number % CHUNK)


def send(root: Path, number: int, offset: int) -> None:
    """Store one chunk, as a replica does."""
    data = content(number)
    video_id = hashlib.sha256(data).hexdigest()
    store = MediaFiles(root, (), CHUNK)
    store.write_chunk(video_id, f"video {number}", len(data), offset, data[offset : offset + CHUNK])


def count_up(folder: Path, times: int) -> None:
    locks, file = FolderLocks(folder), folder / "count"
    for _ in range(times):
        with locks["it"]:
            file.write_text(str(int(file.read_text()) + 1))


def test_uploads_whose_chunks_reach_several_processes_arrive_whole(tmp_path):
    root = tmp_path / "media"
    work = [(number, offset) for number in range(VIDEOS) for offset in range(0, len(content(number)), CHUNK)]
    work = [chunk for chunk in work for _ in range(2)]  # each twice, at about the same time
    with ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        list(pool.map(send, [root] * len(work), *zip(*work, strict=True)))
    store = MediaFiles(root, (), CHUNK)
    for number in range(VIDEOS):
        video_id = hashlib.sha256(content(number)).hexdigest()
        assert store.path(video_id).read_bytes() == content(number)
        assert store.record(video_id).title == f"video {number}"
    assert not list(root.glob("*.part")) + list(root.glob("*.chunks"))


def test_one_process_at_a_time_holds_a_lock(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "count").write_text("0")
    with ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        list(pool.map(count_up, [folder] * 3, [300] * 3))
    assert (folder / "count").read_text() == "900"
