"""What is found in single videos, put together to the answer of a query: the same, whichever shards they live on."""

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from executors.faiss_indexer.ranking.queries import SearchOptions


class Ordered(Protocol):
    """A match: `order` sorts the best first, by what it scores in the unit of the curve, and the same for the same
    library. `score` is in [0, 1].
    """

    @property
    def order(self) -> tuple[float, str, float]: ...

    @property
    def score(self) -> float: ...


M = TypeVar("M", bound=Ordered)


@dataclass(frozen=True)
class SearchAnswer(Generic[M]):
    """One page of matches, best first, and how much was looked at.

    Attributes:
        nothing_matches: there is no match on any page.
        cut_off: the score below which matches were withheld; `withheld` is how many of them the pages up to this one
            would hold without it.
        more: there are matches beyond this page.
        videos_searched: whose frames were compared with the query, `frames_searched` in all.
    """

    found: list[M]
    nothing_matches: bool
    cut_off: float
    withheld: int
    more: bool
    videos_searched: int
    frames_searched: int


class Ranking(Generic[M]):
    """The places of an answer, from videos that are looked at one after the other.

    A place is a match, or with `group_by_video` all matches of a video. Their order is that of the whole library, so it
    does not depend on which videos were looked at, as long as all were that could have a place.
    """

    def __init__(self, options: SearchOptions, cut_off: float) -> None:
        self._options = options
        self._cut_off = cut_off
        self._wanted = options.offset + options.top_k
        self._places: list[list[M]] = []

    def add(self, matches: Sequence[M]) -> None:
        """Take in the matches of one video."""
        ordered = sorted(matches, key=lambda match: match.order)
        made = [ordered] if self._options.group_by_video else [[match] for match in ordered]
        places = sorted([*self._places, *(place for place in made if place)], key=lambda place: place[0].order)
        self._places = places[: self._wanted + 1]

    def is_settled(self, bound: float) -> bool:
        """Whether no video whose matches have this value at most can have a place, or decide if there are more."""
        return len(self._places) > self._wanted and -self._places[-1][0].order[0] > bound

    def all(self) -> list[M]:
        """The matches that have a place on the pages up to this one, and those of the first place beyond."""
        return [match for place in self._places for match in place]

    @property
    def nothing_matches(self) -> bool:
        """Whether no match on any page reaches the cut-off."""
        return not self._places or self._places[0][0].score < self._cut_off

    @property
    def more(self) -> bool:
        """Whether there are matches beyond the page."""
        return len(self._places) > self._wanted and self._places[-1][0].score >= self._cut_off

    def page(self) -> tuple[list[M], int]:
        """The matches of the page, best first, and how many weaker ones were withheld up to there."""
        shown = [match for place in self._places[: self._wanted] for match in place]
        withheld = sum(match.score < self._cut_off for match in shown)
        on_page = [match for place in self._places[self._options.offset : self._wanted] for match in place]
        return [match for match in on_page if match.score >= self._cut_off], withheld

    def answer(self, videos_searched: int, frames_searched: int) -> "SearchAnswer[M]":
        """The page, and how much was looked at for it."""
        found, withheld = self.page()
        return SearchAnswer(
            found=found,
            nothing_matches=self.nothing_matches,
            cut_off=self._cut_off,
            withheld=withheld,
            more=self.more,
            videos_searched=videos_searched,
            frames_searched=frames_searched,
        )


def merged_facts(facts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What the shards of a library say of themselves, as one: counts are added, what was fitted is the first one's, and
    recall is the mean over all queries that it was measured with.
    """

    def all_of(name: str) -> str:
        return ", ".join(sorted({each[name] for each in facts if each[name]}))

    made = {
        "store": os.path.commonpath([each["store"] for each in facts]),
        "shards": str(len(facts)),
        "videos": str(sum(int(each["videos"]) for each in facts)),
        "frames": str(sum(int(each["frames"]) for each in facts)),
        "index": all_of("index"),
        "model_id": all_of("model_id"),
        "fitted_shift": facts[0]["fitted_shift"],
    }
    if "recall" in facts[0]:
        queries = [int(each["recall_queries"]) for each in facts]
        for name in ("recall_before", "recall"):
            shares = [float(each[name]) * count for each, count in zip(facts, queries, strict=True)]
            made[name] = f"{sum(shares) / max(1, sum(queries)):.4f}"
        made["recall_queries"] = str(sum(queries))
    return made
