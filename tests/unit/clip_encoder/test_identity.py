import json
import os
import shutil
from dataclasses import replace

import pytest

from benchmarks.synthetic.models import write_folder
from clipseek.api.errors import ModelUnavailable
from executors.clip_encoder.model import spec as spec_module
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import hash_file, model_id


def identity_of(folder, cache) -> str:
    return model_id(read_model_folder(folder, "tiny", "test"), cache)


def test_the_same_model_elsewhere_has_the_same_identity(tmp_path, model_folder):
    elsewhere = shutil.copytree(model_folder, tmp_path / "elsewhere")
    first = identity_of(model_folder, tmp_path / "cache1")
    assert first == identity_of(elsewhere, tmp_path / "cache2")
    name, _, rest = first.partition("@")
    weights, _, recipe = rest.partition(":")
    assert (name, len(weights), len(recipe)) == ("tiny", 16, 8)


def test_other_weights_or_preprocessing_or_architecture_have_another(tmp_path, model_folder):
    cache = tmp_path / "cache"
    first = identity_of(model_folder, cache)
    assert identity_of(write_folder(tmp_path / "other", seed=1), cache).split(":")[0] != first.split(":")[0]
    spec = read_model_folder(model_folder, "tiny", "test")
    squashed = replace(spec, preprocessing=replace(spec.preprocessing, resize_mode="shortest"))
    assert model_id(squashed, cache).split(":")[0] == first.split(":")[0]
    assert model_id(squashed, cache) != first
    assert model_id(replace(spec, model_cfg={**spec.model_cfg, "quick_gelu": True}), cache) != first
    assert model_id(replace(spec, reason="another", warnings=("mind",)), cache) == first


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    file, cache = tmp_path / "weights.bin", tmp_path / "cache"
    file.write_bytes(b"one")
    reads = []
    real = spec_module.read_and_hash
    monkeypatch.setattr(spec_module, "read_and_hash", lambda path: reads.append(path) or real(path))
    one = hash_file(file, cache)
    assert one == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert hash_file(file, cache) == one
    assert len(reads) == 1
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert hash_file(file, cache) != one
    (cache / "hashes.json").write_text("{damaged")
    hash_file(file, cache)
    assert len(json.loads((cache / "hashes.json").read_text())) == 1


def test_a_file_of_the_hubs_cache_is_known_by_its_name(tmp_path):
    blob = tmp_path / ("ab" * 32)
    blob.write_bytes(b"never read")
    link = tmp_path / "open_clip_model.safetensors"
    link.symlink_to(blob)
    assert hash_file(link, tmp_path / "cache") == "ab" * 32
    assert not (tmp_path / "cache").exists()


def test_weights_that_are_gone_are_named(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"absent\.bin"):
        hash_file(tmp_path / "absent.bin", tmp_path)
