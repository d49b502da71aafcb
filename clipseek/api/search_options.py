"""The options of a search, declared once. The client, the wire, the command line and the page's address derive from it.

Each option has its name and type, what it does, its bounds, and what the command line and the page's address call it.
Its default is 0, False, "" or nothing, which leaves the choice to the server: a default need not be sent.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from clipseek.api.errors import EmptyQuery, InvalidRequest, InvalidTimeRange, InvalidTopK
from clipseek.api.formats import excerpt
from clipseek.api.limits import MAX_TOP_K, REASONS

if TYPE_CHECKING:
    from clipseek.api.documents import Query, QueryPart

MAX_OFFSET = 10_000  # matches before a page: nobody reads so far, and the server ranks each of them
MAX_WEAKER = 100
_SHORTEST_SECONDS = 0.01  # of `maximum_seconds`: no frame of a video is on screen for less

Image = str | Path | bytes
"""An image file, or its content."""

Frame = str | tuple[str, float]
"""One frame of an indexed video: `VIDEO@TIME`, or the video (as `Client.video` takes it) and the seconds."""


@dataclass(frozen=True)
class Option:
    """What is known of one option of a search, beside its name and type.

    Attributes:
        help: what it does, in one sentence.
        flags: of the command line, separated by spaces; "" for an option of the Python client alone.
        metavar: what `--help` calls its value.
        repeatable: whether the flag may be given several times.
        address: its parameter in the page's address; "" where the page does not offer it.
        most: the largest value of a number; the smallest is 0.
    """

    help: str
    flags: str = ""
    metavar: str = ""
    repeatable: bool = False
    address: str = ""
    most: float = math.inf


class QueryOptions(TypedDict, total=False):
    """What to look for besides the text, and which matches to answer with: the options of `Client.timeline`."""

    also: Annotated[
        "str | Sequence[str]",
        Option(
            "Also look for this. The better a moment fits everything, the higher its score.",
            "--also",
            "TEXT",
            repeatable=True,
            address="also",
        ),
    ]
    without: Annotated[
        "str | Sequence[str]",
        Option("Avoid moments that show this.", "--not", "TEXT", repeatable=True, address="without"),
    ]
    image: Annotated[
        "Image | Sequence[Image] | None",
        Option("Look for what resembles this image.", "--image", "FILE", repeatable=True, address="image"),
    ]
    like: Annotated[
        "Frame | Sequence[Frame] | None",
        Option(
            "Look for what resembles this frame of a video. Matches around the frame itself are left out.",
            "--like",
            "VIDEO@TIME",
            repeatable=True,
            address="like",
        ),
    ]
    parts: Annotated["Sequence[QueryPart]", Option("Any of the above, with weights of their own.")]
    look_in: Annotated[
        "str | Sequence[str]",
        Option(
            "Look only in what is seen, heard (said or subtitled) or written on screen. Separate several by commas. "
            "[default: all]",
            "--in",
            "KIND",
            repeatable=True,
            address="in",
        ),
    ]
    start_seconds: Annotated[float, Option("Look from this time on.", "--from", "TIME")]
    end_seconds: Annotated[float, Option("Look up to this time. [default: the video's end]", "--to", "TIME")]
    all_matches: Annotated[bool, Option("Show weak matches, too: those below the cut-off.", "--all", address="all")]
    weaker: Annotated[
        int,
        Option(
            "How many weaker candidates to add at most where the matches do not fill the first page. They are in "
            "`weaker_matches`, two of a video at most unless `videos` names it.",
            most=MAX_WEAKER,
        ),
    ]
    least_score: Annotated[
        float,
        Option(
            "Lowest score of a match, from 0 to 1, in place of the library's cut-off. [default: the cut-off]",
            "--min-score",
            "SCORE",
            address="least",
            most=1.0,
        ),
    ]
    minimum_seconds: Annotated[
        float, Option("Leave out matches shorter than this.", "--min-length", "SECONDS", address="shortest")
    ]
    maximum_seconds: Annotated[
        float,
        Option(
            "Shorten longer matches to this, around their best frame.", "--max-length", "SECONDS", address="longest"
        ),
    ]
    padding_seconds: Annotated[float, Option("Add this at both ends of each match.", "--padding", "SECONDS")]
    per_video: Annotated[
        int, Option("How many matches of one video at most. [default: all that fit]", "--per-video", "COUNT")
    ]
    strategy: Annotated[
        str, Option("How to divide score curves into matches; docs/quality.md lists the names.", "--strategy", "NAME")
    ]


class SearchOptions(QueryOptions, total=False):
    """The options of `Client.search`: those of a timeline, and the videos to look in."""

    videos: Annotated[
        "str | Sequence[str]",
        Option(
            "Look only in this video: its title, its id or the start of its id.",
            "--video -i",
            "VIDEO",
            repeatable=True,
            address="video",
        ),
    ]
    group_by_video: Annotated[
        bool, Option("Group the matches by video. Counts and pages are then of videos.", "--group")
    ]


def options_of(kind: type[QueryOptions]) -> dict[str, Option]:
    """The rows of the table, by name, in order; `kind` is `QueryOptions` or `SearchOptions`."""
    return {name: hint.__metadata__[0] for name, hint in kind.__annotations__.items()}


def value_type(name: str) -> Any:
    """The type of an option's value: float, int, bool, str, or that of a list."""
    return SearchOptions.__annotations__[name].__origin__


# The options that become parts of the query, or lists; all others are fields of a `Query` under their own names.
_CONVERTED = frozenset({"also", "without", "image", "like", "parts", "look_in", "videos"})
QUERY_FIELDS = tuple(name for name in options_of(SearchOptions) if name not in _CONVERTED)


def check_names(names: Iterable[str], kind: type[QueryOptions]) -> None:
    """Raises: TypeError: a name is none of the options."""
    known = options_of(kind)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise TypeError(f"There is no search option '{unknown[0]}'. The options are: {', '.join(known)}")


def check_numbers(query: Any) -> None:
    """Check the numbers of a `Query`, or of anything with its fields: each by itself, and against one another.

    Raises: InvalidTopK, InvalidTimeRange, InvalidRequest: a value is out of range; the message begins with its name.
    """
    if not 1 <= query.top_k <= MAX_TOP_K:
        raise InvalidTopK(f"top_k must be from 1 to {MAX_TOP_K}, not {query.top_k}.")
    if not 0 <= query.offset <= MAX_OFFSET:
        raise InvalidRequest(f"offset must be from 0 to {MAX_OFFSET}, not {query.offset}.")
    for name, option in options_of(SearchOptions).items():
        value = getattr(query, name, None)
        if isinstance(value, int | float) and not (0 <= value <= option.most and math.isfinite(value)):
            kind = InvalidTimeRange if name in {"start_seconds", "end_seconds"} else InvalidRequest
            bounds = "0 or more" if math.isinf(option.most) else f"from 0 to {option.most:g}"
            raise kind(f"{name} must be {bounds}, not {value:g}.")
    if query.end_seconds and query.end_seconds <= query.start_seconds:
        raise InvalidTimeRange(
            f"end_seconds must be later than start_seconds: {query.end_seconds:g} s is not later than "
            f"{query.start_seconds:g} s."
        )
    if 0 < query.maximum_seconds < _SHORTEST_SECONDS:
        raise InvalidRequest(f"maximum_seconds must be {_SHORTEST_SECONDS:g} or more, not {query.maximum_seconds:g}.")
    if 0 < query.maximum_seconds < query.minimum_seconds:
        raise InvalidRequest(
            f"maximum_seconds must not be below minimum_seconds: {query.maximum_seconds:g} s is below "
            f"{query.minimum_seconds:g} s."
        )


def list_reasons(value: str | Sequence[str]) -> list[str]:
    """What `look_in` names, each once: of one text or several, each with commas between names if wished.

    Raises: InvalidRequest: it names something else.
    """
    texts = [value] if isinstance(value, str) else value
    names = [name.strip().lower() for text in texts for name in text.split(",")]
    for name in names:
        if name and name not in REASONS:
            raise InvalidRequest(f"look_in must be any of {', '.join(REASONS)}, not '{excerpt(name)}'.")
    return list(dict.fromkeys(filter(None, names)))


def check_query(query: "Query") -> None:
    """Check what a query asks: the client before it sends it, an executor when it arrives.

    Raises:
        EmptyQuery: nothing to look for, or only what to avoid.
        InvalidTopK, InvalidTimeRange, InvalidRequest: a number is out of range; a part is of two kinds at once or has
            no weight.
    """
    check_numbers(query)
    list_reasons(query.look_in)
    for number, part in enumerate(query.parts, 1):
        _check_part(number, part)
    if query.text.strip() or any(part.weight > 0 for part in query.parts):
        return
    if query.parts:
        raise EmptyQuery(
            "The query only says what to avoid. Say also what to look for, e.g. 'a street' without 'cars'."
        )
    raise EmptyQuery("The query is empty. Describe what to look for, e.g. 'a red car', or give an image or a frame.")


def _check_part(number: int, part: "QueryPart") -> None:
    if sum(map(bool, (part.text, part.image, part.video_id))) > 1:
        raise InvalidRequest(
            f"Part {number} of the query is of several kinds. Make each part a text, an image or a frame."
        )
    if not (part.text.strip() or part.image or part.video_id or part.embedding):
        raise EmptyQuery(f"Part {number} of the query is empty. Give it a text, an image or a frame.")
    if not math.isfinite(part.weight) or not part.weight:
        raise InvalidRequest(
            f"The weight of part {number} of the query is {part.weight:g}. Use a number above 0 to look for the part, "
            "or below 0 to avoid it."
        )
