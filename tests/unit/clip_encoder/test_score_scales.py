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
from executors.clip_encoder.pytorch.weights import read_logit_scale
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
COEFFICIENTS = Coefficients(base=0.1, nearest=0.2, spread=0.3, common=0.5, contrast=0.4, most=1.5)
SCALES = ReferenceScales(
    references=REFERENCES,
    common=np.array([0.5, 0.0], np.float32),
    names=np.array([[0.0, 1.0]], np.float32),
    empty=np.array([[-1.0, 0.0], [0.0, -1.0]], np.float32),
    coefficients=COEFFICIENTS,
)


def spec_of(folder):
    return read_model_folder(folder, "tiny", "for a test")


@pytest.mark.parametrize(("custom_text", "torch_file"), [(False, False), (True, False), (False, True)])
def test_the_logit_scale_is_that_of_the_checkpoint(tmp_path, custom_text, torch_file):
    spec = spec_of(write_folder(tmp_path / "tiny", custom_text=custom_text, torch_file=torch_file))
    assert read_logit_scale(spec.checkpoint) == pytest.approx(math.log(1 / 0.07))  # CLIP's at the start of training
    scales = read_scales(spec)
    made = scales.of(TEXT)
    assert made == ScoreScale(0.0, pytest.approx(6 * 0.07), above_background=True)
    assert scales.knows(TEXT)


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
    measures = SCALES.measure(np.stack([TEXT, np.array([1.0, 0.0], np.float32)]))
    np.testing.assert_allclose(measures, [[0.8, math.hypot(1.2, 0.8), 0.3], [1.0, 2.0, 0.5]], atol=1e-6)
    cut_off = 0.1 + 0.2 * 0.8 + 0.3 * math.sqrt(2.08) + 0.5 * 0.3
    made = SCALES.of(TEXT)
    assert made == ScoreScale(
        pytest.approx(cut_off - 0.7 * 0.4, abs=1e-6), pytest.approx(cut_off + 0.3 * 0.4, abs=1e-6)
    )
    assert (cut_off - made.zero) / (made.one - made.zero) == pytest.approx(MATCHES_BEGIN, abs=1e-6)


def test_a_high_cosine_is_enough_for_any_text():
    scales = replace(SCALES, coefficients=replace(COEFFICIENTS, most=0.5))
    assert scales.of(TEXT) == ScoreScale(pytest.approx(0.5 - 0.7 * 0.4), pytest.approx(0.5 + 0.3 * 0.4))


@pytest.mark.parametrize(
    ("text", "is_known"),
    [((0.0, 1.0), True), ((-0.6, 0.8), True), ((-0.7, -0.7), True), ((-0.8, 0.6), False), ((0.6, -0.8), False)],
)
def test_a_text_is_known_unless_it_is_close_to_an_empty_one_and_closer_than_to_any_name(text, is_known):
    vector = np.array(text, np.float32)
    assert SCALES.knows(vector) == is_known
    if not is_known:
        scale = SCALES.of(vector)
        assert scale == ScoreScale(0.0, 1 / MATCHES_BEGIN)  # only a cosine of 1 would be a match


def test_what_is_saved_beside_a_model_goes_before_its_logit_scale(tmp_path):
    folder = write_folder(tmp_path / "tiny")
    save_scale(folder, SCALES)
    assert (folder / SCALE_NAME).is_file()
    spec = spec_of(folder)
    assert spec.checkpoint.name == "open_clip_model.safetensors"
    read = read_scales(spec)
    assert isinstance(read, ReferenceScales) and read.coefficients == COEFFICIENTS
    for name in ("references", "common", "names", "empty"):
        np.testing.assert_array_equal(getattr(read, name), getattr(SCALES, name))
    assert read.of(TEXT) == SCALES.of(TEXT)
