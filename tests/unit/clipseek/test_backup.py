"""Each copy of the store answers as the store did, whatever happens meanwhile, and no copy changes another."""

import json
import os
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock

from clipseek.api.errors import InvalidRequest, StoreError, StoreFull
from clipseek.cli.main import main
from clipseek.client.indexing import Progress
from clipseek.config.settings import Settings
from clipseek.machine.audit_log import AuditLog
from clipseek.upkeep import backup
from clipseek.upkeep.backup import BackedUp, back_up, verify
from clipseek.upkeep.copies import list_copies
from executors.faiss_indexer.store.check import check_store as check_database
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.store import Store
from tests.indexer_service import DIMENSIONS, MODEL, PRESS, Service, fill, registered, span_of, told, video_id
from tests.unit.clipseek.test_store_check import ID, SPAN_FAULT, VIDEO, change_span, make_settings


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A store with two libraries, three videos in the first, tokens, and an upload on its way."""
    home = tmp_path_factory.mktemp("original")
    service = Service(home)
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


def back(home: Path, folder: Path, **options) -> list[BackedUp]:
    return back_up(Settings(home=home, cache=home / "cache"), folder, lambda progress: None, **options)


def copied(home: Path, folder: Path, **options) -> list[tuple[int, int, int, int]]:
    done = back(home, folder, **options)
    assert [each.library for each in done] == ["main", "press"]
    return [(each.databases, each.videos, each.copied_videos, each.copied_bytes) for each in done]


def newest(folder: Path) -> Path:
    return list_copies(folder)[-1]


def inodes(copy: Path) -> dict[str, int]:
    return {str(file.relative_to(copy)): file.stat().st_ino for file in copy.rglob("*") if file.is_file()}


def contents(copy: Path) -> dict[str, bytes]:
    return {str(file.relative_to(copy)): file.read_bytes() for file in copy.rglob("*") if file.is_file()}


def test_the_copy_of_a_store_in_use_answers_as_the_store(home, tmp_path):
    service = Service(home)
    service.ask("/delete", registered(4))  # lies in a log that is not folded into the file
    assert copied(home, tmp_path / "backup") == [(1, 3, 3, 3003), (1, 0, 0, 0)]
    service.close()
    copy = newest(tmp_path / "backup")
    assert {path.name for path in copy.iterdir()} == {"access.json", "audit.log", "index.db", "libraries", "media"}
    assert {file.name for file in (copy / "media").iterdir()} == {
        name for number in VIDEOS for name in (Path(video_file(number)).name, f"{video_id(number)}.json")
    }
    assert told(copy) == told(home)


def test_subtitles_that_came_with_a_video_are_copied(home, tmp_path):
    name = f"{video_id(1)}.subtitles.0123456789ab.talk.en.srt"
    (home / "media" / name).write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n", encoding="utf-8")
    (home / "media" / f"{name}-part").write_text("half", encoding="utf-8")
    for _ in range(2):
        copied(home, tmp_path / "backup")
        kept = {file.name for file in (newest(tmp_path / "backup") / "media").iterdir() if "subtitles" in file.name}
        assert kept == {name}


def test_each_backup_is_a_copy_of_its_own_and_shares_only_what_never_changes(home, tmp_path):
    folder = tmp_path / "backup"
    copied(home, folder)
    [first] = list_copies(folder)
    before = contents(first)
    service = Service(home)
    service.ask("/delete", registered(3))
    service.close()
    (home / video_file(0)).unlink()
    (home / "media" / f"{video_id(0)}.json").unlink()
    (home / "media" / f"{video_id(1)}.json").write_text('{"title": "renamed"}')
    assert copied(home, folder) == [(1, 2, 0, 0), (1, 0, 0, 0)]
    second = newest(folder)
    shared = inodes(first).items() & inodes(second).items()
    assert {name for name, _ in shared} == {video_file(1), video_file(2), f"media/{video_id(2)}.json"}
    assert not any((second / name).stat().st_mode & 0o222 for name, _ in shared)
    assert not (second / video_file(0)).exists()
    assert told(second) == told(home)  # a server runs on the second copy and writes to it
    Store(second).delete(video_id(1))
    back(home, folder)
    assert contents(first) == before


def test_the_oldest_copies_go_once_the_new_one_is_complete(home, tmp_path):
    folder = tmp_path / "backup"
    for _ in range(3):
        copied(home, folder, keep=3)
    names = [copy.name for copy in list_copies(folder)]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(backup, "_copy_access", stop)
        copied(home, folder, keep=1)
    assert [copy.name for copy in list_copies(folder)] == names
    copied(home, folder, keep=2)
    assert [copy.name for copy in list_copies(folder)][:1] == names[2:] and len(list_copies(folder)) == 2
    assert {path.name for path in folder.iterdir()} == {"backup.lock", *(copy.name for copy in list_copies(folder))}
    with FileLock(list_copies(folder)[0] / "server.lock"):  # a server runs on it
        copied(home, folder, keep=1)
    assert [copy.name for copy in list_copies(folder)][:1] == names[2:]


def test_seven_copies_stay_unless_told_otherwise(home, tmp_path):
    """By the command, as an operator's timer gives it."""
    folder = tmp_path / "backup"
    for day in range(1, 9):
        (folder / f"2026-01-0{day}T00-00-00Z").mkdir(parents=True)
    environ = {"CLIPSEEK_HOME": str(home), "CLIPSEEK_CACHE": str(tmp_path / "cache")}
    done = CliRunner().invoke(main, ["backup", str(folder), "--json"], env=environ)
    assert done.exit_code == 0, done.stderr
    names = [copy.name for copy in list_copies(folder)]
    assert names[:-1] == [f"2026-01-0{day}T00-00-00Z" for day in range(3, 9)]


def test_copies_stay_in_order_when_the_clock_is_set_back(home, tmp_path):
    folder = tmp_path / "backup"
    for name in ("2099-12-31T23-59-58Z", "2099-12-31T23-59-59Z"):
        copied(home, folder)
        newest(folder).rename(folder / name)
    for name in ("2099-99-99T23-59-59Z", "2099-1-1T1-1-1Z"):  # of somebody else
        (folder / name).mkdir()
    copied(home, folder, keep=2)
    assert [copy.name for copy in list_copies(folder)] == ["2099-12-31T23-59-59Z", "2100-01-01T00-00-00Z"]


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_backup_that_dies_leaves_every_copy_whole_and_the_next_continues(home, tmp_path, monkeypatch):
    folder = tmp_path / "backup"
    copied(home, folder)
    first = newest(folder)
    before = contents(first)
    for number in (11, 12, 13):
        (home / "media" / f"{video_id(number)}.film.mp4").write_bytes(bytes(2000 + number))
    copy2, turns = shutil.copy2, iter(range(99))

    def die_in_the_second_video(source: Path, target: Path) -> None:
        if next(turns) == 1:
            Path(target).write_bytes(b"cut off")
            raise KeyboardInterrupt
        copy2(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.copy2", die_in_the_second_video)
        copied(home, folder)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(backup, "_copy_access", stop)
        (home / "media" / f"{video_id(13)}.film.mp4").rename(home / "later")
        copied(home, folder)
    assert list_copies(folder) == [first] and contents(first) == before
    (home / "later").rename(home / "media" / f"{video_id(13)}.film.mp4")
    (home / "media" / f"{video_id(11)}.film.mp4").unlink()
    shutil.rmtree(home / "libraries")
    assert [each.copied_videos for each in back(home, folder, anyway=True)] == [1]
    copy = newest(folder)
    assert (copy / "index.db").exists() and not (copy / "libraries").exists()
    assert {file.name for file in (copy / "media").iterdir()} == {
        file.name for file in (home / "media").iterdir() if file.suffix != ".part"
    }
    assert not list(folder.glob("backup.[!l]*")) and contents(first) == before


def test_only_one_backup_at_a_time_writes_to_a_folder(home, tmp_path):
    def another(progress: Progress) -> None:
        with pytest.raises(StoreError, match=r"Another backup into .* is running"):
            back(home, tmp_path / "backup")

    back_up(Settings(home=home, cache=home / "cache"), tmp_path / "backup", another)
    assert len(list_copies(tmp_path / "backup")) == 1


def test_without_hard_links_everything_is_copied_and_said(home, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    copied(home, tmp_path / "backup")
    done = back(home, tmp_path / "backup")
    assert (done[0].copied_videos, done[0].unlinked_videos) == (3, 3)
    first, second = list_copies(tmp_path / "backup")
    assert not inodes(first).items() & inodes(second).items()
    assert (second / video_file(1)).read_bytes() == (home / video_file(1)).read_bytes()
    monkeypatch.setenv("CLIPSEEK_HOME", str(home))
    assert "cannot link files" in CliRunner().invoke(main, ["backup", str(tmp_path / "backup")]).stderr


def test_a_damaged_length_in_the_copy_before_is_not_handed_on(home, tmp_path):
    copied(home, tmp_path / "backup")
    damaged = newest(tmp_path / "backup") / video_file(2)
    damaged.unlink()
    damaged.write_bytes(b"cut off")
    assert copied(home, tmp_path / "backup") == [(1, 3, 1, 1002), (1, 0, 0, 0)]
    assert (newest(tmp_path / "backup") / video_file(2)).read_bytes() == bytes(1002)


def test_what_changes_while_it_is_copied(home, tmp_path):
    """A video is deleted and one is added once the others were found; a library has no videos."""
    Store(home / "libraries" / "new").close()
    added = home / "media" / f"{video_id(30)}.film.mp4"

    def change(progress: Progress) -> None:
        (home / video_file(2)).unlink(missing_ok=True)
        added.write_bytes(b"new")

    done = back_up(Settings(home=home, cache=home / "cache"), tmp_path / "backup", change)
    assert [(each.library, each.databases) for each in done] == [("main", 1), ("new", 1), ("press", 1)]
    copy = newest(tmp_path / "backup")
    assert (copy / video_file(1)).exists() and not (copy / video_file(2)).exists()
    assert (copy / "media" / added.name).read_bytes() == b"new"


def test_a_video_deleted_after_it_was_copied_stays_as_long_as_the_index_of_the_copy_has_it(home, tmp_path, monkeypatch):
    def delete(*arguments: Path) -> None:
        copy_access(*arguments)
        (home / video_file(2)).unlink()  # after the databases

    copy_access = backup._copy_access
    monkeypatch.setattr(backup, "_copy_access", delete)
    copied(home, tmp_path / "backup")
    assert (newest(tmp_path / "backup") / video_file(2)).exists()


def test_the_databases_are_consistent_while_they_are_written_to(home, tmp_path):
    """Each transaction replaces a span and counts one revision: a copy amid one would have neither or both."""
    part = Frames(np.arange(500.0) / 100, np.resize(np.eye(DIMENSIONS, dtype=np.float16), (500, DIMENSIONS)))
    is_over = threading.Event()

    def write() -> int:
        with Store(home) as store:
            first, turns = store.revision, 0
            while not is_over.is_set():
                store.put_span(video_id(0), (0.0, 20.0), part, MODEL)
                turns += 1
            assert store.revision == first + turns
            return turns

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        for _ in range(3):
            back(home, tmp_path / "backup")
        is_over.set()
        assert writing.result() > 3
    for copy in list_copies(tmp_path / "backup"):
        found = {finding.what: finding for finding in check_database(Settings(home=copy), "main")}
        assert (found["database"].state, found["spans"].state) == ("ok", "ok")


# Another store, or a store that has lost everything


def test_a_copy_of_another_store_is_not_replaced(home, tmp_path):
    folder = tmp_path / "backup"
    copied(home, folder)
    service = Service(tmp_path / "other")
    fill(service, 2)
    service.close()
    with pytest.raises(StoreError, match=r"is not of the store .*other, but of another store.*--anyway"):
        back(tmp_path / "other", folder)
    assert len(list_copies(folder)) == 1
    back(tmp_path / "other", folder, anyway=True)
    assert len(list_copies(folder)) == 2
    with pytest.raises(StoreError, match="but of another store"):
        back(home, folder)


def test_a_store_stays_the_same_when_it_is_restored(home, tmp_path):
    copied(home, tmp_path / "backup")
    restored = Path(shutil.copytree(list_copies(tmp_path / "backup")[0], tmp_path / "restored"))
    assert told(restored)
    copied(restored, tmp_path / "backup")


def empty_disk(home: Path) -> None:
    shutil.rmtree(home)
    home.mkdir()


def new_store_on_an_empty_disk(home: Path) -> None:
    empty_disk(home)
    Service(home).close()


def no_videos(home: Path) -> None:
    shutil.rmtree(home / "media")


def no_library(home: Path) -> None:
    shutil.rmtree(home / "libraries")


def no_rows(home: Path) -> None:
    service = Service(home)
    for video in service.videos():
        service.ask("/delete", video)
    service.close()


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (empty_disk, r"There is no store in .*Is its disk mounted\?"),
        (new_store_on_an_empty_disk, "but of another store"),
        (no_videos, r"3 video files, of which none is left. Is the disk of the store mounted\?"),
        (no_library, r"has what library 'press' of the store .*: 1 video in the index, of which none is left"),
        (no_rows, r"6 videos in the index, of which none is left.*add --anyway"),
    ],
)
def test_a_store_that_has_lost_everything_does_not_replace_its_copy(home, tmp_path, lose, said):
    folder = tmp_path / "backup"
    copied(home, folder)
    before = contents(folder)
    lose(home)
    for _ in range(2):
        with pytest.raises(StoreError, match=said):
            back(home, folder, keep=1)
    assert contents(folder) == before
    if lose is not empty_disk:
        back(home, folder, anyway=True)
        assert len(list_copies(folder)) == 2


# Copies by earlier versions


def flat_copy(home: Path, folder: Path) -> None:
    """What version 0.1 wrote: the store's layout in the folder itself, and no identity."""
    folder.mkdir()
    for name in ("index.db", "media", "libraries", "access.json", "audit.log"):
        (shutil.copytree if (home / name).is_dir() else shutil.copy)(home / name, folder / name)
    for database in folder.rglob("index.db"):
        with sqlite3.connect(database) as db:
            db.execute("DELETE FROM meta WHERE key = 'store_id'")
            db.execute("ALTER TABLE spans DROP COLUMN checksum")
        db.execute("PRAGMA journal_mode = DELETE")
        db.close()
        os.utime(database, (1e9, 1e9))


def test_a_copy_by_an_earlier_version_becomes_the_first(home, tmp_path, monkeypatch):
    folder = tmp_path / "backup"
    flat_copy(home, folder)
    (folder / "note.txt").write_text("of somebody else")
    before, replace = contents(folder), Path.replace
    turns = iter(range(99))

    def die_at_the_third(path: Path, target: Path) -> Path:
        if next(turns) == 2:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", die_at_the_third)
        copied(home, folder)
    Service(tmp_path / "new").close()
    with pytest.raises(StoreError, match="of which none is left"):  # it is compared with what was moved
        back(tmp_path / "new", folder)
    assert copied(home, folder) == [(1, 3, 0, 0), (1, 0, 0, 0)]
    first = list_copies(folder)[0]
    assert first.name == "2001-09-09T01-46-40Z"
    assert contents(first) == {name: data for name, data in before.items() if name != "note.txt"}
    assert (folder / "note.txt").exists() and len(list_copies(folder)) == 2
    assert told(first) == told(home)


def test_a_copy_by_an_earlier_version_of_another_store_stays_where_it_is(home, tmp_path):
    """Perhaps it is no copy, but a store that is in use."""
    folder = tmp_path / "backup"
    flat_copy(home, folder)
    before = contents(folder)
    service = Service(tmp_path / "other")
    for number in (50, 51):
        service.ask("/probe", registered(number))
    service.close()
    with pytest.raises(StoreError, match="but of another store"):
        back(tmp_path / "other", folder)
    after = contents(folder)
    assert {name: after[name] for name in before} == before


def test_a_copy_by_an_earlier_version_stays_where_it_is_if_the_store_is_lost(home, tmp_path):
    flat_copy(home, tmp_path / "backup")
    before = contents(tmp_path / "backup")
    no_rows(home)
    with pytest.raises(StoreError, match="of which none is left"):
        copied(home, tmp_path / "backup")
    after = contents(tmp_path / "backup")
    assert {name: after[name] for name in before} == before


# A copy is checked


def test_verify_reads_all_of_a_copy_and_names_what_is_damaged(tmp_path, monkeypatch):
    settings = make_settings(tmp_path)
    folder = tmp_path / "backup"
    with pytest.raises(InvalidRequest, match="has no copy of a store"):
        verify(settings, folder)
    for _ in range(2):
        back(settings.home, folder)
    monkeypatch.setenv("CLIPSEEK_HOME", str(settings.home))
    done = CliRunner().invoke(main, ["backup", str(folder), "--verify"])
    assert done.exit_code == 0 and "1 whose content matches the name" in done.stdout
    first, second = list_copies(folder)
    video = second / "media" / f"{ID}.film.mp4"
    video.unlink()  # a link
    video.write_bytes(VIDEO[:-1] + b"?")
    change_span(first)
    [wrong] = [finding for finding in verify(settings, folder) if finding.state == "error"]
    assert wrong.what == "videos" and video.name in wrong.found and f"below {second}" in wrong.fix
    [wrong] = [finding for finding in verify(settings, folder, first.name) if finding.state == "error"]
    assert (wrong.what, wrong.found) == ("spans", SPAN_FAULT)
    done = CliRunner().invoke(main, ["backup", str(folder), "--verify", "--copy", first.name, "--json"])
    assert done.exit_code == 1 and SPAN_FAULT in done.stdout
    with pytest.raises(InvalidRequest, match=f"has no copy 'x'. It has {first.name}, {second.name}"):
        verify(settings, folder, "x")
    video.unlink()  # as the advice says
    assert back(settings.home, folder)[0].copied_videos == 1
    assert not [finding for finding in verify(settings, folder) if finding.state == "error"]


def test_all_of_the_audit_log_is_copied(home, tmp_path):
    clock = iter([datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 5)])
    log = AuditLog(home, clock=lambda: next(clock))
    for number in range(4):
        log.write("deleted", caller=f"caller {number}")
        os.utime(log.path, (datetime(2026, 3, number + 1, tzinfo=UTC).timestamp(),) * 2)
    copied(home, tmp_path / "backup")
    lines = "".join(file.read_text() for file in AuditLog(newest(tmp_path / "backup")).files())
    assert lines == "".join(file.read_text() for file in log.files()) and lines.count('"caller": "caller ') == 4


def test_videos_that_are_not_at_the_url_yet_are_copied(home, tmp_path):
    settings = Settings(home=home, cache=home / "cache", media=(tmp_path / "bucket").as_uri().replace("file", "local"))
    assert settings.media_url and back_up(settings, tmp_path / "backup", lambda progress: None)[0].copied_videos == 3
    shutil.rmtree(home / "media")  # all have moved to the URL since
    assert back_up(settings, tmp_path / "backup", lambda progress: None)[0].videos == 0
    settings = Settings(home=home, cache=home / "cache", media=str(tmp_path / "media"))
    assert back_up(settings, tmp_path / "backup", lambda progress: None)[0].videos == 0


@pytest.mark.parametrize("target", ["home", "home/copy", ".", "link/copy", "media/main"])
def test_a_copy_within_the_store_is_refused(home, tmp_path, target):
    (tmp_path / "link").symlink_to(home)
    settings = Settings(home=home, cache=home / "cache", media=str(tmp_path / "media"))
    with pytest.raises(InvalidRequest, match="overlap"):
        back_up(settings, tmp_path / target, lambda progress: None)


def test_what_cannot_be_copied_is_told_and_the_earlier_copy_stays(home, tmp_path, monkeypatch):
    folder = tmp_path / "backup"
    with pytest.raises(StoreError, match="There is no store"):
        copied(tmp_path / "nothing", folder)
    assert not folder.exists()
    copied(home, folder)
    [copy] = list_copies(folder)
    before = contents(copy)
    database = home / "index.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:5000] + b"\xff" * 20000 + whole[25000:])
    with pytest.raises(StoreError, match="clipseek doctor --check"):
        copied(home, folder)
    database.write_bytes(whole)
    with monkeypatch.context() as patch, pytest.raises(StoreFull, match="the copy needs"):
        patch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
        copied(home, folder)
    (home / "shards-2" / "0").mkdir(parents=True)
    (home / "shards-2" / "0" / "index.db").touch()
    with pytest.raises(StoreError, match=r"is divided into 1 files.*clipseek store copy"):
        copied(home, folder)
    assert list_copies(folder) == [copy] and contents(copy) == before


def test_the_command_says_what_it_copied(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPSEEK_HOME", str(home))
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "backup"), "--json"])
    assert json.loads(done.stdout)[0] == {
        "library": "main",
        "databases": 1,
        "videos": 3,
        "copied_videos": 3,
        "copied_bytes": 3003,
        "unlinked_videos": 0,
        "copy": str(newest(tmp_path / "backup")),
    }
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "backup")])
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["main", "1", "3", "0", "0", "B"],
        ["press", "1", "0", "0", "0", "B"],
    ]
    assert str(newest(tmp_path / "backup")) in done.stderr
    monkeypatch.setenv("CLIPSEEK_MEDIA", str(tmp_path / "media"))
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "backup")])
    assert "need a backup of their own" in done.stderr
