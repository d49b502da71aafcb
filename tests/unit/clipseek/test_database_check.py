"""Doctor, backup and metrics with a store in PostgreSQL: the findings are those with SQLite, a dump brings it back."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from clipseek.cli.main import main
from clipseek.config.settings import Settings
from clipseek.service.stored_metrics import StoredMetrics
from clipseek.upkeep.backup import back_up, verify
from clipseek.upkeep.doctor import check_store, examine, repair_store
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.store.copying import copy_stores
from executors.faiss_indexer.store.postgres import PostgresDatabase
from tests.postgres import execute, new_database, tool
from tests.unit.clipseek.test_store_check import ID, SPAN_FAULT, faults, make_settings

FROM_START = "UPDATE clipseek_main.spans SET {} WHERE start_seconds = 30"


@pytest.fixture
def settings(tmp_path, postgres) -> Settings:
    """One video of two spans, complete; no file of SQLite is left."""
    made = make_settings(tmp_path)
    copy_stores(str(made.home), postgres)
    shutil.rmtree(made.home / "index")
    for file in made.home.glob("index.db*"):
        file.unlink()
    return replace(made, store=postgres)


def open_library(settings: Settings) -> Library:
    return Library(settings.home, database=PostgresDatabase(settings.store, "main"))


def test_a_sound_store_is_sound_and_a_damaged_one_is_repaired_beside_an_indexer(settings):
    with open_library(settings) as library:
        assert faults(check_store(settings)) == {}
        execute(settings.store, FROM_START.format(r"blank = decode('01', 'hex') || substring(blank from 2)"))
        assert faults(check_store(settings)) == {"spans": SPAN_FAULT}
        assert "dropped 1 wrong spans" in repair_store(settings)[0].found
        library.follow()
        assert len(library.index) == 30 and library.store.stored_spans(ID) == {(0.0, 30.0): 30}
        assert set(faults(check_store(settings))) == {"complete"}


def test_a_saved_index_that_does_not_fit_is_dropped(settings):
    open_library(settings).close()
    [file] = settings.home.glob("index-*-0/frames-*.faiss")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert faults(check_store(settings)) == {"index cache": f"{file.name} does not fit the store"}
    assert f"dropped {file.name}" in repair_store(settings)[0].found
    assert not file.exists()


def test_a_store_without_tables_and_a_server_that_is_away_are_findings(settings, tmp_path, postgres_server):
    found = {finding.what: finding for finding in examine(settings, None)}
    assert found["store"].found.startswith("PostgreSQL: 1 video, 40 frames of model")
    with new_database(postgres_server) as empty:
        assert "has no tables" in faults(check_store(replace(settings, store=empty)))["database"]
        assert "has no tables" in {f.what: f for f in examine(replace(settings, store=empty), None)}["store"].found
    away = replace(settings, store=f"postgresql://me@/x?host={tmp_path}")
    assert "there is no connection" in {f.what: f for f in examine(away, None)}["store"].found


def test_a_backup_has_the_videos_and_a_dump_the_rest(settings, tmp_path, postgres_server, monkeypatch):
    [done] = back_up(settings, tmp_path / "backup", lambda _: None)
    assert (done.databases, done.videos, done.copied_videos) == (0, 1, 1)
    assert not list((tmp_path / "backup").rglob("index.db"))
    assert not [finding for finding in verify(settings, tmp_path / "backup") if finding.state == "error"]
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(main, ["backup", str(tmp_path / "backup")])
    assert said.exit_code == 0 and "pg_dump" in said.stderr
    dump, restore = tool("pg_dump"), tool("pg_restore")
    if not dump or not restore:
        pytest.skip("pg_dump is not installed")
    subprocess.run([dump, "--format=custom", f"--file={tmp_path / 'dump'}", settings.store], check=True)
    with open_library(settings) as library:
        library.delete(ID)
    for _ in range(2):  # into the same database, and into an empty one
        options = ["--clean", "--if-exists", f"--dbname={settings.store}", str(tmp_path / "dump")]
        subprocess.run([restore, *options], check=True)
        assert faults(check_store(settings)) == {}
        with open_library(settings) as library:
            assert len(library.index) == 40
        with new_database(postgres_server) as url:
            subprocess.run([restore, f"--dbname={url}", str(tmp_path / "dump")], check=True)
            assert faults(check_store(replace(settings, store=url))) == {}


def test_metrics_count_what_is_stored(settings, monkeypatch):
    registry = CollectorRegistry()
    registry.register(StoredMetrics(settings))
    assert registry.get_sample_value("clipseek_stored_frames") == 40
    with open_library(settings) as library:
        library.delete(ID)
    assert registry.get_sample_value("clipseek_stored_videos") in (0, 1)  # it looks again after a minute
    monkeypatch.setattr("clipseek.service.stored_metrics._DATABASE_SECONDS", 1e-9)
    assert registry.get_sample_value("clipseek_stored_videos") == 0
    assert registry.get_sample_value("clipseek_unreadable_stores") == 0


def test_the_commands_read_the_password_from_a_file(settings, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("any: the test server trusts everyone\n")
    secret = replace(settings, store_password_file=str(tmp_path / "password"))
    assert faults(check_store(secret)) == {}
    missing = replace(settings, store_password_file=str(tmp_path / "nothing"))
    for name, value in missing.to_env().items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, ["doctor", "--check", "--json"])
    assert "CLIPSEEK_STORE_PASSWORD_FILE" in done.output
    monkeypatch.setenv("CLIPSEEK_STORE_PASSWORD_FILE", "")
    assert json.loads(CliRunner().invoke(main, ["doctor", "--check", "--json"]).stdout)
    assert Path(settings.home).exists()
