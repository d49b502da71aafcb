"""Which cosines a text has with pictures that fit it: a `ScoreScale` for every text, depending on the model.

A model trained with a softmax or sigmoid over its cosines has a logit scale: how much a difference of cosines means.
CLIP's fitting pairs are reported to differ from unrelated ones by 6 to 10 logits, 0.06 to 0.10 of cosine at CLIP's
scale of 100. This was not measured here, because no weights were available.

A model with reference vectors beside its weights (the starter) allows more. Its cosines are higher for some texts than
for others, whether a picture fits or not: for texts near a reference (a class that it knows by name), for texts between
which its references distinguish clearly, and for texts that read like the name of anything. So the cosine at which
matches begin is

    cut_off = base + nearest * max_r cos(text, r) + spread * |(text . r) over all r| + common * (text . mean of names)

with coefficients from a logistic regression, but no more than `most`, see docs/relevance.md. Such a model may also know
that it has no idea of a text: because the text is close to one that means nothing to it, closer than to any name. Then
no picture fits.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from clipseek.api.score_scale import MATCHES_BEGIN, ScoreScale
from executors.clip_encoder.model.spec import ModelSpec

Vector = NDArray[np.float32]
SCALE_NAME = "score_scale.safetensors"
_VECTORS = ("references", "common", "names", "empty")
_LOGITS = 6.0  # from the background to a picture that fits; the least that is reported
_NOTHING_FITS = ScoreScale(0.0, 1.0 / MATCHES_BEGIN)  # matches begin at a cosine of 1
# The cosine to a text without meaning from which a text may be one: of 640 texts that describe something none reached
# 0.6, and most such texts in other words or languages reach 0.75.
_LEAST_EMPTY = 0.75
_EQUAL = 1e-6  # a difference of cosines that is rounding: a text that is in both lists is known
_USUAL_LOGIT_SCALE = 100.0  # near the end of training, for CLIP and SigLIP models


@dataclass(frozen=True)
class LogitScales:
    """One scale for all texts, above their background."""

    logit_scale: float

    def of(self, text: Vector) -> ScoreScale:  # noqa: ARG002 (the other kind of scales needs it)
        """Returns: the scale of a text, float32 [D] of unit length."""
        return ScoreScale(0.0, _LOGITS / self.logit_scale, above_background=True)

    def knows(self, text: Vector) -> bool:  # noqa: ARG002
        """Whether the model has an idea of a text: nothing else is known."""
        return True


@dataclass(frozen=True)
class Coefficients:
    """Of the formula at the top of this module; `contrast` is the difference of cosine from relevance 0 to 1.

    `most` is a cosine that is enough for any text: the names of classes themselves are rare in the fitted queries.
    """

    base: float
    nearest: float
    spread: float
    common: float
    contrast: float
    most: float


@dataclass(frozen=True)
class ReferenceScales:
    """A scale for each text, from its products with vectors of the same space.

    Attributes:
        references: float32 [R, D].
        common: float32 [D], the mean of the vectors of all names.
        names: float32 [N, D], unit rows: the texts that the model knows.
        empty: float32 [E, D], unit rows: texts that mean nothing to it.
    """

    references: Vector
    common: Vector
    names: Vector
    empty: Vector
    coefficients: Coefficients

    @cached_property
    def _lengths(self) -> Vector:
        lengths: Vector = np.linalg.norm(self.references, axis=1)
        return lengths

    def measure(self, texts: Vector) -> Vector:
        """Measure texts, float32 [N, D] with unit rows.

        Returns: float32 [N, 3]: cosine to the nearest reference, spread, and product with what names have in common.
        """
        products = texts @ self.references.T
        nearest, spread = (products / self._lengths).max(axis=1), np.linalg.norm(products, axis=1)
        return np.stack([nearest, spread, texts @ self.common], axis=1)

    def of(self, text: Vector) -> ScoreScale:
        if not self.knows(text):
            return _NOTHING_FITS
        [(nearest, spread, common)] = self.measure(text[np.newaxis])
        weights = self.coefficients
        fitted = weights.base + weights.nearest * nearest + weights.spread * spread + weights.common * common
        cut_off = min(float(fitted), weights.most)
        zero = cut_off - MATCHES_BEGIN * weights.contrast
        return ScoreScale(zero, zero + weights.contrast)

    def knows(self, text: Vector) -> bool:
        """Whether the model has an idea of a text, float32 [D] of unit length."""
        empty = float((self.empty @ text).max())
        return empty < _LEAST_EMPTY or empty <= float((self.names @ text).max()) + _EQUAL


ScoreScales = LogitScales | ReferenceScales


def save_scale(folder: Path, scales: ReferenceScales) -> None:
    """Save a model's scales in its folder; the names in half precision, because they are many."""
    vectors = {name: getattr(scales, name) for name in _VECTORS} | {"names": scales.names.astype(np.float16)}
    tensors = {name: np.ascontiguousarray(rows) for name, rows in vectors.items()}
    tensors["coefficients"] = np.array(list(vars(scales.coefficients).values()))
    save_file(tensors, folder / SCALE_NAME)


def read_scales(spec: ModelSpec) -> ScoreScales:
    """Read the scales of a model: from its references if it has any, else from its logit scale."""
    path = spec.checkpoint.parent / SCALE_NAME
    if path.is_file():
        tensors = load_file(path)
        vectors = {name: tensors[name].astype(np.float32) for name in _VECTORS}
        return ReferenceScales(**vectors, coefficients=Coefficients(*tensors["coefficients"].tolist()))
    from executors.clip_encoder.pytorch.weights import read_logit_scale  # models without references need torch anyway

    logarithm = read_logit_scale(spec.checkpoint)
    return LogitScales(math.exp(logarithm) if logarithm is not None else _USUAL_LOGIT_SCALE)
