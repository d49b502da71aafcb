"""`clipseek store copy`: every video and byte arrives, in every direction, also if it is killed and run again."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock

from clipseek.api.errors import InvalidRequest, StoreCorrupt, StoreError
from clipseek.cli.main import main
from clipseek.config.libraries import library_folder
from executors.faiss_indexer.store import copying
from executors.faiss_indexer.store.copying import Copied, copy_stores
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.postgres import PostgresDatabase
from executors.faiss_indexer.store.sqlite import SqliteDatabase
from executors.faiss_indexer.store.store import Store
from tests.indexer_service import MODEL, PRESS, Service, fill, registered, span_of, told, video_id
from tests.postgres import new_database

VIDEOS = 12
EVERYTHING = (
    f"SELECT {copying._VIDEO} FROM videos ORDER BY rowid",
    f"SELECT video_id, {copying._SPAN}, checksum FROM spans ORDER BY video_id, start_seconds",
    "SELECT key, value FROM meta WHERE key IN ('model_id', 'model_name', 'fitted_shift', 'store_id') ORDER BY key",
)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A store with two libraries, a fitted shift, and a video that is indexed in part."""
    home = tmp_path_factory.mktemp("original")
    service = Service(home)
    fill(service, VIDEOS)
    service.ask("/probe", registered(77))
    service.put_half(77)
    service.ask("/probe", registered(5), PRESS)
    service.ask("/index", span_of(5), PRESS)
    service.executors[0].library("main").store.keep_fitted_shift(0.125, MODEL)
    service.close()
    return home


@pytest.fixture
def home(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "home"))


def everything(place: Path | str, library: str = "main") -> list[list[Any]]:
    """All that a store holds of videos, spans and itself."""
    if isinstance(place, Path):
        database: Database = SqliteDatabase(library_folder(place, library) / "index.db", "ro")
    else:
        database = PostgresDatabase(place, library)
    with closing(database):
        return [list(database.rows(statement)) for statement in EVERYTHING]


def divide(home: Path, parts: int) -> None:
    """Divide the main library as an earlier version did."""
    whole = SqliteDatabase(home / "index.db")
    for part in range(parts):
        folder = home / f"shards-{parts}" / str(part)
        Store(folder).close()
        database = SqliteDatabase(folder / "index.db")
        copying._copy_facts([whole], database)
        for _, _, row in copying._list_videos(whole, 0):
            if zlib.crc32(row[0].encode()) % parts == part:
                copying._copy_video(whole, database, row)
        database.close()
    whole.close()
    for file in home.glob("index.db*"):
        file.unlink()
    shutil.rmtree(home / "index")


def test_there_and_back_again_every_byte_is_the_same(home, tmp_path, postgres_server):
    before = [everything(home, library) for library in ("main", "press")]
    answers = told(home)
    with new_database(postgres_server) as first, new_database(postgres_server) as second:
        places = [str(home), first, second, str(tmp_path / "again"), str(tmp_path / "last")]
        for source, target in pairwise(places):
            done = copy_stores(source, target)
            assert [(each.library, each.videos, each.copied_videos) for each in done] == [
                ("main", VIDEOS + 1, VIDEOS + 1),
                ("press", 1, 1),
            ]
            there = Path(target) if target.startswith("/") else target
            assert [everything(there, library) for library in ("main", "press")] == before
            assert all(each.copied_videos == 0 for each in copy_stores(source, target))
        assert told(tmp_path / "postgres", first) == answers
    assert told(tmp_path / "last") == answers


def test_a_divided_store_is_joined_in_its_own_folder(home):
    before, answers = everything(home), told(home)
    before = everything(home)
    divide(home, 3)
    with pytest.raises(StoreError, match=r"clipseek store copy .*home .*home"):
        Service(home)
    done = copy_stores(str(home), str(home))
    assert (done[0].library, done[0].videos, done[0].copied_videos) == ("main", VIDEOS + 1, VIDEOS + 1)
    assert everything(home) == before and told(home) == answers
    assert sorted(path.name for path in home.glob("shards*")) == ["shards-3.joined"]
    with pytest.raises(InvalidRequest, match="not divided: there is nothing to copy"):
        copy_stores(str(home), str(home))


def test_a_divided_store_goes_to_postgresql(home, postgres):
    before = everything(home)
    divide(home, 2)
    copy_stores(str(home), postgres, ["main"])
    assert everything(postgres) == before
    assert (home / "shards-2" / "0" / "index.db").exists()


def test_one_of_two_divisions_is_joined(home):
    """A command of an earlier version was interrupted after the new division was complete."""
    before = everything(home)
    shutil.copytree(home, home.with_name("other"))
    divide(home, 2)
    divide(home.with_name("other"), 3)
    shutil.move(home.with_name("other") / "shards-3", home / "shards-3")
    copy_stores(str(home), str(home))
    assert everything(home) == before and not list(home.glob("shards-[0-9]"))


def test_the_store_of_an_early_format_is_copied(tmp_path, postgres):
    source = tmp_path / "old"
    source.mkdir()
    shutil.copy(Path(__file__).parent / "stores" / "format1.db", source / "index.db")
    assert copy_stores(str(source), postgres) == [Copied("main", 1, 1, 4, 1)]
    with Store(PostgresDatabase(postgres, "main")) as store:
        assert store.frame_count() == 4
    assert (source / "index.db.format1-backup").exists()


@pytest.mark.parametrize("direction", ["to postgres", "from postgres", "joined"])
def test_killed_in_the_middle_it_continues(home, tmp_path, postgres, direction):
    before = everything(home)
    source, target = str(home), postgres
    if direction == "from postgres":
        copy_stores(source, postgres, ["main"])
        source, target = postgres, str(tmp_path / "copy")
    elif direction == "joined":
        divide(home, 2)
        target = source
    script = (
        "import os, signal, sys\nfrom executors.faiss_indexer.store import copying\ncount = 0\n"
        "def step(what, done, total):\n"
        "    global count\n    count += 1\n"
        "    if count == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "copying.copy_stores(*sys.argv[1:], ['main'], '', step)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, source, target], check=False)
    assert done.returncode == -signal.SIGKILL
    half = everything(Path(target) if target.startswith("/") else target)
    assert half[0] == before[0][:5]
    assert copy_stores(source, target, ["main"])[0].copied_videos == VIDEOS + 1 - 5
    assert everything(Path(target) if target.startswith("/") else target) == before


def test_what_a_killed_copy_left_half_way_in_a_video_is_replaced(home, tmp_path):
    copy_stores(str(home), str(tmp_path / "copy"))
    with closing(sqlite3.connect(tmp_path / "copy" / "index.db")) as db:
        db.execute("DELETE FROM spans WHERE video_id = ?", (video_id(3),))
        db.commit()
    assert copy_stores(str(home), str(tmp_path / "copy"))[0].copied_videos == 1
    assert everything(tmp_path / "copy") == everything(home)


def test_a_target_with_other_videos_is_left_as_it_is(home, tmp_path, postgres):
    for target in (str(tmp_path / "other"), postgres):
        service = Service(tmp_path / "other", store="" if target != postgres else postgres)
        service.ask("/probe", registered(50))
        service.close()
        with pytest.raises(StoreError, match=r"holds 1 other videos, such as 'video 50'. Nothing was copied"):
            copy_stores(str(home), target)
    assert len(everything(postgres)[0]) == len(everything(tmp_path / "other")[0]) == 1


def test_damage_in_the_source_is_named_and_not_copied(home, postgres):
    for wrong in (b"\0" * 8, "text"):
        with closing(sqlite3.connect(home / "index.db")) as db:
            db.execute("UPDATE spans SET cut_seconds = ? WHERE video_id = ?", (wrong, video_id(1)))
            db.commit()
        with pytest.raises(StoreCorrupt, match=rf"video {video_id(1)[:12]} in .* is damaged.*--repair"):
            copy_stores(str(home), postgres)
    assert video_id(1) not in {row[0] for row in everything(postgres)[0]}


def test_a_copy_that_differs_is_found(home, tmp_path, monkeypatch):
    """The last comparison reads the bytes: it does not trust the checksums that lie beside them."""
    copy_stores(str(home), str(tmp_path / "copy"))
    with closing(sqlite3.connect(tmp_path / "copy" / "index.db")) as db:
        db.execute("UPDATE spans SET blank = zeroblob(frames), checksum = NULL WHERE video_id = ?", (video_id(1),))
        db.execute("UPDATE spans SET cut_seconds = x'0000000000000840' WHERE video_id = ?", (video_id(1),))
        db.commit()
    with pytest.raises(StoreError, match=r"The copy of 'video 1' in .* differs .* run the command again"):
        copy_stores(str(home), str(tmp_path / "copy"))


def test_stores_in_use_and_missing_ones_are_refused(home, tmp_path, postgres):
    with FileLock(home / "server.lock"):
        for source, target in ((str(home), postgres), (postgres, str(home))):
            with pytest.raises(StoreError, match="in use by a server"):
                copy_stores(source, target)
    with pytest.raises(StoreError, match="There is no store in"):
        copy_stores(str(tmp_path / "nothing"), postgres)
    with pytest.raises(StoreError, match="There is no store in"):
        copy_stores(postgres, str(tmp_path / "copy"))
    with pytest.raises(StoreError, match="There is no library 'nope'"):
        copy_stores(str(home), postgres, ["nope"])
    with pytest.raises(StoreError, match="has no store"):
        copy_stores(postgres, str(tmp_path / "copy"), ["nope"])
    divide(home, 2)
    shutil.copytree(home, tmp_path / "second")
    with pytest.raises(StoreError, match="is divided into 2 files"):
        copy_stores(postgres, str(home))


def test_a_running_indexer_follows_what_is_copied_into_its_database(home, tmp_path, postgres):
    service = Service(tmp_path / "running", store=postgres)
    assert service.videos() == []
    copy_stores(str(home), postgres)
    assert len(service.videos()) == VIDEOS + 1
    library = service.executors[0].library("main")
    library.follow()
    assert len(library.index) == library.store.frame_count() == 249
    service.close()


def test_the_command_says_what_it_copied_and_what_stays(home, tmp_path, postgres):
    done = CliRunner().invoke(main, ["store", "copy", str(home), postgres])
    assert done.exit_code == 0, done.output
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["main", "13", "13", "13", "249"],
        ["press", "1", "1", "1", "20"],
    ]
    assert f"CLIPSEEK_STORE={postgres}" in done.stderr.replace("\n", "") and "not copied" in done.stderr
    done = CliRunner().invoke(main, ["store", "copy", postgres, str(tmp_path / "b"), "--library", "press", "--json"])
    assert json.loads(done.stdout) == [
        {"library": "press", "videos": 1, "spans": 1, "frames": 20, "copied_videos": 1},
    ]
    assert not (tmp_path / "b" / "libraries" / "press" / "index.db").stat().st_mode & 0o077
    done = CliRunner().invoke(main, ["store", "copy", "mysql://x/y", str(tmp_path / "b")])
    assert done.exit_code == 2 and "postgresql://" in done.stderr
    divide(home, 2)
    done = CliRunner().invoke(main, ["store", "copy", str(home), str(home)])
    assert done.exit_code == 0 and "joined" in done.stderr
