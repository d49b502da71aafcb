"""Which cosines a text has with pictures that fit it: a `ScoreScale` for every text, depending on the model.

A model trained with a softmax or sigmoid over its cosines has a logit scale: how much a difference of cosines means.
CLIP's fitting pairs are reported to differ from unrelated ones by 6 to 10 logits, 0.06 to 0.10 of cosine at CLIP's
scale of 100. This was not measured here, because no weights were available.

A model with reference vectors beside its weights (the starter) allows more. Its cosines are higher for some texts than
for others, whether a picture fits or not: for texts near a reference (a class that it knows by name), and for texts
between which its references distinguish clearly. So the cosine at which matches begin is

    cut_off = base + nearest * max_r cos(text, r) + spread * |(text . r) over all r|

with coefficients from a logistic regression, see docs/relevance.md. Such a model may also read a text in two ways: as
it is, to judge how well something fits; and mapped, to find where in a video it fits best.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from clipseek.api.score_scale import MATCHES_BEGIN, ScoreScale
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.model.weights import read_logit_scale

Vector = NDArray[np.float32]
SCALE_NAME = "score_scale.safetensors"
_LOGITS = 6.0  # from the background to a picture that fits; the least that is reported
_USUAL_LOGIT_SCALE = 100.0  # near the end of training, for CLIP and SigLIP models


@dataclass(frozen=True)
class LogitScales:
    """One scale for all texts, above their background."""

    logit_scale: float

    def of(self, text: Vector) -> ScoreScale:  # noqa: ARG002 (the other kind of scales needs it)
        """Returns: the scale of a text, float32 [D] of unit length."""
        return ScoreScale(0.0, _LOGITS / self.logit_scale, above_background=True)

    def for_curves(self, text: Vector) -> Vector:
        """Returns: the vector for a video's score curve, float32 [D] of unit length."""
        return text


@dataclass(frozen=True)
class Coefficients:
    """Of the formula at the top of this module; `contrast` is the difference of cosine from relevance 0 to 1."""

    base: float
    nearest: float
    spread: float
    contrast: float


@dataclass(frozen=True)
class ReferenceScales:
    """A scale for each text, from its products with references float32 [R, D]; `curve_map` is float32 [D, D]."""

    references: Vector
    coefficients: Coefficients
    curve_map: Vector

    def measure(self, texts: Vector) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns: cosine to the nearest reference, and spread, float64 [N], of texts float32 [N, D] with unit rows."""
        products = texts.astype(np.float64) @ self.references.astype(np.float64).T
        lengths = np.linalg.norm(self.references.astype(np.float64), axis=1)
        return (products / lengths).max(axis=1), np.linalg.norm(products, axis=1)

    def of(self, text: Vector) -> ScoreScale:
        [nearest], [spread] = self.measure(text[np.newaxis])
        weights = self.coefficients
        cut_off = float(weights.base + weights.nearest * nearest + weights.spread * spread)
        zero = cut_off - MATCHES_BEGIN * weights.contrast
        return ScoreScale(zero, zero + weights.contrast)

    def for_curves(self, text: Vector) -> Vector:
        mapped: Vector = text @ self.curve_map
        return mapped / np.float32(np.linalg.norm(mapped))


ScoreScales = LogitScales | ReferenceScales


def save_scale(
    folder: Path, references: NDArray[np.float64], coefficients: Coefficients, curve_map: NDArray[np.float64]
) -> None:
    """Save a model's reference vectors [R, D], its coefficients and its map of texts [D, D] in its folder."""
    tensors = {
        "references": torch.from_numpy(np.ascontiguousarray(references, dtype=np.float32)),
        "coefficients": torch.tensor(list(vars(coefficients).values()), dtype=torch.float64),
        "curve_map": torch.from_numpy(np.ascontiguousarray(curve_map, dtype=np.float32)),
    }
    save_file(tensors, folder / SCALE_NAME)


def read_scales(spec: ModelSpec) -> ScoreScales:
    """Read the scales of a model: from its references if it has any, else from its logit scale."""
    path = spec.checkpoint.parent / SCALE_NAME
    if path.is_file():
        tensors = load_file(path)
        coefficients = Coefficients(*tensors["coefficients"].tolist())
        return ReferenceScales(tensors["references"].numpy(), coefficients, tensors["curve_map"].numpy())
    logarithm = read_logit_scale(spec.checkpoint)
    return LogitScales(math.exp(logarithm) if logarithm is not None else _USUAL_LOGIT_SCALE)
