"""A store that is divided anew holds what it held and answers as before, whenever that was broken off."""

import dataclasses
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock

from clipseek.api.documents import Health
from clipseek.api.errors import StoreError
from clipseek.cli.main import main
from clipseek.config.settings import Settings
from clipseek.config.shards import divisions, shard_folder, shard_folders, shard_of
from clipseek.upkeep.doctor import check_store
from executors.faiss_indexer.shards import resharding
from executors.faiss_indexer.shards.resharding import reshard
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.store.store import Store
from tests.unit.faiss_indexer.test_sharded import (
    CALLER,
    MODEL,
    Service,
    fill,
    plain,
    query,
    registered,
    replace,
    span_of,
    text,
    video_id,
)

PRESS = replace(CALLER, library="press")


def told(home: Path, shards: int) -> list[Any]:
    """What a service answers: its videos, a search, and what it says of itself, in two libraries."""
    service = Service(home, shards)
    told: list[Any] = [[(v.title, v.status, v.frames) for v in service.videos()]]
    for caller in (CALLER, PRESS):
        told.append(plain(service.ask("/search", query(text(1), top_k=30), caller)))
        facts = service.ask("/health", Health(), caller).components[0].facts
        told.append({name: facts[name] for name in ("videos", "frames", "model_id", "fitted_shift")})
    service.close()
    return told


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A store on one shard, with two libraries, a fitted shift, and a video that is indexed in part."""
    home = tmp_path_factory.mktemp("original")
    service = Service(home, 1)
    fill(service, 12)
    service.ask("/probe", registered(77))
    service.put_half(77)
    service.ask("/probe", registered(5), PRESS)
    service.ask("/index", span_of(5), PRESS)
    service.executors[0].library("main").keep_shift(0.125, "tiny@1:2")
    service.close()
    return home


@pytest.fixture
def home(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "home"))


def test_there_and_back_again_nothing_changes(home):
    before = told(home, 1)
    for shards in (3, 2, 1):
        done = reshard(home, shards)
        assert [(each.library, each.shards, each.videos) for each in done] == [
            ("main", shards, 13),
            ("press", shards, 1),
        ]
        assert divisions(home) == [shards] and divisions(home / "libraries" / "press") == [shards]
        assert told(home, shards) == before
    assert not list(home.glob("*.making")) + list(home.glob("*.retired")) + list(home.glob("shards-*"))


def test_doctor_finds_every_shard(home):
    reshard(home, 2)
    found = check_store(Settings(home=home, cache=home / "cache"))
    stores = [check.found for check in found if check.what == "store"]
    assert stores == [str(each) for folder in (home, home / "libraries" / "press") for each in shard_folders(folder, 2)]
    assert not [check for check in found if check.state == "error" and check.what != "videos without a file"]
    (home / "shards-2" / "1" / "index.db").unlink()
    assert "error" in {check.state for check in check_store(Settings(home=home, cache=home / "cache"))}


def test_the_order_of_videos_is_kept_though_the_clock_ran_backwards(tmp_path, monkeypatch):
    service = Service(tmp_path, 1)
    for number, clock in ((4, 5000.0), (2, 3000.0), (9, 4000.0), (1, 1000.0)):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        service.ask("/probe", registered(number))
    service.close()
    monkeypatch.undo()
    for shards in (3, 1):
        reshard(tmp_path, shards)
        service = Service(tmp_path, shards)
        assert [video.title for video in service.videos()] == ["video 4", "video 2", "video 9", "video 1"]
        service.close()


def test_a_store_in_use_is_left_alone(home):
    service = Service(home, 1)
    with pytest.raises(StoreError, match="in use by a server"):
        reshard(home, 2)
    service.close()
    reshard(home, 2)
    with FileLock(home / "server-1.lock"), pytest.raises(StoreError, match="in use by a server"):
        reshard(home, 1)  # the first shard's process may be down for a moment
    assert divisions(home) == [2]


@pytest.mark.parametrize("step", ["_fill", "_check_same", "_retire", "_remove"])
def test_broken_off_at_any_step_it_is_told_and_ended_later(home, step, monkeypatch):
    before = told(home, 1)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    for shards in (2, 3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(resharding, step, die)
            reshard(home, shards)
            die()  # nothing to remove at first
        if len(divisions(home)) > 1:
            with pytest.raises(StoreError, match=rf"was interrupted .*clipseek reshard {shards}"):
                Service(home, shards)
        reshard(home, shards)
        assert told(home, shards) == before


def test_a_store_that_is_no_copy_of_the_other_is_not_removed(home):
    before = told(home, 1)
    reshard(home, 2)
    Store(home).close()  # without a video
    for shards in (1, 2):
        with pytest.raises(StoreError, match=r"of one library differ: .* \(0 videos, 0 frames\)"):
            reshard(home, shards)
    (home / "index.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="cannot both be read"):
        reshard(home, 1)
    (home / "index.db").unlink()
    assert told(home, 2) == before


def test_the_model_is_that_of_the_frames(tmp_path):
    """A shard without frames takes another model's videos at their first, which the others refuse."""
    other = "english/another@1:2"
    video = VideoRecord(video_id(1), "video 1", 1, 9.0, 64, 48, 25.0, "h264", "mp4", 0, False, 1.0)
    here = shard_of(video.video_id, 2)
    with Store(shard_folder(tmp_path, here, 2)) as store, Store(shard_folder(tmp_path, 1 - here, 2)) as empty:
        store.register(video, MODEL)
        store.put_span(video.video_id, (0.0, 9.0), Frames(np.arange(9.0), np.eye(9, dtype=np.float16)), MODEL)
        empty.claim(other)
    reshard(tmp_path, 1)
    with Store(tmp_path) as store:
        assert store.model_id == MODEL
    reshard(tmp_path, 2)

    elsewhere = next(video_id(number) for number in range(99) if shard_of(video_id(number), 2) != here)
    with Store(shard_folder(tmp_path, 1 - here, 2)) as store:
        store.register(dataclasses.replace(video, video_id=elsewhere), other)
        store.put_span(elsewhere, (0.0, 9.0), Frames(np.arange(9.0), np.eye(9, dtype=np.float16)), other)
    with pytest.raises(StoreError, match="frames of several models"):
        reshard(tmp_path, 1)


def test_on_a_full_disk_nothing_is_left(home, monkeypatch):
    before = told(home, 1)

    def fill_then_fail(target: Path, *rest: Any) -> None:
        fill(target, *rest)
        if target.name == "1":
            raise sqlite3.OperationalError("database or disk is full")

    fill = resharding._fill
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="disk is full"):
        patch.setattr(resharding, "_fill", fill_then_fail)
        reshard(home, 2)
    assert divisions(home) == [1] and not list(home.glob("*.making"))
    assert told(home, 1) == before


def test_killed_at_random_moments_nothing_is_lost(home):
    before = told(home, 1)
    chance = random.Random(0)
    begun = time.monotonic()
    whole = command(home, 2)
    assert whole.wait() == 0
    seconds = time.monotonic() - begun
    for number in range(6):
        running = command(home, 2 + number % 3)
        time.sleep(seconds * chance.uniform(0.5, 1.0))  # it takes most of its time to start
        running.kill()
        running.wait()
    last = command(home, 3)
    assert last.wait() == 0
    assert divisions(home) == [3] and told(home, 3) == before


def command(home: Path, shards: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "executors.faiss_indexer.shards.resharding", str(home), str(shards)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": "ignore"})


def test_the_command_says_what_it_did_and_what_it_refuses(home, monkeypatch):
    monkeypatch.setenv("CLIPSEEK_HOME", str(home))
    done = CliRunner().invoke(main, ["reshard", "2", "--json"])
    assert json.loads(done.stdout)[1] == {
        "library": "press",
        "shards_before": 1,
        "shards": 2,
        "videos": 1,
        "frames": 20,
    }
    with FileLock(home / "server.lock"):
        refused = CliRunner().invoke(main, ["reshard", "1"])
    assert (refused.exit_code, "in use by a server" in refused.stderr) == (1, True)
    assert CliRunner().invoke(main, ["reshard", "0"]).exit_code == 2
