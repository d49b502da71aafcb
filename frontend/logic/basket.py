"""The clips a visitor chose, in an order they can change."""

from dataclasses import dataclass, replace
from hashlib import sha256


@dataclass(frozen=True)
class BasketItem:
    """A clip to cut: `[start_seconds, end_seconds)` of a video."""

    video_id: str
    title: str
    start_seconds: float
    end_seconds: float

    @property
    def length_seconds(self) -> float:
        return self.end_seconds - self.start_seconds

    @property
    def key(self) -> str:
        """16 hex digits that differ between any two clips, for the keys of their buttons."""
        return sha256(repr(self).encode()).hexdigest()[:16]

    def pad(self, seconds: float, duration_seconds: float) -> "BasketItem":
        """The clip with this much more at both ends, inside its video."""
        end = min(self.end_seconds + seconds, max(duration_seconds, self.end_seconds))
        return replace(self, start_seconds=max(self.start_seconds - seconds, 0.0), end_seconds=end)


@dataclass(frozen=True)
class Basket:
    """Chosen clips, none of them twice. The methods return a new basket."""

    items: tuple[BasketItem, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def length_seconds(self) -> float:
        return sum(item.length_seconds for item in self.items)

    def add(self, item: BasketItem) -> "Basket":
        """The basket with this clip last, unless it already has it."""
        return self if item in self.items else Basket((*self.items, item))

    def remove(self, item: BasketItem) -> "Basket":
        return Basket(tuple(other for other in self.items if other != item))

    def replace(self, item: BasketItem, new: BasketItem) -> "Basket":
        """The basket with `new` in the place of `item`. If it already has `new`, `item` is removed."""
        if new in self.items:
            return self if new == item else self.remove(item)
        return Basket(tuple(new if other == item else other for other in self.items))

    def move(self, item: BasketItem, places: int) -> "Basket":
        """The basket with a clip moved, at most to either end. A clip it does not have stays out."""
        if item not in self.items:
            return self
        others = self.remove(item).items
        place = min(max(self.items.index(item) + places, 0), len(others))
        return Basket((*others[:place], item, *others[place:]))
