"""A copy of the store answers as the store, whatever happens meanwhile, and is brought up to date."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

from clipseek.backup import back_up
from clipseek.cli import main
from clipseek.errors import InvalidRequest, StoreError, StoreFull
from clipseek.settings import Settings
from clipseek.shards import divisions
from executors.faiss_indexer.resharding import reshard
from tests.unit.faiss_indexer.test_resharding import PRESS, told
from tests.unit.faiss_indexer.test_sharded import Service, fill, film_id, registered, span_of


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A store of two shards with two libraries, three films in the first, tokens, and an upload on its way."""
    home = tmp_path_factory.mktemp("original")
    service = Service(home, 2)
    fill(service, 6)
    service.ask("/probe", registered(5), PRESS)
    service.ask("/index", span_of(5), PRESS)
    service.close()
    (home / "media").mkdir()
    for number in range(3):
        (home / "media" / f"{film_id(number)}.film.mp4").write_bytes(bytes(1000 + number))
        (home / "media" / f"{film_id(number)}.json").write_text("{}")
    (home / "media" / f"{film_id(9)}.part").touch()
    (home / "access.json").write_text("{}")
    return home


@pytest.fixture
def home(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "home"))


def copied(home: Path, target: Path) -> list[tuple[int, int, int, int]]:
    done = back_up(Settings(home=home, cache=home / "cache"), target, lambda progress: None)
    assert [each.library for each in done] == ["main", "press"]
    return [(each.databases, each.films, each.copied_films, each.copied_bytes) for each in done]


def test_the_copy_of_a_store_in_use_answers_as_the_store(home, tmp_path):
    service = Service(home, 2)
    service.ask("/delete", registered(4))  # lies in a log that is not folded into the file
    assert copied(home, tmp_path / "copy") == [(2, 3, 3, 3003), (2, 0, 0, 0)]
    service.close()
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "access.json",
        "audit.log",
        "libraries",
        "media",
        "shards-2",
    ]
    assert not list((tmp_path / "copy").glob("**/*.part")) + list((tmp_path / "copy").glob("**/*.copying"))
    assert told(tmp_path / "copy", 2) == told(home, 2)


def test_a_copy_is_brought_up_to_date(home, tmp_path):
    copied(home, tmp_path / "copy")
    assert told(tmp_path / "copy", 2)  # a server ran on it
    reshard(home, 1)
    service = Service(home, 1)
    service.ask("/delete", registered(3))
    service.close()
    (home / "media" / f"{film_id(0)}.film.mp4").unlink()
    (tmp_path / "copy" / "media" / f"{film_id(2)}.film.mp4").write_bytes(b"cut off")
    assert copied(home, tmp_path / "copy") == [(1, 2, 1, 1002), (1, 0, 0, 0)]
    assert divisions(tmp_path / "copy") == [1]
    assert (tmp_path / "copy" / "media" / f"{film_id(0)}.film.mp4").exists()
    assert told(tmp_path / "copy", 1) == told(home, 1)


@pytest.mark.parametrize("target", ["home", "home/copy", "."])
def test_a_copy_within_the_store_is_refused(home, tmp_path, target):
    with pytest.raises(InvalidRequest, match="lie in one another"):
        copied(home, tmp_path / target)


def test_a_copy_that_a_server_uses_is_left_alone(home, tmp_path):
    copied(home, tmp_path / "copy")
    with FileLock(tmp_path / "copy" / "server-1.lock"), pytest.raises(StoreError, match="A server uses"):
        copied(home, tmp_path / "copy")


def test_what_cannot_be_copied_is_told_and_the_earlier_copy_stays(home, tmp_path, monkeypatch):
    with pytest.raises(StoreError, match="There is no store"):
        copied(tmp_path / "nothing", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    copied(home, tmp_path / "copy")
    before = told(tmp_path / "copy", 2)
    database = home / "shards-2" / "0" / "index.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:5000] + b"\xff" * 20000 + whole[25000:])
    with pytest.raises(StoreError, match="clipseek doctor --check"):
        copied(home, tmp_path / "copy")
    database.write_bytes(whole)
    with monkeypatch.context() as patch, pytest.raises(StoreFull, match="are needed"):
        patch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
        copied(home, tmp_path / "copy")
    sqlite3.connect(home / "index.db").execute("CREATE TABLE left (behind)").connection.close()
    with pytest.raises(StoreError, match="was broken off"):
        copied(home, tmp_path / "copy")
    assert told(tmp_path / "copy", 2) == before


def test_the_command_says_what_it_copied(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPSEEK_HOME", str(home))
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "copy"), "--json"])
    assert json.loads(done.stdout)[0] == {
        "library": "main",
        "databases": 2,
        "films": 3,
        "copied_films": 3,
        "copied_bytes": 3003,
    }
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "copy")])
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["main", "2", "3", "0", "0", "B"],
        ["press", "2", "0", "0", "0", "B"],
    ]
    monkeypatch.setenv("CLIPSEEK_MEDIA", str(tmp_path))
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "copy")])
    assert "need a backup of their own" in done.stderr
