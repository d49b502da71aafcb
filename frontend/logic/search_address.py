"""A search of the page, and how it is written into the page's address so that a link repeats the search."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clipseek.api.limits import MAX_TOP_K, REASONS
from clipseek.api.score_scale import CUT_OFF
from clipseek.api.search_options import SearchOptions, options_of

PAGE_SIZE = 9  # three rows of three
_ID_LENGTH = 12  # characters of a video's id in the address, as the command line shows it
_ROUNDING = 1e-6
_TEXT, _SHOWN = "q", "shown"  # in the address: the description, and how many matches are shown
# The options of a search that the page offers, and their parameters in the address.
_ADDRESSES = {name: option.address for name, option in options_of(SearchOptions).items() if option.address}
PARAMS = frozenset({_TEXT, _SHOWN, *_ADDRESSES.values()})


@dataclass(frozen=True)
class Ask:
    """A search: descriptions, an image, what to avoid, where to look, and how many matches to show.

    All but `text` and `shown` are options of a search, under the names that `SearchOptions` gives them.
    """

    text: str = ""
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    image: str = ""  # its key in `QueryImageFolder`
    like: tuple[str, float] | None = None  # a video's id (or its start) and a time in seconds
    look_in: tuple[str, ...] = ()  # of `REASONS`; none: all
    videos: tuple[str, ...] = ()  # ids, or their starts; none: all
    least_score: float = 0.0
    minimum_seconds: float = 0.0
    maximum_seconds: float = 0.0
    all_matches: bool = False
    shown: int = PAGE_SIZE

    @property
    def is_empty(self) -> bool:
        """Whether the search looks for nothing."""
        return not (self.text.strip() or self.also or self.image or self.like)

    @property
    def filters(self) -> int:
        """How many filters narrow the search."""
        return sum(map(bool, (self.look_in, self.videos, self.least_score, self.minimum_seconds, self.maximum_seconds)))

    @property
    def threshold(self) -> float:
        """The score from which matches are shown: the cut-off where the search names none, 0 where it shows all."""
        return self.least_score or (0.0 if self.all_matches else CUT_OFF)

    def with_threshold(self, score: float) -> "Ask":
        """The same search with another threshold."""
        least = 0.0 if abs(score - CUT_OFF) < _ROUNDING else score
        return replace(self, least_score=least, all_matches=score < _ROUNDING)

    def with_more(self) -> "Ask":
        """The same search with one page more of its matches."""
        return replace(self, shown=min(self.shown + PAGE_SIZE, MAX_TOP_K))

    def options(self, image: bytes | None, weaker: int = 0) -> SearchOptions:
        """The options for `Client.search`, with the content of the image."""
        options: Any = {name: getattr(self, name) for name in _ADDRESSES} | {"image": image, "weaker": weaker}
        return options  # type: ignore[no-any-return]

    def to_params(self) -> dict[str, str | list[str]]:
        """The query part of the page's address; defaults are left out."""
        params: dict[str, str | list[str]] = {
            _TEXT: self.text.strip(),
            **{address: _write(name, getattr(self, name)) for name, address in _ADDRESSES.items()},
            _SHOWN: str(self.shown) if self.shown != PAGE_SIZE else "",
        }
        return {name: value for name, value in params.items() if value}

    @classmethod
    def from_params(cls, params: Mapping[str, Sequence[str]]) -> "Ask":
        """Read an address back; values that make no sense are left out."""
        shown = int(_positive(_last(params.get(_SHOWN, ()))))
        return cls(
            text=_last(params.get(_TEXT, ())),
            shown=min(max(shown, PAGE_SIZE), MAX_TOP_K),
            **{name: _READERS[name](params.get(address, ())) for name, address in _ADDRESSES.items()},
        )


def whole_ids(short: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The known ids that begin with one of the short ones, in their order; a short one that fits none is left out."""
    ids = list(known)
    whole = (next((video_id for video_id in ids if start and video_id.startswith(start)), None) for start in short)
    return tuple(video_id for video_id in whole if video_id)


def lines(text: str) -> tuple[str, ...]:
    """The lines of a box in which each line is a description."""
    return _texts(text.splitlines())


def _write(name: str, value: Any) -> str | list[str]:
    """The value of an option as the address holds it; empty for the default."""
    if name == "videos":
        return [video_id[:_ID_LENGTH] for video_id in value]
    if name == "like":
        return f"{value[0][:_ID_LENGTH]}@{value[1]:.3f}" if value else ""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value) if isinstance(value, str) else f"{value:g}" if value else ""


def _last(values: Sequence[str]) -> str:
    return values[-1] if values else ""


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value.strip() for value in values if value.strip())


def _reasons(values: Sequence[str]) -> tuple[str, ...]:
    named = {name for value in values for name in value.split(",")}
    return tuple(reason for reason in REASONS if reason in named)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 < value < 1e9 else 0.0


def _frame(text: str) -> tuple[str, float] | None:
    video_id, _, time = text.partition("@")
    try:
        seconds = float(time)
    except ValueError:
        return None
    return (video_id, seconds) if video_id and 0 <= seconds < 1e9 else None


_READERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "also": _texts,
    "without": _texts,
    "image": _last,
    "like": lambda values: _frame(_last(values)),
    "look_in": _reasons,
    "videos": _texts,
    "least_score": lambda values: min(_positive(_last(values)), 1.0),
    "minimum_seconds": lambda values: _positive(_last(values)),
    "maximum_seconds": lambda values: _positive(_last(values)),
    "all_matches": lambda values: _last(values) == "1",
}
