"""How high the cosines of a text reach where a picture fits it: a `ScoreScale` for every text, by its model.

A model that was trained with a softmax or sigmoid over its cosines says by its logit scale how much a difference of
cosines means. 8 logits, 0.08 of cosine at CLIP's scale of 100, are what is reported to separate CLIP's fitting pairs
from unrelated ones; it was not measured here, for want of weights.

A model with reference vectors beside its weights (the starter) tells more. Its cosines reach higher for some texts
than for others, whether a picture fits or not: for those near a reference (a class that it knows by name), and for
those that its references tell apart clearly. So the cosine at which matches begin is

    cut_off = base + nearest * max_r cos(text, r) + spread * |(text . r) over all r|

with coefficients that a logistic regression found, see docs/relevance.md. Such a model may also read texts in two ways:
as they are to judge how well something fits, and mapped to find where in a video it fits best.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from clipseek.api.score_scale import MATCHES_BEGIN, ScoreScale
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.model.weights import read_logit_scale

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
SCALE_NAME = "score_scale.safetensors"
_LOGITS = 8.0  # from the background to a picture that fits
_USUAL_LOGIT_SCALE = 100.0  # what CLIP and SigLIP models end their training near


class ScoreScales(Protocol):
    """A model's scale for every text."""

    def of(self, text: Vector) -> ScoreScale:
        """The scale of a text, float32 [D] of unit length."""
        ...

    def for_curves(self, text: Vector) -> Vector:
        """The vector to draw a video's curve with, float32 [D] of unit length."""
        ...


@dataclass(frozen=True)
class LogitScales:
    """The same scale for all texts, above their background."""

    logit_scale: float

    def of(self, text: Vector) -> ScoreScale:  # noqa: ARG002 (other models' scales differ from text to text)
        return ScoreScale(0.0, _LOGITS / self.logit_scale, above_background=True)

    def for_curves(self, text: Vector) -> Vector:
        return text


@dataclass(frozen=True)
class Coefficients:
    """Those of the module's formula; `contrast` is the cosine from relevance 0 to 1."""

    base: float
    nearest: float
    spread: float
    contrast: float


@dataclass(frozen=True)
class ReferenceScales:
    """A scale for each text by its products with reference vectors, float32 [R, D], and a map float32 [D, D]."""

    references: Vector
    coefficients: Coefficients
    curve_map: Vector

    def features(self, texts: Vector) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of texts float32 [N, D], unit rows: the cosine with the nearest reference, and the spread, float64 [N]."""
        products = texts.astype(np.float64) @ self.references.astype(np.float64).T
        lengths = np.linalg.norm(self.references.astype(np.float64), axis=1)
        return (products / lengths).max(axis=1), np.linalg.norm(products, axis=1)

    def of(self, text: Vector) -> ScoreScale:
        [nearest], [spread] = self.features(text[np.newaxis])
        by = self.coefficients
        zero = float(by.base + by.nearest * nearest + by.spread * spread) - MATCHES_BEGIN * by.contrast
        return ScoreScale(zero, zero + by.contrast)

    def for_curves(self, text: Vector) -> Vector:
        mapped: Vector = text @ self.curve_map
        return mapped / np.float32(np.linalg.norm(mapped))


def save_scale(
    folder: Path, references: NDArray[np.float64], coefficients: Coefficients, curve_map: NDArray[np.float64]
) -> None:
    """Put a model's reference vectors [R, D], its coefficients and its map of texts [D, D] into its folder."""
    tensors = {
        "references": torch.from_numpy(np.ascontiguousarray(references, dtype=np.float32)),
        "coefficients": torch.tensor(list(vars(coefficients).values()), dtype=torch.float64),
        "curve_map": torch.from_numpy(np.ascontiguousarray(curve_map, dtype=np.float32)),
    }
    save_file(tensors, folder / SCALE_NAME)


def read_scales(spec: ModelSpec) -> ScoreScales:
    """The scales of a model: by its references if it has any, else by its logit scale."""
    path = spec.checkpoint.parent / SCALE_NAME
    if path.is_file():
        tensors = load_file(path)
        coefficients = Coefficients(*tensors["coefficients"].tolist())
        return ReferenceScales(tensors["references"].numpy(), coefficients, tensors["curve_map"].numpy())
    logged = read_logit_scale(spec.checkpoint)
    return LogitScales(math.exp(logged) if logged is not None else _USUAL_LOGIT_SCALE)
