"""How a model says what its cosines mean: read from real checkpoints, and the formula by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.synthetic.models import write_folder
from clipseek.api.score_scale import MATCHES_BEGIN, ScoreScale
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.weights import read_logit_scale
from executors.clip_encoder.relevance.score_scales import (
    SCALE_NAME,
    Coefficients,
    LogitScales,
    ReferenceScales,
    read_scales,
    save_scale,
)

TEXT = np.array([0.6, 0.8], np.float32)
REFERENCES = np.array([[2.0, 0.0], [0.0, 1.0]], np.float32)
COEFFICIENTS = Coefficients(base=0.1, nearest=0.2, spread=0.3, contrast=0.4)
SWAP = np.array([[0.0, 3.0], [3.0, 0.0]], np.float32)


def spec_of(folder):
    return read_model_folder(folder, "tiny", "for a test")


@pytest.mark.parametrize(("custom_text", "torch_file"), [(False, False), (True, False), (False, True)])
def test_the_logit_scale_is_that_of_the_checkpoint(tmp_path, custom_text, torch_file):
    spec = spec_of(write_folder(tmp_path / "tiny", custom_text=custom_text, torch_file=torch_file))
    assert read_logit_scale(spec.checkpoint) == pytest.approx(math.log(1 / 0.07))  # CLIP's at the start of training
    scales = read_scales(spec)
    made = scales.of(TEXT)
    assert made == ScoreScale(0.0, pytest.approx(6 * 0.07), above_background=True)
    np.testing.assert_array_equal(scales.for_curves(TEXT), TEXT)


def test_a_trained_logit_scale_is_read_from_safetensors_and_pt(tmp_path):
    spec = spec_of(write_folder(tmp_path / "tiny"))
    tensors = load_file(spec.checkpoint) | {"logit_scale": torch.tensor(math.log(50.0))}
    save_file(tensors, spec.checkpoint)
    torch.save(tensors, tmp_path / "tiny.pt")
    for checkpoint in (spec.checkpoint, tmp_path / "tiny.pt"):
        made = read_scales(replace(spec, checkpoint=checkpoint)).of(TEXT)
        assert made == ScoreScale(0.0, pytest.approx(0.12, abs=1e-6), above_background=True)


def test_a_checkpoint_that_does_not_say_is_taken_for_a_usual_one(tmp_path):
    spec = spec_of(write_folder(tmp_path / "tiny"))
    tensors = load_file(spec.checkpoint)
    del tensors["logit_scale"]
    save_file(tensors, spec.checkpoint)
    torch.save(tensors, tmp_path / "tiny.pt")
    (tmp_path / "damaged.safetensors").write_bytes(b"no tensors")
    for checkpoint in (spec.checkpoint, tmp_path / "tiny.pt", tmp_path / "damaged.safetensors"):
        assert read_logit_scale(checkpoint) is None
        assert read_scales(replace(spec, checkpoint=checkpoint)) == LogitScales(100.0)
    assert LogitScales(100.0).of(TEXT) == ScoreScale(0.0, 0.06, above_background=True)


def test_references_give_each_text_a_scale_of_its_own():
    scales = ReferenceScales(REFERENCES, COEFFICIENTS, SWAP)
    nearest, spread = scales.measure(np.stack([TEXT, [1.0, 0.0]]))
    np.testing.assert_allclose(nearest, [0.8, 1.0], atol=1e-6)
    np.testing.assert_allclose(spread, [math.hypot(1.2, 0.8), 2.0], atol=1e-6)
    cut_off = 0.1 + 0.2 * 0.8 + 0.3 * math.sqrt(2.08)
    made = scales.of(TEXT)
    assert made == ScoreScale(pytest.approx(cut_off - 0.7 * 0.4), pytest.approx(cut_off + 0.3 * 0.4))
    assert (cut_off - made.zero) / (made.one - made.zero) == pytest.approx(MATCHES_BEGIN)


def test_a_text_for_curves_is_mapped_and_of_unit_length():
    made = ReferenceScales(REFERENCES, COEFFICIENTS, SWAP).for_curves(TEXT)
    np.testing.assert_allclose(made, [0.8, 0.6], atol=1e-6)
    assert made.dtype == np.float32


def test_what_is_saved_beside_a_model_goes_before_its_logit_scale(tmp_path):
    folder = write_folder(tmp_path / "tiny")
    save_scale(folder, REFERENCES.astype(np.float64), COEFFICIENTS, SWAP.astype(np.float64))
    assert (folder / SCALE_NAME).is_file()
    spec = spec_of(folder)
    assert spec.checkpoint.name == "open_clip_model.safetensors"
    read = read_scales(spec)
    assert isinstance(read, ReferenceScales) and read.coefficients == COEFFICIENTS
    np.testing.assert_array_equal(read.references, REFERENCES)
    np.testing.assert_array_equal(read.curve_map, SWAP)
    assert read.of(TEXT) == ReferenceScales(REFERENCES, COEFFICIENTS, SWAP).of(TEXT)
