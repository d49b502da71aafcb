"""What is exported: moments of videos, from a search, a basket, or a JSON file."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt, one_line, timestamp
from clipseek.api.limits import REASONS

if TYPE_CHECKING:
    from clipseek.api.documents import Match, QueryPart

_TEXTS = ("title", "query", "line")


@dataclass(frozen=True)
class Moment:
    """`[start_seconds, end_seconds)` of a video, and why it was chosen, as far as that is known."""

    video_id: str
    title: str
    start_seconds: float
    end_seconds: float
    query: str = ""
    score: float | None = None  # in [0, 1]
    reasons: Sequence[str] = ()  # "seen", "heard", "written"
    line: str = ""  # the words that match best

    @classmethod
    def of(cls, match: "Match", query: str) -> "Moment":
        """A match of a search for `query`."""
        times = match.start_seconds, match.end_seconds
        return cls(match.video_id, match.title, *times, query, match.score, tuple(match.reasons), match.line)

    @property
    def length_seconds(self) -> float:
        return self.end_seconds - self.start_seconds

    @property
    def facts(self) -> list[str]:
        """Query, score, reasons and line for people, each in one line; without what is not known."""
        score = "" if self.score is None else f"{self.score:.3f}"
        line = f'"{one_line(self.line)}"' if self.line else ""
        return [fact for fact in (one_line(self.query), score, ", ".join(self.reasons), line) if fact]


def query_text(text: str, parts: "Iterable[QueryPart]") -> str:
    """What a query looks for, for people: its text and its wanted parts."""
    wanted = (part for part in parts if part.weight > 0)
    named = (part.text or part.title or f"{part.video_id[:12]}@{timestamp(part.at_seconds)}" for part in wanted)
    return " + ".join(filter(None, (text, *named)))


def read_moments(text: str | bytes, name: str) -> list[Moment]:
    """The moments of a JSON file: a list as the basket of the page, `clipseek search --json` and exports write it.

    Raises: InvalidRequest: it is no such list. `name` is the file's, for the message.
    """
    try:
        rows = json.loads(text)
        if isinstance(rows, dict):
            rows = rows["matches"]  # of `clipseek search --json-answer`
        return [_moment(row) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidRequest(
            f"'{name}' is no list of moments ({excerpt(str(error))}). Save one from the basket of the page as JSON, or "
            "with `clipseek search --json`."
        ) from error


def _moment(row: Mapping[str, Any]) -> Moment:
    start, end = float(row["start_seconds"]), float(row["end_seconds"])
    if not 0 <= start < end < math.inf:
        raise ValueError(f"start_seconds {start:g} and end_seconds {end:g} are no range of time")
    score = row.get("score")
    return Moment(
        video_id=_text(row, "video_id"),
        **{name: _text(row, name) for name in _TEXTS},
        start_seconds=start,
        end_seconds=end,
        score=None if score is None else float(score),
        reasons=tuple(reason for reason in REASONS if reason in (row.get("reasons") or ())),
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name) or ""
    if not isinstance(value, str) or (name == "video_id" and not value):
        raise ValueError(f"{name} is no text")
    return value
