"""The file of a saved index: a checksum, then what Faiss writes, then the sum of the frames.

Faiss takes a damaged file as it is, or crashes, so nothing of it is parsed before the checksum fits. The checksum comes
first: earlier versions do not know such a file and rebuild their index.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import faiss
import numpy as np
import numpy.typing as npt

FrameSum = npt.NDArray[np.float64]  # of the frames' vectors, [D]

_MAGIC = b"ClipSeek index 1"
_HASH = "sha256"
_HEADER_BYTES = len(_MAGIC) + hashlib.new(_HASH).digest_size


class CacheDamaged(Exception):
    """The file is not as it was written, or an earlier version wrote it."""


def index_folder_name(store_id: str, replica: int | str, slot: str = "") -> str:
    """The folder of the saved index of a model.

    With a `store_id`, it is that of one of the indexers that share a database. Another one may take its place.
    """
    return (f"index-{store_id[:12]}-{replica}" if store_id else "index") + slot


def cache_path(folder: Path, revision: int) -> Path:
    """The saved index of one revision of the store."""
    return folder / f"frames-{revision}.faiss"


def list_stale_files(folder: Path, revision: int) -> list[Path]:
    """Saved indices of other revisions, and unfinished ones."""
    return [file for file in sorted(folder.glob("frames-*")) if file != cache_path(folder, revision)]


def write_cache(path: Path, index: faiss.Index, frame_sum: FrameSum) -> None:
    """Raises: OSError, RuntimeError: the disk is full, or another error of the disk."""
    with path.open("w+b") as file:
        file.write(bytes(_HEADER_BYTES))
        faiss.write_index(index, cast(Any, faiss).PyCallbackIOWriter(file.write))  # given a path, it hides a full disk
        file.write(frame_sum.tobytes())
        checksum = _hash_content(file)
        file.seek(0)
        file.write(_MAGIC + checksum)


def read_cache(path: Path) -> tuple[faiss.Index, FrameSum]:
    """Raises: CacheDamaged; OSError."""
    with path.open("rb") as file:
        if file.read(_HEADER_BYTES) != _MAGIC + _hash_content(file):
            raise CacheDamaged(path)
        file.seek(_HEADER_BYTES)
        index = faiss.read_index(cast(Any, faiss).PyCallbackIOReader(file.read))
        file.seek(-8 * index.d, os.SEEK_END)
        return index, np.frombuffer(file.read()).copy()


def _hash_content(file: BinaryIO) -> bytes:
    file.seek(_HEADER_BYTES)
    return hashlib.file_digest(file, _HASH).digest()  # type: ignore[arg-type]  # typeshed asks for more than it uses
