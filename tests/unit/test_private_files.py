"""What the service keeps is for its owner only; what a user saves is as all files of that user."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipseek.machine.private_files import make_private_from_now_on, protect

ROOT = Path(__file__).parents[2]
OWN = (
    *("index.db", "index.db-wal", "index.db.format3-backup", "media/a.film.mp4", "libraries/talks/index.db"),
    *(
        "uploads/a/b",
        "clients/x/watch.db",
        "page/queue/1.upload",
        "shards-2/0/index.db",
        "server-1.lock",
        "access.json",
    ),
    *(
        "audit.log",
        "audit.2026-01-01.log",
        "index/1.faiss",
        "models/starter-1/model.bin",
        "clips/a.mp4",
        "samples/b.mp4",
    ),
)


@pytest.fixture(autouse=True)
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def fill(folder, names=OWN):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def others_may_read(folder):
    """The paths in a folder, and the folder itself, on which group or others have any right."""
    paths = (folder, *folder.rglob("*"))
    return {str(path.relative_to(folder)) for path in paths if not path.is_symlink() and path.stat().st_mode & 0o077}


def test_an_old_store_is_closed_to_others_and_stays_usable(tmp_path):
    home = fill(tmp_path / "home")
    assert len(others_may_read(home)) > len(OWN)
    protect(home, tmp_path / "missing")
    assert others_may_read(home) == set() and not (tmp_path / "missing").exists()
    assert all((home / name).read_text() == "x" for name in OWN)
    assert home.stat().st_mode & 0o777 == 0o700 and (home / "index.db").stat().st_mode & 0o777 == 0o600


def test_what_is_not_the_services_own_stays_as_it_is(tmp_path):
    home = fill(tmp_path / "shared", (*OWN, "www/index.html", "notes.txt"))
    (home / "media" / "link").symlink_to(home / "www")
    (home / "videos").symlink_to(home / "www")
    protect(home)
    assert others_may_read(home) == {".", "www", "www/index.html", "notes.txt"}


def test_a_folder_for_everyone_is_never_closed(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    protect(fill(tmp_path / "tmp", ["index.db"]))
    assert others_may_read(tmp_path / "tmp") == {"."}


def test_where_it_is_impossible_it_warns_and_goes_on(tmp_path, monkeypatch, caplog):
    home = fill(tmp_path / "home", ["index.db", "access.json"])

    def refuse(self, _mode, **_):
        raise PermissionError(1, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "chmod", refuse)
    with caplog.at_level(logging.WARNING):
        protect(home)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"may read 3 files and folders in {home}" in caplog.text and "access.json" in caplog.text


def test_files_of_another_user_are_left_alone(tmp_path, monkeypatch, caplog):
    home = fill(tmp_path / "home", ["index.db"])
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    protect(home)
    assert others_may_read(home) == {".", "index.db"} and "belong to another user" in caplog.text


def test_processes_that_this_one_starts_create_private_files_too(tmp_path):
    make_private_from_now_on()
    subprocess.run([sys.executable, "-c", "open('x', 'w')"], cwd=tmp_path, check=True)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", [["token", "add", "alice"], ["token", "list"]])
def test_the_command_line_keeps_its_store_private(tmp_path, command):
    environ = {**os.environ, "CLIPSEEK_HOME": str(tmp_path / "a" / "home")}
    subprocess.run(
        [sys.executable, "-m", "clipseek", *command], env=environ, cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    for folder in tmp_path.iterdir():
        assert others_may_read(folder) == set()
