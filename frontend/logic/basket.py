"""The clips somebody has chosen, in an order that can be changed."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """`[start_seconds, end_seconds)` of a video."""

    video_id: str
    title: str
    start_seconds: float
    end_seconds: float

    @property
    def length_seconds(self) -> float:
        return self.end_seconds - self.start_seconds

    @property
    def key(self) -> str:
        """What tells the clip from all others, to be part of the keys of its buttons."""
        return sha256(repr(self).encode()).hexdigest()[:16]

    def padded(self, seconds: float, duration_seconds: float) -> "Item":
        """The clip with so much more at both ends, inside the video."""
        end = min(self.end_seconds + seconds, max(duration_seconds, self.end_seconds))
        return replace(self, start_seconds=max(self.start_seconds - seconds, 0.0), end_seconds=end)


@dataclass(frozen=True)
class Basket:
    """Chosen clips. Each change makes a new basket."""

    items: tuple[Item, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def with_item(self, item: Item) -> "Basket":
        """The basket with a clip at its end, unless it is there already."""
        return self if item in self.items else Basket((*self.items, item))

    def without(self, item: Item) -> "Basket":
        return Basket(tuple(each for each in self.items if each != item))

    def replaced(self, item: Item, by: Item) -> "Basket":
        """The basket with another clip in the place of this one; where that is in it already, without this one."""
        if by in self.items:
            return self if by == item else self.without(item)
        return Basket(tuple(by if each == item else each for each in self.items))

    def moved(self, item: Item, by: int) -> "Basket":
        """The basket with a clip moved by so many places; it stops at the ends. One that has gone stays away."""
        if item not in self.items:
            return self
        others = [each for each in self.items if each != item]
        place = min(max(self.items.index(item) + by, 0), len(others))
        return Basket((*others[:place], item, *others[place:]))

    @property
    def length_seconds(self) -> float:
        return sum(item.length_seconds for item in self.items)


class Baskets:
    """The baskets of all visitors, a file each below `folder`, which is made if missing.

    Those that were not changed for `most_days` go, and the oldest of those beyond `most`.
    """

    def __init__(self, folder: Path, most: int = 1000, most_days: float = 30.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._most, self._most_days = folder, most, most_days

    def of(self, visitor: str) -> Basket:
        """The basket of a visitor: 32 hex digits."""
        try:
            items = json.loads(self._file(visitor).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Basket()
        return Basket(tuple(Item(**item) for item in items))

    def keep(self, visitor: str, basket: Basket) -> None:
        if not len(basket):
            self._file(visitor).unlink(missing_ok=True)
            return
        draft = self._file(visitor).with_suffix(".draft")
        draft.write_text(json.dumps([asdict(item) for item in basket], ensure_ascii=False), encoding="utf-8")
        draft.replace(self._file(visitor))
        self._tidy()

    def _tidy(self) -> None:
        changed = {file: file.stat().st_mtime for file in self._folder.glob("*.json")}
        kept = sorted(changed, key=changed.__getitem__, reverse=True)[: self._most]
        oldest = time.time() - self._most_days * 24 * 3600
        for file, when in changed.items():
            if file not in kept or when < oldest:
                file.unlink(missing_ok=True)

    def _file(self, visitor: str) -> Path:
        return self._folder / f"{visitor}.json"
