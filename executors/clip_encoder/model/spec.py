"""What is known about a model before it is loaded, and the identity of its vectors."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from clipseek.api.errors import ModelUnavailable
from executors.clip_encoder.model.picture_format import Preprocessing

Pictures = NDArray[np.uint8]  # [N, height, width, 3], RGB
Vectors = NDArray[np.float32]  # [N, D]
# One half of a model, loaded: float32 [N, 3, height, width] or int64 [N, context] to vectors.
Half = Callable[[NDArray[Any]], Vectors]
# Entries of an open_clip configuration that say where files are, not what is computed.
_PLACES = ("hf_model_name", "hf_tokenizer_name", "hf_model_pretrained", "timm_model_pretrained")
# Parts of the names of text models and tokenizers that were trained on many languages.
_MANY_LANGUAGES = ("siglip2", "i18n", "worldwide", "xlm", "mt5", "nllb", "gemma", "multilingual")
# The value of `sentence_encoder` in a `text_cfg`: the text half is a package's, not the checkpoint's.
SENTENCE_ENCODER = "universal-sentence-encoder-multilingual-3"
_CHUNK_BYTES = 4 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ImageForm(Protocol):
    """Another form of a model's image half, which runs in place of the checkpoint's. Its vectors differ.

    `engine` is what CLIPSEEK_ENGINE says to use it, `id_suffix` ends the identity of its vectors. `check` checks those
    that this machine computes. `load` and `check` raise ModelError.
    """

    @property
    def engine(self) -> str: ...
    @property
    def id_suffix(self) -> str: ...
    def load(self) -> Half: ...
    def check(self, encode: Callable[[Pictures], Vectors]) -> None: ...


@dataclass(frozen=True)
class ModelSpec:
    """A model whose files are on this machine."""

    name: str  # the value of CLIPSEEK_MODEL that finds this model again: `starter`, NAME/TAG, or a folder's path
    model_cfg: Mapping[str, Any]  # open_clip's configuration, with absolute paths
    preprocessing: Preprocessing
    checkpoint: Path  # the weights of both halves
    tokenizer_folder: Path | None  # files of a Hugging Face tokenizer; None for open_clip's own byte-pair tokenizer
    reason: str  # why this model was chosen, for people
    warnings: tuple[str, ...] = ()  # what people should know about it
    weights_sha256: str = ""  # 64 hex digits if the weights' identity is known without reading the file
    image_form: ImageForm | None = None  # runs in place of the checkpoint's image half; None: the checkpoint itself

    @property
    def dimensions(self) -> int:
        """Numbers in one of its vectors."""
        return int(self.model_cfg["embed_dim"])

    @property
    def has_sentence_encoder(self) -> bool:
        """Whether its texts are read by the sentence encoder, see `executors/machine/sentence_encoder.py`."""
        return bool(self.model_cfg["text_cfg"].get("sentence_encoder") == SENTENCE_ENCODER)

    @property
    def is_multilingual(self) -> bool:
        """Whether its text half is known to have been trained on many languages."""
        text = self.model_cfg["text_cfg"]
        names = (self.name, text.get("hf_model_name"), text.get("hf_tokenizer_name"), text.get("sentence_encoder"))
        return any(mark in str(name).lower() for name in names for mark in _MANY_LANGUAGES)

    def identity(self, weights_sha256: str) -> str:
        """Build `NAME@WEIGHTS:RECIPE`. The same model gets the same identity in both encoders and on every machine.

        WEIGHTS are the first 16 hex digits of the weights' SHA-256, RECIPE 8 of the configuration's: the architecture,
        the preprocessing, and how pictures are fitted. Vectors of two models may be compared if their identities are
        equal after the last `@`.
        """
        architecture = deepcopy(dict(self.model_cfg))
        for half in ("vision_cfg", "text_cfg"):
            architecture[half] = {k: v for k, v in architecture[half].items() if k not in _PLACES}
        preprocessing = {k: v for k, v in asdict(self.preprocessing).items() if k != "fit"}  # the format has it
        recipe = [architecture, preprocessing, asdict(self.preprocessing.picture_format)]
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        return f"{self.name}@{weights_sha256[:16]}:{digest[:8]}"


def model_id(spec: ModelSpec, cache: Path) -> str:
    """Compute the identity of the model's vectors, see `ModelSpec.identity`; another image form adds its own mark.

    The folder `cache` remembers the hashes of large files. Raises: ModelUnavailable: the weights cannot be read.
    """
    identity = spec.identity(spec.weights_sha256 or hash_file(spec.checkpoint, cache))
    return identity + (spec.image_form.id_suffix if spec.image_form else "")


def vectors_key(spec: ModelSpec, cache: Path) -> str:
    """What tells a model's vectors apart, as a folder's name, whatever form runs. Raises: ModelUnavailable."""
    return model_id(replace(spec, image_form=None), cache).rpartition("@")[2].replace(":", "-")


def hash_file(path: Path, cache: Path) -> str:
    """Get a file's SHA-256: from its name in the hub's cache, from `cache/hashes.json`, or by reading the file.

    Returns: 64 hex digits. Raises: ModelUnavailable: the file cannot be read.
    """
    real = path.resolve()
    if _SHA256.fullmatch(real.name):  # the hub's cache names its files by their hash
        return real.name
    hashes = cache / "hashes.json"
    try:
        status = real.stat()
        key = f"{real}|{status.st_size}|{status.st_mtime_ns}"
        known = _read_hashes(hashes)
        return known[key] if key in known else _remember_hash(hashes, key, read_and_hash(real))
    except OSError as error:
        raise ModelUnavailable(f"The model's weights {path} cannot be read: {error}") from error


def read_and_hash(path: Path) -> str:
    """Read the whole file. Returns: its SHA-256, 64 hex digits. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _read_hashes(hashes: Path) -> dict[str, str]:
    try:
        known = json.loads(hashes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # missing or damaged: this costs only time
    return known if isinstance(known, dict) else {}


def _remember_hash(hashes: Path, key: str, sha256: str) -> str:
    hashes.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{hashes}.lock"):
        known = _read_hashes(hashes) | {key: sha256}
        handle, temporary = tempfile.mkstemp(dir=hashes.parent, prefix="hashes-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1)
        Path(temporary).replace(hashes)
    return sha256
