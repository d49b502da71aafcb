"""Files come from a hub whole, or not at all; what has arrived stays for the next try."""

import hashlib
import json
import os
import subprocess
import sys
import time
from copy import deepcopy
from types import SimpleNamespace

import huggingface_hub
import open_clip
import pytest
from huggingface_hub import file_download

from benchmarks.synthetic.models import MODEL_CFG
from clipseek.api.errors import ModelUnavailable
from clipseek.config.profiles import PROFILES, get_command
from clipseek.config.settings import Settings
from executors.clip_encoder.model.hub import WEIGHTS_NAMES, Hub
from executors.clip_encoder.model.inventory import find_models, get_model
from executors.clip_encoder.model.registry import Registry

REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
CONTENT = os.urandom(300_000)


def clock_that_sleeps_by(sleep):
    """A `time` for one module: other threads of this process use the real one."""
    return SimpleNamespace(**vars(time) | {"sleep": sleep})


@pytest.fixture
def hub(tmp_path, fake_hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(file_download, "time", clock_that_sleeps_by(lambda seconds: None))
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what breaks off within one is lost
    fake_hub.files[REPOSITORY, WEIGHTS_NAMES[0]] = CONTENT
    return Hub(fake_hub.endpoint, tmp_path / "hub")


def parts(hub):
    return [file.stat().st_size for file in hub.cache_dir.rglob("*.clipseek-part")]


def test_a_file_that_broke_off_goes_on_where_it_ended_in_the_next_run(hub, fake_hub, monkeypatch):
    def give_up(seconds):
        raise KeyboardInterrupt

    fake_hub.cuts = [100_000]
    with monkeypatch.context() as patch:
        # Ctrl-C while the hub's client waits for its next try
        patch.setattr(file_download, "time", clock_that_sleeps_by(give_up))
        with pytest.raises(KeyboardInterrupt):
            hub.fetch(REPOSITORY, WEIGHTS_NAMES)
    assert parts(hub) == [100_000] and hub.find_cached(REPOSITORY, WEIGHTS_NAMES) is None
    fake_hub.ranges.clear()
    path = hub.fetch(REPOSITORY, WEIGHTS_NAMES)
    assert path.read_bytes() == CONTENT and fake_hub.ranges == ["bytes=100000-"]
    assert parts(hub) == []


def test_a_connection_that_drops_is_taken_up_again_in_the_same_run(hub, fake_hub):
    fake_hub.cuts = [100_000, 200_000]
    assert hub.fetch(REPOSITORY, WEIGHTS_NAMES).read_bytes() == CONTENT
    assert fake_hub.ranges == ["", "bytes=100000-", "bytes=200000-"]


def test_a_damaged_file_never_gets_its_name_and_is_deleted(hub, fake_hub):
    fake_hub.damages = True
    with pytest.raises(ModelUnavailable, match="arrived damaged: its checksum is .* not " + _sha256(CONTENT)):
        hub.fetch(REPOSITORY, WEIGHTS_NAMES)
    assert hub.find_cached(REPOSITORY, WEIGHTS_NAMES) is None and parts(hub) == []
    fake_hub.damages = False
    assert hub.fetch(REPOSITORY, WEIGHTS_NAMES).read_bytes() == CONTENT


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_part_that_is_larger_than_the_file_is_found_to_be_damaged(hub, fake_hub):
    blobs = hub.cache_dir / f"models--{REPOSITORY.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{_sha256(CONTENT)}.clipseek-part").write_bytes(CONTENT + b"more")
    with pytest.raises(ModelUnavailable, match="damaged"):
        hub.fetch(REPOSITORY, WEIGHTS_NAMES)
    assert hub.fetch(REPOSITORY, WEIGHTS_NAMES).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "reason"), [(401, "HF_TOKEN"), (404, "no such repository"), (403, "403")])
def test_a_hub_that_refuses_is_quoted_with_how_to_bring_the_files_by_hand(hub, fake_hub, status, reason):
    fake_hub.status = status
    with pytest.raises(ModelUnavailable, match=reason) as error:
        hub.fetch(REPOSITORY, WEIGHTS_NAMES)
    assert f"hf download {REPOSITORY} --local-dir FOLDER" in str(error.value)


def test_nothing_is_asked_of_the_hub_unless_allowed(hub, fake_hub, tmp_path, monkeypatch):
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: deepcopy(MODEL_CFG))
    registry = Registry(tmp_path, Hub(hub.endpoint, hub.cache_dir, may_download=False))
    with pytest.raises(ModelUnavailable, match=r"`clipseek model get english` \(605 MB\)"):
        registry.resolve("english")
    assert fake_hub.asked == []


def test_a_model_is_in_the_list_once_it_was_fetched(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: deepcopy(MODEL_CFG))
    registry = Registry(tmp_path, hub)
    assert find_models(registry) == ["starter"]
    result = get_model(registry, "english")
    assert result["model"] == "ViT-B-32/laion2b_s34b_b79k"
    assert find_models(registry) == ["starter", "english"]


def test_the_command_says_what_the_hub_answered(fake_hub, tmp_path):
    fake_hub.status = 401
    environ = {"HF_ENDPOINT": fake_hub.endpoint, "HF_HOME": str(tmp_path / "hub"), "CLIPSEEK_CACHE": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "clipseek", "model", "get", "english"]
    process = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert process.returncode == 1 and "HF_TOKEN" in process.stderr and "Traceback" not in process.stderr


def test_the_command_fetches_from_the_hub_of_the_environment_and_lists_it(fake_hub, tmp_path):
    profile = PROFILES["english"]
    fake_hub.files[REPOSITORY, WEIGHTS_NAMES[0]] = CONTENT
    environ = {"HF_ENDPOINT": fake_hub.endpoint, "HF_HOME": str(tmp_path / "hub"), "CLIPSEEK_CACHE": str(tmp_path)}
    for arguments in (["get", "english"], ["list", "--json"]):
        command = [sys.executable, "-P", "-m", "clipseek", "model", *arguments]
        process = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
    rows = {row["name"]: row for row in json.loads(process.stdout)}
    assert rows["english"] == {
        "name": "english", "model": profile.open_clip_name, "here": "yes", "megabytes": 605, "languages": "English",
        "licence": "MIT", "recall": "", "library": "",
    }  # fmt: skip
    assert rows["multilingual"]["here"] == "no" and rows["multilingual"]["recall"] == "62.6 / 73.2"


def test_the_help_of_the_setting_and_the_command_come_from_the_profiles():
    assert get_command("ViT-B-32/laion2b_s34b_b79k") == "`clipseek model get english` (605 MB)"
    assert get_command("ViT-B-16/openai") == "`clipseek model get ViT-B-16/openai`"
    assert Settings.from_env({}).model_download is False
