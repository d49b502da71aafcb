"""The clips somebody has chosen, in an order that can be changed."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace


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

    def moved(self, item: Item, by: int) -> "Basket":
        """The basket with a clip moved by so many places; it stops at the ends."""
        others = [each for each in self.items if each != item]
        place = min(max(self.items.index(item) + by, 0), len(others))
        return Basket((*others[:place], item, *others[place:]))

    @property
    def length_seconds(self) -> float:
        return sum(item.length_seconds for item in self.items)


class Baskets:
    """The baskets of all visitors; who has not changed theirs for longest loses it first. Safe for threads."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._kept: dict[str, Basket] = {}
        self._lock = threading.Lock()

    def of(self, visitor: str) -> Basket:
        return self._kept.get(visitor, Basket())

    def keep(self, visitor: str, basket: Basket) -> None:
        with self._lock:
            self._kept.pop(visitor, None)
            if len(basket):
                self._kept[visitor] = basket
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
