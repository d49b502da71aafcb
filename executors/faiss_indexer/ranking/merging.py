"""The matches of single videos, merged to the answer of a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from clipseek.api.score_scale import CUT_OFF
from executors.faiss_indexer.ranking.queries import SearchOptions

_WEAKER_PER_VIDEO = 2  # so that the weaker candidates of a whole library are not all of one video


class Ordered(Protocol):
    """A match: `order` sorts the best first, always in the same way; `score` is in [0, 1]."""

    @property
    def order(self) -> tuple[float, str, float]: ...

    @property
    def score(self) -> float: ...

    @property
    def video_id(self) -> str: ...


M = TypeVar("M", bound=Ordered)


@dataclass(frozen=True)
class SearchAnswer(Generic[M]):
    """One page of matches, best first, and how much was searched.

    Attributes:
        weaker_matches: the nearest below the cut-off, best first, where the query wants them and too few match.
        nothing_matches: there is no match on any page.
        cut_off: the score below which matches are not shown.
        `withheld`: how many weaker matches the pages up to this one would show without the cut-off, ten of a video at
            most.
        more: there are matches beyond this page.
        videos_searched: the videos whose frames were compared with the query, `frames_searched` in all.
    """

    matches: list[M]
    weaker_matches: list[M]
    nothing_matches: bool
    cut_off: float
    withheld: int
    more: bool
    videos_searched: int
    frames_searched: int


class Ranking(Generic[M]):
    """The places of an answer, from videos that are searched one after the other.

    A place is a match, or with `group_by_video` all matches of a video. The order does not depend on which videos were
    searched, as long as all were that could have a place.
    """

    def __init__(self, options: SearchOptions, cut_off: float) -> None:
        self._options = options
        self._cut_off = cut_off
        self._place_count = options.offset + options.top_k
        self._places: list[list[M]] = []
        # No weaker ones on later pages, nor for anyone who asks for a higher score than a match needs.
        self._weaker_count = options.weaker if not options.offset and cut_off <= CUT_OFF else 0
        self._weaker: list[M] = []

    def add(self, matches: Sequence[M]) -> None:
        """Rank all matches of a video."""
        ordered = sorted(matches, key=lambda match: match.order)
        places = [ordered] if self._options.group_by_video and ordered else [[match] for match in ordered]
        self._places = sorted([*self._places, *places], key=lambda place: place[0].order)[: self._place_count + 1]
        weaker = [match for match in ordered if match.score < self._cut_off]
        weaker = weaker if self._options.video_ids else weaker[:_WEAKER_PER_VIDEO]
        self._weaker = sorted([*self._weaker, *weaker], key=lambda match: match.order)[: self._weaker_count]

    def is_settled(self, bound: float) -> bool:
        """Whether no video can change the page any more whose matches score `bound` at most."""
        if len(self._places) <= self._place_count or -self._places[-1][0].order[0] <= bound:
            return False
        if not self._count_weaker():
            return True
        return len(self._weaker) == self._weaker_count and -self._weaker[-1].order[0] > bound

    def _count_weaker(self) -> int:
        """How many weaker matches the page has room for."""
        filled = sum(place[0].score >= self._cut_off for place in self._places[: self._place_count])
        return min(self._weaker_count, self._place_count - filled)

    def answer(self, videos_searched: int, frames_searched: int) -> SearchAnswer[M]:
        """The page, best first, and how much was searched for it."""
        shown = [match for place in self._places[: self._place_count] for match in place]
        on_page = [match for place in self._places[self._options.offset : self._place_count] for match in place]
        return SearchAnswer(
            matches=[match for match in on_page if match.score >= self._cut_off],
            weaker_matches=self._weaker[: self._count_weaker()],
            nothing_matches=not self._places or self._places[0][0].score < self._cut_off,
            cut_off=self._cut_off,
            withheld=sum(match.score < self._cut_off for match in shown),
            more=len(self._places) > self._place_count and self._places[-1][0].score >= self._cut_off,
            videos_searched=videos_searched,
            frames_searched=frames_searched,
        )
