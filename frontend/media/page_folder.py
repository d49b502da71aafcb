"""The folder for what outlives the page's process: the queue, the baskets, images to search with."""

import atexit
import fcntl
import json
import re
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TextIO

from clipseek.config.settings import Settings
from frontend.logic.basket import Basket, BasketItem

_DAY_SECONDS = 24 * 3600
_MAX_IMAGES = 300  # of at most 32 MB each; the least recently used are deleted
_KEY_LENGTH = 16  # hex digits of the SHA-256, by which an address names an image
KEY = re.compile(f"[0-9a-f]{{{_KEY_LENGTH}}}")


@cache
def page_folder() -> Path:
    """`CLIPSEEK_HOME/page`, locked by this process; if another page has locked it, a folder until this process ends."""
    folder = Settings.from_env().home / "page"
    others = folder.with_name("other-pages")
    for other in others.glob("*"):
        if _lock(other) is not None:  # its page was killed
            shutil.rmtree(other, ignore_errors=True)
    if _lock(folder) is not None:
        return folder
    own = others / secrets.token_hex(16)
    _lock(own)
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


@cache
def _lock(folder: Path) -> TextIO | None:
    """Create and lock a folder until this process ends. None: another process has locked it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("w")  # stays open, which keeps the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


class BasketFolder:
    """One file per visitor in `folder`, which is created if missing.

    Deletes baskets unchanged for `max_days`, and beyond `max_files` those unchanged for longest.
    """

    def __init__(self, folder: Path, max_files: int = 1000, max_days: float = 30.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_files, self._max_days = folder, max_files, max_days

    def read(self, visitor: str) -> Basket:
        """The basket of a visitor (32 hex digits); empty if there is none."""
        try:
            items = json.loads(self._file(visitor).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Basket()
        return Basket(tuple(BasketItem(**item) for item in items))

    def write(self, visitor: str, basket: Basket) -> None:
        """Store a basket. An empty one has no file."""
        if not len(basket):
            self._file(visitor).unlink(missing_ok=True)
            return
        draft = self._file(visitor).with_suffix(".draft")
        draft.write_text(json.dumps([asdict(item) for item in basket.items], ensure_ascii=False), encoding="utf-8")
        draft.replace(self._file(visitor))
        self._delete_old()

    def _delete_old(self) -> None:
        changed = {file: file.stat().st_mtime for file in self._folder.glob("*.json")}
        newest = sorted(changed, key=changed.__getitem__, reverse=True)[: self._max_files]
        oldest_time = time.time() - self._max_days * _DAY_SECONDS
        for file, changed_time in changed.items():
            if file not in newest or changed_time < oldest_time:
                file.unlink(missing_ok=True)

    def _file(self, visitor: str) -> Path:
        return self._folder / f"{visitor}.json"


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
