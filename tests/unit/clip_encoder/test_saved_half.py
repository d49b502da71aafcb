"""The image half in OpenVINO's files: made with torch once, loaded without it, made again where it is damaged."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.run import saved_half, towers
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower

pytest.importorskip("openvino", reason="OpenVINO is not installed")

ENCODE = """
import sys
from pathlib import Path
import numpy as np
from executors.clip_encoder.model.hub import Hub
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.relevance.score_scales import read_scales
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower
import executors.clip_encoder.image.executor, executors.clip_encoder.text.executor

spec = Registry(Path(sys.argv[1]), Hub(may_download=False)).resolve(sys.argv[2])
tower = ImageTower(spec, choose_device("cpu"), Path(sys.argv[1]))
np.save(sys.argv[3], tower.encode(np.load(sys.argv[4])))
assert tower.engine == "openvino"
if spec.has_sentence_encoder:
    text = TextTower(spec, choose_device("cpu")).encode(["a dog"]).vectors[0]
    assert read_scales(spec).knows(text)
print(*sorted({"torch", "open_clip", "timm", "transformers"} & set(sys.modules)))
"""


@pytest.fixture
def spec(model_folder):
    return read_model_folder(model_folder, "tiny", "test")


@pytest.fixture
def conversions(monkeypatch):
    """One entry for each time that the half was converted."""
    counted = []
    convert = towers.convert_elsewhere
    monkeypatch.setattr(towers, "convert_elsewhere", lambda *of: (counted.append(1), convert(*of))[1])
    return counted


def files_of(cache):
    [folder] = filter(Path.is_dir, (cache / "openvino").iterdir())
    return folder


@pytest.mark.parametrize("model", ["starter", "tiny"])
def test_every_start_gives_the_same_vectors_and_none_imports_torch(model, starter, model_folder, pictures, tmp_path):
    (tmp_path / "models").symlink_to(starter.checkpoint.parent.parent)
    np.save(tmp_path / "pictures.npy", pictures)
    name, vectors, imported = "starter" if model == "starter" else str(model_folder), [], []
    for number in range(2):
        file = tmp_path / f"{number}.npy"
        arguments = [str(tmp_path), name, str(file), str(tmp_path / "pictures.npy")]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ENCODE, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        vectors.append(np.load(file))
        imported.append(done.stdout.split())
    np.testing.assert_array_equal(*vectors)
    assert imported == [[], []]


def test_it_is_made_once_and_the_vectors_are_torchs(spec, pictures, tmp_path, conversions):
    expected = ImageTower(spec, choose_device("cpu", "torch")).encode(pictures)
    conversions.clear()
    for _ in range(2):
        np.testing.assert_allclose(
            ImageTower(spec, choose_device("cpu"), tmp_path).encode(pictures), expected, atol=1e-5
        )
    assert len(conversions) == 1


@pytest.mark.parametrize("name", ["image.bin", "image.xml", "expected.npy"])
@pytest.mark.parametrize("damage", ["cut", "zeros", "gone"])
def test_damaged_files_are_made_again(spec, pictures, tmp_path, conversions, name, damage):
    expected = ImageTower(spec, choose_device("cpu"), tmp_path).encode(pictures)
    file = files_of(tmp_path) / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] + (bytes(len(content) // 2) if damage == "zeros" else b""))
    shutil.rmtree(files_of(tmp_path) / "compiled")
    conversions.clear()
    for _ in range(2):
        np.testing.assert_array_equal(ImageTower(spec, choose_device("cpu"), tmp_path).encode(pictures), expected)
    assert len(conversions) == 1
    assert (files_of(tmp_path) / name).stat().st_size == pytest.approx(len(content), rel=0.01)  # the names in it vary


@pytest.mark.parametrize("damage", ["cut", "wrong", "empty"])
def test_damage_to_what_was_compiled_does_not_show(spec, pictures, tmp_path, conversions, damage):
    expected = ImageTower(spec, choose_device("cpu"), tmp_path).encode(pictures)
    ImageTower(spec, choose_device("cpu"), tmp_path)  # reads the files, and keeps what it compiles
    conversions.clear()
    [file] = (files_of(tmp_path) / "compiled").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :: 1000] = bytes(len(content[len(content) // 2 :: 1000]))
    file.chmod(0o600)
    file.write_bytes({"cut": content[: len(content) // 2], "wrong": content, "empty": b""}[damage])
    np.testing.assert_array_equal(ImageTower(spec, choose_device("cpu"), tmp_path).encode(pictures), expected)
    assert not conversions


def test_another_version_of_openvino_makes_its_own_and_removes_the_old_one(spec, tmp_path, conversions, monkeypatch):
    ImageTower(spec, choose_device("cpu"), tmp_path)
    before = files_of(tmp_path)
    monkeypatch.setattr(saved_half, "version", lambda _: "2099.1")
    ImageTower(spec, choose_device("cpu"), tmp_path)
    assert len(conversions) == 2
    assert files_of(tmp_path) != before


def test_a_cache_that_cannot_be_written_costs_only_time(spec, pictures, tmp_path, conversions, capfd):
    (tmp_path / "openvino").write_text("a file in the way")
    for _ in range(2):
        assert len(ImageTower(spec, choose_device("cpu"), tmp_path).encode(pictures)) == len(pictures)
    assert len(conversions) == 2
    assert "cannot be kept" in capfd.readouterr().err


def test_torch_runs_what_openvino_cannot(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(towers, "convert_elsewhere", lambda *_: False)
    assert ImageTower(spec, choose_device("cpu"), tmp_path).engine == "torch"
    assert not (tmp_path / "openvino").exists()
