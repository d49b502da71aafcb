import threading

import numpy as np
import pytest
import torch
from torch import nn

from clipseek.api.errors import InvalidSetting
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.pytorch.half import TorchHalf
from executors.clip_encoder.run import device, openvino_model
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.openvino_model import compile_half
from executors.clip_encoder.run.towers import ImageTower, TextTower

pytest.importorskip("openvino", reason="OpenVINO is not installed")
TEXTS = ["a red car", "a cat on a sofa beside a dog", "雪山"]


@pytest.fixture(scope="module")
def towers(model_folder):
    """Each half of a model by torch and by OpenVINO."""
    spec = read_model_folder(model_folder, "tiny", "test")
    engines = {name: choose_device("cpu", name) for name in ("torch", "openvino")}
    made = {name: (ImageTower(spec, device), TextTower(spec, device)) for name, device in engines.items()}
    assert [tower.engine for tower in made["openvino"]] == ["openvino"] * 2
    assert [tower.engine for tower in made["torch"]] == ["torch"] * 2
    return made


@pytest.mark.parametrize("count", [0, 1, 3])
def test_pictures_and_texts_get_the_vectors_that_torch_gives(towers, pictures, count):
    images, texts = zip(*towers.values(), strict=True)
    by_torch, by_openvino = (tower.encode(pictures[:count]) for tower in images)
    np.testing.assert_allclose(by_openvino, by_torch, atol=1e-5)
    by_torch, by_openvino = (tower.encode(TEXTS[:count]).vectors for tower in texts)
    np.testing.assert_allclose(by_openvino, by_torch, atol=1e-5)


def test_threads_do_not_mix_their_vectors_up(towers, pictures):
    tower, _ = towers["openvino"]
    expected = tower.encode(pictures[:2])
    wrong = []

    def encode(place):
        found = [tower.encode(pictures[place : place + 1]) for _ in range(20)]
        wrong.extend(place for vectors in found if not np.allclose(vectors, expected[place], atol=1e-5))

    threads = [threading.Thread(target=encode, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def example(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


class _Unlike(nn.Module):
    """Traced with one example, and computing something else with any other: the trace keeps the first branch."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, values):
        self.seen += 1
        return values.flatten(1) * torch.arange(self.seen.item(), self.seen.item() + values[0].numel())


def test_what_openvino_computes_differently_stays_with_torch(caplog):
    assert compile_half(TorchHalf(_Unlike()), example(2, 1, 3, 3), "the odd half") is None
    assert "the odd half" in caplog.text


class _Unconvertible(nn.Module):
    def forward(self, values):
        return torch.linalg.eigvals(values.flatten(2)).real


def test_what_openvino_cannot_run_stays_with_torch(caplog):
    assert compile_half(TorchHalf(_Unconvertible()), example(2, 3, 3), "the strange half") is None
    assert "OpenVINO cannot run the strange half" in caplog.text


class _Wordless(nn.Module):
    def forward(self, values):
        raise AssertionError


def test_a_failure_without_words_is_named_by_its_kind(caplog):
    assert compile_half(TorchHalf(_Wordless()), example(2, 3), "the silent half") is None
    assert "OpenVINO cannot run the silent half" in caplog.text


def test_the_engine_is_the_one_asked_for(monkeypatch):
    assert choose_device("cpu").engine == "openvino"
    assert choose_device("cpu", "torch").engine == "torch"
    with pytest.raises(InvalidSetting, match="'onnx'"):
        choose_device("cpu", "onnx")
    monkeypatch.setattr(openvino_model, "is_installed", lambda: False)
    assert choose_device("cpu").engine == "torch"
    with pytest.raises(InvalidSetting, match=r"OpenVINO is not installed.*its extra `openvino`"):
        choose_device("cpu", "openvino")
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    assert choose_device("auto").engine == "torch"
    with pytest.raises(InvalidSetting, match="CLIPSEEK_DEVICE=cpu"):
        choose_device("auto", "openvino")
