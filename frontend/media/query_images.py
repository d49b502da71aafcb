"""Images to search with, stored under their hash so that an address can name them."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

_MAX_IMAGES = 300  # of at most 32 MB each; the least recently used are deleted
_KEY_LENGTH = 16  # hex digits of the SHA-256
KEY = re.compile(f"[0-9a-f]{{{_KEY_LENGTH}}}")


@dataclass(frozen=True)
class QueryImage:
    name: str  # of the dropped file
    content: bytes


class QueryImageFolder:
    """Images in `folder`, which is created if missing: `KEY.image`, and its name in `KEY.json`."""

    def __init__(self, folder: Path, max_images: int = _MAX_IMAGES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_images = folder, max_images

    def save(self, name: str, content: bytes) -> str:
        """Store an image. Returns: its key."""
        key = sha256(content).hexdigest()[:_KEY_LENGTH]
        self._name_file(key).write_text(json.dumps(name), encoding="utf-8")
        self._file(key).write_bytes(content)
        by_use = sorted(self._folder.glob("*.image"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in by_use[self._max_images :]:
            old.unlink()
            self._name_file(old.stem).unlink()
        return key

    def get(self, key: str) -> QueryImage | None:
        """The image, or None if it is not stored (any more)."""
        if not KEY.fullmatch(key) or not self._file(key).exists():
            return None
        self._file(key).touch()
        name = json.loads(self._name_file(key).read_text(encoding="utf-8"))
        return QueryImage(name, self._file(key).read_bytes())

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.image"

    def _name_file(self, key: str) -> Path:
        return self._folder / f"{key}.json"
