"""The identity of a model: which weights, read how. Hashing is done once per file and remembered."""

import hashlib
import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from clipseek.api.errors import ModelUnavailable
from clipseek.api.model_ids import INT8_MARK
from executors.clip_encoder.model.spec import ModelSpec

_CHUNK_BYTES = 4 * 1024 * 1024
INT8_NAME = "image.xml"  # its weights are beside it in image.bin
_SHA256 = re.compile(r"[0-9a-f]{64}")


def model_id(spec: ModelSpec, cache: Path) -> str:
    """The identity that the model's vectors carry, see `ModelSpec.identity`; with an int8 image half, its hash, too.

    Args:
        cache: folder where the hashes of large files are remembered.

    Raises:
        ModelUnavailable: the weights cannot be read.
    """
    identity = spec.identity(spec.weights_sha256 or file_sha256(spec.checkpoint, cache))
    if spec.int8_image is None:
        return identity
    return f"{identity}{INT8_MARK}{file_sha256(spec.int8_image.with_suffix('.bin'), cache)[:8]}"


def int8_folder(spec: ModelSpec, cache: Path) -> Path:
    """Where `clipseek model optimise` keeps what it makes of a model. Raises: ModelUnavailable."""
    return cache / "int8" / model_id(replace(spec, int8_image=None), cache).rpartition("@")[2].replace(":", "-")


def with_int8(spec: ModelSpec, cache: Path) -> ModelSpec:
    """The model with the image half that `clipseek model optimise` made of it.

    Raises:
        ModelUnavailable: none was made, or none was accepted.
    """
    file = int8_folder(spec, cache) / INT8_NAME
    if not file.is_file():
        raise ModelUnavailable(
            f"CLIPSEEK_ENGINE is 'int8', but there is no int8 form of {spec.name} in {file.parent}. Make one of your "
            f"own videos with `clipseek model optimise`, or set CLIPSEEK_ENGINE=auto"
        )
    return replace(spec, int8_image=file)


def file_sha256(path: Path, cache: Path) -> str:
    """The file's SHA-256 as 64 hex digits: its name in the hub's cache, what `cache/hashes.json` remembers, or read.

    Raises:
        ModelUnavailable: the file cannot be read.
    """
    real = path.resolve()
    if _SHA256.fullmatch(real.name):  # a blob of the hub's cache is named by its hash
        return real.name
    try:
        status = real.stat()
        key = f"{real}|{status.st_size}|{status.st_mtime_ns}"
        known = _remembered(cache / "hashes.json")
        return known[key] if key in known else _remember(cache / "hashes.json", key, streamed_sha256(real))
    except OSError as error:
        raise ModelUnavailable(f"The model's weights {path} cannot be read: {error}") from error


def streamed_sha256(path: Path) -> str:
    """Read the whole file. Returns: 64 hex digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _remembered(hashes: Path) -> dict[str, str]:
    try:
        known = json.loads(hashes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # none yet, or damaged: only time is lost
    return known if isinstance(known, dict) else {}


def _remember(hashes: Path, key: str, sha256: str) -> str:
    hashes.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{hashes}.lock"):
        known = _remembered(hashes) | {key: sha256}
        handle, temporary = tempfile.mkstemp(dir=hashes.parent, prefix="hashes-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1)
        Path(temporary).replace(hashes)
    return sha256
