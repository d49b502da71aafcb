"""Stores of 0.1 in the real Flow: whole ones open, divided ones are refused with the command that joins them."""

import json
import shutil
import sqlite3
import time
import zlib
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic import videos
from clipseek.schema import Video
from executors.faiss_indexer.store.records import Frames
from tests.flow.conftest import run
from tests.unit.video_loader.test_time_zero import make_late

# What this version has added, and 0.1 knows nothing of.
MADE_OLD = (
    "DROP TABLE changes",
    "DROP TABLE jobs",
    "DROP INDEX spans_facts",
    "ALTER TABLE spans DROP COLUMN checksum",
    *(f"ALTER TABLE videos DROP COLUMN {name}" for name in ("first_seconds", "timecode", "timecode_rate")),
    "DELETE FROM meta WHERE key = 'store_id'",
    "PRAGMA user_version = 3",
)


@pytest.fixture(scope="module")
def original(launch, tmp_path_factory, tiny_model):
    """The home of a service of 0.1 with two videos, and what a search finds there."""
    home = tmp_path_factory.mktemp("original")
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model))
    with server.client() as client:
        for number in range(2):
            client.index(videos.make(home / f"{number}.mp4", frames=40 + 10 * number, fps=2).path)
        found = matches_of(client)
    assert server.stop() == 0
    with closing(sqlite3.connect(home / "index.db")) as db:
        for statement in MADE_OLD:
            db.execute(statement)
        db.commit()
    shutil.rmtree(home / "index")
    return home, found


@pytest.fixture
def home(original, tmp_path):
    return Path(shutil.copytree(original[0], tmp_path / "home"))


def matches_of(client):
    found = client.search("a dog", top_k=20, all_matches=True).matches
    return [(match.title, match.start_seconds, match.end_seconds, match.score) for match in found]


def divide(home: Path) -> None:
    """Divide the store in two as 0.1 did."""
    for part in range(2):
        folder = home / "shards-2" / str(part)
        folder.mkdir(parents=True)
        shutil.copy(home / "index.db", folder)
        with closing(sqlite3.connect(folder / "index.db")) as db:
            ids = [row[0] for row in db.execute("SELECT video_id FROM videos")]
            others = [(video_id,) for video_id in ids if zlib.crc32(video_id.encode()) % 2 != part]
            db.executemany("DELETE FROM spans WHERE video_id = ?", others)
            db.executemany("DELETE FROM videos WHERE video_id = ?", others)
            db.commit()
    (home / "index.db").unlink()


def test_a_whole_store_opens_and_a_copy_of_it_stays(original, home, launch, tiny_model):
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model))
    with server.client() as client:
        assert matches_of(client) == original[1] != []
        assert client.index(home / "0.mp4").frames_added == 0
        assert client.index(videos.make(home / "new.mp4", frames=20, fps=2).path).frames_added > 0
    assert server.stop() == 0
    with closing(sqlite3.connect(home / "index.db.format3-backup")) as db:
        assert db.execute("SELECT COUNT(*) FROM videos").fetchone() == (2,)


def test_a_divided_store_is_refused_until_it_is_joined(original, home, launch, tiny_model):
    divide(home)
    refused = launch(home, ready=False, CLIPSEEK_MODEL=str(tiny_model))
    assert refused.process.wait(timeout=120) != 0
    refused.reader.join()
    assert f"clipseek store copy {home} {home}" in refused.output
    joined = run(refused, "store", "copy", str(home), str(home))
    assert joined.returncode == 0, joined.stderr
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model))
    with server.client() as client:
        assert sorted(matches_of(client)) == sorted(original[1])
    assert server.stop() == 0


def make_times_old(home: Path, video: Video) -> None:
    """Have a video's times count from its first picture, as in 0.1, which knew of no gap before it."""
    late, old_end = video.first_seconds, video.duration_seconds - video.first_seconds
    with closing(sqlite3.connect(home / "index.db")) as db:
        columns = "frames, pts_seconds, vectors, cut_seconds, blank"
        ((span_id, *blobs),) = db.execute(f"SELECT span_id, {columns} FROM spans")
        new = Frames.from_blobs(*blobs)
        assert new.pts_seconds[:2].tolist() == [0.0, late] and new.cut_seconds[0] == late
        old = Frames(new.pts_seconds[1:] - late, new.vectors[1:], new.cut_seconds[1:] - late, new.blank[1:])
        db.execute("UPDATE videos SET duration_seconds = ?", (old_end,))
        db.execute(
            f"UPDATE spans SET ({columns}) = (?, ?, ?, ?, ?), end_seconds = ?, checksum = NULL WHERE span_id = ?",
            (*old.to_blobs(), old_end, span_id),
        )
        for statement in MADE_OLD:
            db.execute(statement)
        db.commit()
    shutil.rmtree(home / "index")
    (record,) = (home / "media").glob(f"{video.video_id}.json")
    kept = {name: value for name, value in json.loads(record.read_text()).items() if name != "own_zero"}
    record.write_text(json.dumps(kept))


def test_a_video_whose_pictures_come_late_gets_the_times_of_players_at_the_next_start(launch, tmp_path, tiny_model):
    home = tmp_path / "home"
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model))
    with server.client() as client:
        pictures = videos.scenes(5, side=64)[:, :48]
        path = make_late(tmp_path / "late.mkv", Fraction(9, 5), draw=lambda n: np.ascontiguousarray(pictures[n // 10]))
        video = client.index(path).video
        right = matches_of(client)
    assert server.stop() == 0
    assert video.first_seconds == pytest.approx(1.8, abs=0.01)
    make_times_old(home, video)
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model))
    with server.client() as client:
        deadline = time.monotonic() + 60
        while (found := client.video("late.mkv")).first_seconds < 0 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert (found.first_seconds, found.status) == (video.first_seconds, "ready")
        assert found.duration_seconds == video.duration_seconds
        assert [match[:3] for match in matches_of(client)] == [match[:3] for match in right] != []
        assert client.index(path).frames_added == 0
    assert server.stop() == 0
    with closing(sqlite3.connect(home / "index.db.times-backup")) as db:
        ((seconds,),) = db.execute("SELECT duration_seconds FROM videos")
    assert seconds == pytest.approx(video.duration_seconds - video.first_seconds)
