"""The baskets of all visitors on disk."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from frontend.logic.basket import Basket, BasketItem

_DAY_SECONDS = 24 * 3600


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
