"""What is asked on the search page, and how it is written into the page's address so that a link asks the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clipseek.api.limits import MAX_TOP_K

PAGE_SIZE = 9  # three rows of three
_ID_LENGTH = 12  # of a video's id in the address: as the command line shows it


@dataclass(frozen=True)
class Ask:
    """A search: descriptions, an image, what to avoid, where, and how much of the answer to show."""

    text: str = ""
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    image: str = ""  # its key in `QueryImages`
    like: tuple[str, float] | None = None  # a video's id (or its start) and a time in seconds
    videos: tuple[str, ...] = ()  # ids, or their starts; none: all
    least_score: float = 0.0
    minimum_seconds: float = 0.0
    maximum_seconds: float = 0.0
    all_matches: bool = False
    shown: int = PAGE_SIZE

    @property
    def is_empty(self) -> bool:
        """Whether nothing is looked for."""
        return not (self.text.strip() or self.also or self.image or self.like)

    @property
    def filters(self) -> int:
        """How many filters narrow the search."""
        return sum(map(bool, (self.videos, self.least_score, self.minimum_seconds, self.maximum_seconds)))

    def with_more(self) -> "Ask":
        return replace(self, shown=min(self.shown + PAGE_SIZE, MAX_TOP_K))

    def to_params(self) -> dict[str, str | list[str]]:
        """The query part of the page's address; defaults are left out."""
        params: dict[str, str | list[str]] = {
            "q": self.text.strip(),
            "also": list(self.also),
            "without": list(self.without),
            "image": self.image,
            "like": f"{self.like[0][:_ID_LENGTH]}@{self.like[1]:.3f}" if self.like else "",
            "video": [video[:_ID_LENGTH] for video in self.videos],
            "least": _number(self.least_score),
            "shortest": _number(self.minimum_seconds),
            "longest": _number(self.maximum_seconds),
            "all": "1" if self.all_matches else "",
            "shown": str(self.shown) if self.shown != PAGE_SIZE else "",
        }
        return {name: value for name, value in params.items() if value}

    @classmethod
    def from_params(cls, params: Mapping[str, Sequence[str]]) -> "Ask":
        """Read an address back; what makes no sense in it is left out."""

        def one(name: str) -> str:
            values = params.get(name, [])
            return values[-1] if values else ""

        return cls(
            text=one("q"),
            also=_texts(params.get("also", [])),
            without=_texts(params.get("without", [])),
            image=one("image"),
            like=_moment(one("like")),
            videos=_texts(params.get("video", [])),
            least_score=min(_positive(one("least")), 1.0),
            minimum_seconds=_positive(one("shortest")),
            maximum_seconds=_positive(one("longest")),
            all_matches=one("all") == "1",
            shown=min(max(int(_positive(one("shown"))), PAGE_SIZE), MAX_TOP_K),
        )


PARAMS = frozenset({"q", "also", "without", "image", "like", "video", "least", "shortest", "longest", "all", "shown"})


def whole_ids(short: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The known ids that begin with one of the short ones, in their order; what fits none is left out."""
    ids = list(known)
    found = (next((video_id for video_id in ids if start and video_id.startswith(start)), None) for start in short)
    return tuple(video_id for video_id in found if video_id)


def lines(text: str) -> tuple[str, ...]:
    """The lines of a box in which each line is a description."""
    return _texts(text.splitlines())


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value.strip() for value in values if value.strip())


def _number(value: float) -> str:
    return f"{value:g}" if value else ""


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 < value < 1e9 else 0.0


def _moment(text: str) -> tuple[str, float] | None:
    video_id, _, time = text.partition("@")
    try:
        seconds = float(time)
    except ValueError:
        return None
    return (video_id, seconds) if video_id and 0 <= seconds < 1e9 else None
