"""A copy of the store answers as the store, whatever happens meanwhile, and is brought up to date."""

import json
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock

from clipseek.api.errors import InvalidRequest, StoreError, StoreFull
from clipseek.cli.main import main
from clipseek.client.indexing import Progress
from clipseek.config.settings import Settings
from clipseek.config.shards import divisions, shard_folder
from clipseek.machine.audit_log import AuditLog
from clipseek.upkeep import backup
from clipseek.upkeep.backup import back_up
from executors.faiss_indexer.shards.resharding import reshard
from executors.faiss_indexer.store.store import Store
from tests.unit.faiss_indexer.test_resharding import PRESS, told
from tests.unit.faiss_indexer.test_sharded import Service, fill, registered, span_of, video_id


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A store of two shards with two libraries, three videos in the first, tokens, and an upload on its way."""
    home = tmp_path_factory.mktemp("original")
    service = Service(home, 2)
    fill(service, 6)
    service.ask("/probe", registered(5), PRESS)
    service.ask("/index", span_of(5), PRESS)
    service.close()
    (home / "media").mkdir()
    for number in VIDEOS:
        (home / video_file(number)).write_bytes(bytes(1000 + number))
        (home / "media" / f"{video_id(number)}.json").write_text("{}")
    (home / "media" / f"{video_id(9)}.part").touch()
    (home / "access.json").write_text("{}")
    return home


@pytest.fixture
def home(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "home"))


VIDEOS = {0: ".mp4", 1: "", 2: ".mkv"}  # without a suffix where its title has none


def video_file(number: int) -> str:
    return f"media/{video_id(number)}.film{VIDEOS[number]}"


def copied(home: Path, target: Path) -> list[tuple[int, int, int, int]]:
    done = back_up(Settings(home=home, cache=home / "cache"), target, lambda progress: None)
    assert [each.library for each in done] == ["main", "press"]
    return [(each.databases, each.videos, each.copied_videos, each.copied_bytes) for each in done]


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
    assert {file.name for file in (tmp_path / "copy" / "media").iterdir()} == {
        name for number in VIDEOS for name in (Path(video_file(number)).name, f"{video_id(number)}.json")
    }
    assert told(tmp_path / "copy", 2) == told(home, 2)


def test_a_copy_is_brought_up_to_date(home, tmp_path):
    copied(home, tmp_path / "copy")
    assert told(tmp_path / "copy", 2)  # a server ran on it
    reshard(home, 1)
    service = Service(home, 1)
    service.ask("/delete", registered(3))
    service.close()
    (home / video_file(0)).unlink()
    (tmp_path / "copy" / video_file(2)).write_bytes(b"cut off")
    assert copied(home, tmp_path / "copy") == [(1, 2, 1, 1002), (1, 0, 0, 0)]
    assert divisions(tmp_path / "copy") == [1]
    assert (tmp_path / "copy" / video_file(0)).exists()
    assert told(tmp_path / "copy", 1) == told(home, 1)


def test_what_changes_while_it_is_copied_is_left_out(home, tmp_path):
    """A video is deleted once it was found, and a library was claimed whose second shard was never asked."""
    Store(shard_folder(home / "libraries" / "new", 0, 2)).close()

    def delete_the_last(progress: Progress) -> None:
        (home / video_file(2)).unlink(missing_ok=True)

    done = back_up(Settings(home=home, cache=home / "cache"), tmp_path / "copy", delete_the_last)
    assert [(each.library, each.databases) for each in done] == [("main", 2), ("new", 1), ("press", 2)]
    assert (tmp_path / "copy" / video_file(1)).exists() and not (tmp_path / "copy" / video_file(2)).exists()


@pytest.mark.parametrize("before", [1, 2])
def test_a_copy_that_is_broken_off_stays_what_it_was(home, tmp_path, before, monkeypatch):
    copy = tmp_path / "copy"
    reshard(home, before)
    copied(home, copy)
    answers = told(copy, before)
    reshard(home, 3)
    Store(shard_folder(home, 2, 3)).close()
    (copy / video_file(1)).unlink()
    databases = iter(range(99))

    def die_at_the_last(source: Path, target: Path) -> None:
        if next(databases) == 2:
            raise KeyboardInterrupt
        copy_database(source, target)

    def die_amid_a_video(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"cut off")
        raise KeyboardInterrupt

    copy_database = backup._copy_database
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(backup, "_copy_database", die_at_the_last)
        copied(home, copy)
    assert divisions(copy) == [before] and told(copy, before) == answers
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.copy2", die_amid_a_video)
        copied(home, copy)
    assert divisions(copy) == [3] and told(copy, 3) == told(home, 3)
    assert not (copy / video_file(1)).exists() and not list(copy.glob("**/*unfinished*"))


def test_all_of_the_audit_log_is_copied(home, tmp_path):
    clock = iter([datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 5)])
    log = AuditLog(home, clock=lambda: next(clock))
    for number in range(4):
        log.write("deleted", caller=f"caller {number}")
        os.utime(log.path, (datetime(2026, 3, number + 1, tzinfo=UTC).timestamp(),) * 2)
    copied(home, tmp_path / "copy")
    lines = "".join(file.read_text() for file in AuditLog(tmp_path / "copy").files())
    assert lines == "".join(file.read_text() for file in log.files()) and lines.count('"caller": "caller ') == 4


def test_videos_that_are_not_at_the_url_yet_are_copied(home, tmp_path):
    settings = Settings(home=home, cache=home / "cache", media=(tmp_path / "bucket").as_uri().replace("file", "local"))
    assert settings.media_url and back_up(settings, tmp_path / "copy", lambda progress: None)[0].copied_videos == 3
    settings = Settings(home=home, cache=home / "cache", media=str(tmp_path))
    assert back_up(settings, tmp_path / "other", lambda progress: None)[0].videos == 0


@pytest.mark.parametrize("target", ["home", "home/copy", "."])
def test_a_copy_within_the_store_is_refused(home, tmp_path, target):
    with pytest.raises(InvalidRequest, match="overlap"):
        copied(home, tmp_path / target)


def test_a_copy_that_a_server_uses_is_left_alone(home, tmp_path):
    copied(home, tmp_path / "copy")
    with FileLock(tmp_path / "copy" / "server-1.lock"), pytest.raises(StoreError, match="in use by a server"):
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
    with monkeypatch.context() as patch, pytest.raises(StoreFull, match="the copy needs"):
        patch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
        copied(home, tmp_path / "copy")
    sqlite3.connect(home / "index.db").execute("CREATE TABLE left (behind)").connection.close()
    with pytest.raises(StoreError, match="was interrupted"):
        copied(home, tmp_path / "copy")
    assert told(tmp_path / "copy", 2) == before


def test_the_command_says_what_it_copied(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPSEEK_HOME", str(home))
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "copy"), "--json"])
    assert json.loads(done.stdout)[0] == {
        "library": "main",
        "databases": 2,
        "videos": 3,
        "copied_videos": 3,
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
