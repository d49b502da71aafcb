"""The clips a visitor chose, in an order they can change, and the edges of one, (start, end) in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

STEP_SECONDS = (-0.5, -0.1, 0.1, 0.5)  # of the buttons at each edge
MIN_CLIP_SECONDS = 0.1
_REACH_SECONDS = 10.0  # how far the handles reach beyond the match
_DEFAULT_FPS = 25.0  # where a video does not state its frame rate


@dataclass(frozen=True)
class BasketItem:
    """A clip to cut: `[start_seconds, end_seconds)` of a video.

    Why it was chosen goes into exports, and does not tell clips apart.
    """

    video_id: str
    title: str
    start_seconds: float
    end_seconds: float
    query: str = field(default="", compare=False, repr=False)
    score: float | None = field(default=None, compare=False, repr=False)
    reasons: Sequence[str] = field(default=(), compare=False, repr=False)
    line: str = field(default="", compare=False, repr=False)

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


def edge_limits(start_seconds: float, end_seconds: float, duration_seconds: float) -> tuple[float, float]:
    """How far the handles reach: some seconds beyond the match, inside the video."""
    last = max(duration_seconds, end_seconds)
    return round(max(start_seconds - _REACH_SECONDS, 0.0), 2), round(min(end_seconds + _REACH_SECONDS, last), 2)


def move_edge(
    edges: tuple[float, float], edge: int, seconds: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """Move the start (`edge` 0) or the end (1). It stops at the limits and before the other edge."""
    start, end = edges
    if edge == 0:
        return round(min(max(start + seconds, limits[0]), end - MIN_CLIP_SECONDS), 2), end
    return start, round(max(min(end + seconds, limits[1]), start + MIN_CLIP_SECONDS), 2)


def separate_edges(edges: tuple[float, float], limits: tuple[float, float]) -> tuple[float, float]:
    """The edges at least the shortest clip apart. The handles of a slider can meet."""
    start, end = edges
    if end - start >= MIN_CLIP_SECONDS:
        return edges
    end = min(start + MIN_CLIP_SECONDS, limits[1])
    return round(max(end - MIN_CLIP_SECONDS, limits[0]), 2), round(end, 2)


def last_frame_seconds(end_seconds: float, fps: float) -> float:
    """A time at which the clip's last frame is on screen: half a frame before its end, which it does not include.

    At low average rates the last frames may be much closer together.
    """
    return end_seconds - 0.5 / max(fps, _DEFAULT_FPS)
