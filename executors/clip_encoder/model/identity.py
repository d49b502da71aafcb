"""The identity of a model: which weights, and how they are used. Each file is hashed once, and its hash remembered."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from filelock import FileLock

from clipseek.api.errors import ModelUnavailable
from executors.clip_encoder.model.spec import ModelSpec

_CHUNK_BYTES = 4 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


def model_id(spec: ModelSpec, cache: Path) -> str:
    """Compute the identity of the model's vectors, see `ModelSpec.identity`; another image form adds its own mark.

    Args:
        cache: folder that remembers the hashes of large files.

    Raises:
        ModelUnavailable: the weights cannot be read.
    """
    identity = spec.identity(spec.weights_sha256 or hash_file(spec.checkpoint, cache))
    return identity + (spec.image_form.id_suffix if spec.image_form else "")


def hash_file(path: Path, cache: Path) -> str:
    """Get a file's SHA-256: from its name in the hub's cache, from `cache/hashes.json`, or by reading the file.

    Returns: 64 hex digits.

    Raises:
        ModelUnavailable: the file cannot be read.
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
