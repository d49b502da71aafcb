"""Where too few moments match, the nearest weaker ones are answered beside them, never among them."""

import asyncio
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipseek.api.errors import InvalidRequest
from clipseek.config.settings import Settings
from clipseek.schema import DocList, Match, Query, QueryPart
from executors.faiss_indexer.executor import FaissIndexer
from executors.faiss_indexer.moments.segments import Segment
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.merging import Ranking, SearchAnswer
from executors.faiss_indexer.ranking.queries import SearchOptions
from executors.faiss_indexer.store.records import Frames
from executors.flow.callers import Caller
from tests.unit.faiss_indexer.test_store import MODEL, video

CUT_OFF = 0.5


def matches_of(name: str, *scores: float) -> list[VideoMatch]:
    segments = [Segment(4.0 * i, 4.0 * i + 2, score, 4.0 * i + 1) for i, score in enumerate(scores)]
    return [VideoMatch(video(name.ljust(64, name[0])), segment, segment.score) for segment in segments]


def rank(videos: list[list[VideoMatch]], cut_off: float = CUT_OFF, **options) -> SearchAnswer[VideoMatch]:
    ranking: Ranking[VideoMatch] = Ranking(SearchOptions(**options), cut_off)
    for matches in videos:
        ranking.add(matches)
    return ranking.answer(0, 0)


def shown(matches: list[VideoMatch]) -> list[tuple[str, float]]:
    return [(match.video_id[0], match.score) for match in matches]


VIDEOS = [matches_of("a", 0.9, 0.4, 0.39, 0.38), matches_of("b", 0.3), matches_of("c", 0.2, 0.6)]


def test_the_nearest_weaker_ones_are_beside_the_matches_two_of_a_video():
    answer = rank(VIDEOS, top_k=9, weaker=4)
    assert shown(answer.matches) == [("a", 0.9), ("c", 0.6)]
    assert shown(answer.weaker_matches) == [("a", 0.4), ("a", 0.39), ("b", 0.3), ("c", 0.2)]
    assert shown(rank(VIDEOS, top_k=9, weaker=3).weaker_matches) == [("a", 0.4), ("a", 0.39), ("b", 0.3)]


def test_of_videos_that_are_named_all_of_the_best_are_shown():
    answer = rank(VIDEOS, top_k=9, weaker=4, video_ids=("a" * 64, "b" * 64, "c" * 64))
    assert shown(answer.weaker_matches) == [("a", 0.4), ("a", 0.39), ("a", 0.38), ("b", 0.3)]


def test_they_fill_the_first_page_and_no_more():
    assert shown(rank(VIDEOS, top_k=3, weaker=4).weaker_matches) == [("a", 0.4)]
    assert rank(VIDEOS, top_k=2, weaker=4).weaker_matches == []
    assert rank(VIDEOS, top_k=2, offset=2, weaker=4).weaker_matches == []
    grouped = rank(VIDEOS, top_k=3, weaker=4, group_by_video=True)
    assert shown(grouped.matches) == [("a", 0.9), ("c", 0.6)]
    assert shown(grouped.weaker_matches) == [("a", 0.4)]


def test_who_asks_for_none_or_for_all_or_for_higher_scores_gets_none():
    assert rank(VIDEOS, top_k=9).weaker_matches == []
    assert rank(VIDEOS, 0.0, top_k=9, weaker=4).weaker_matches == []
    assert rank(VIDEOS, 0.95, top_k=9, weaker=4).weaker_matches == []
    assert shown(rank(VIDEOS, 0.35, top_k=9, weaker=4).weaker_matches) == [("b", 0.3), ("c", 0.2)]
    with pytest.raises(InvalidRequest, match="weaker must be from 0 to 100, not 101"):
        SearchOptions(weaker=101)


def test_the_rest_of_an_answer_is_the_same_with_and_without_them():
    plain, more = rank(VIDEOS, top_k=9), rank(VIDEOS, top_k=9, weaker=4)
    for name in ("matches", "nothing_matches", "cut_off", "withheld", "more"):
        assert getattr(plain, name) == getattr(more, name)
    nothing = rank([matches_of("b", 0.3)], weaker=3)
    assert nothing.nothing_matches and nothing.matches == [] and shown(nothing.weaker_matches) == [("b", 0.3)]


libraries = st.lists(st.lists(st.integers(0, 19).map(lambda value: value / 20), max_size=4), max_size=60)


@settings(deadline=None)
@given(libraries, st.integers(1, 9), st.integers(0, 5), st.booleans())
def test_they_come_from_as_few_videos_as_settle_them(library, top_k, weaker, grouped):
    videos = [matches_of(f"{n:064x}", *scores) for n, scores in enumerate(library)]
    bounds = [max((match.score for match in matches), default=0.0) for matches in videos]
    options = {"top_k": top_k, "weaker": weaker, "group_by_video": grouped}
    ranking: Ranking[VideoMatch] = Ranking(SearchOptions(**options), CUT_OFF)
    for place in sorted(range(len(videos)), key=lambda place: -bounds[place]):
        if ranking.is_settled(bounds[place]):
            break
        ranking.add(videos[place])
    answer = ranking.answer(0, 0)
    assert answer == rank(videos, **options)
    assert all(match.score < CUT_OFF for match in answer.weaker_matches)
    assert len(answer.weaker_matches) <= weaker
    assert max(Counter(match.video_id for match in answer.weaker_matches).values(), default=0) <= 2


@settings(deadline=None)
@given(libraries, st.integers(1, 9), st.integers(0, 5), st.integers(1, 20).map(lambda value: value / 20))
def test_a_higher_threshold_never_shows_more(library, top_k, weaker, threshold):
    videos = [matches_of(f"{n:064x}", *scores) for n, scores in enumerate(library)]
    lower, higher = (
        rank(videos, least, top_k=top_k, weaker=weaker, least_score=least) for least in (threshold - 0.05, threshold)
    )
    assert len(higher.matches) <= len(lower.matches)
    assert len(higher.matches) + len(higher.weaker_matches) <= len(lower.matches) + len(lower.weaker_matches)


def test_on_the_wire_they_are_in_a_list_of_their_own(tmp_path):
    indexer = FaissIndexer(Settings(home=tmp_path / "home", cache=tmp_path / "cache"), runtime_args={"name": "indexer"})
    try:
        library = indexer.library("main")
        library.register(video(duration_seconds=30.0), MODEL)
        shown = np.repeat(np.array([[1.0, 0.0]]), 30, axis=0).astype(np.float16)
        library.put_span("a" * 64, (0.0, 30.0), Frames(np.arange(30.0), shown), MODEL)
        for weaker in (0, 3):
            part = QueryPart(text="a cat", embedding=[0.6, 0.8], one_cosine=1.0, model_id=MODEL)
            asked = DocList[Query]([Query(parts=DocList[QueryPart]([part]), weaker=weaker)])
            [answer] = asyncio.run(indexer.search(asked, caller=Caller("anyone")))
            answer = Query.from_protobuf(answer.to_protobuf())
            assert (len(answer.matches), answer.nothing_matches, answer.withheld) == (0, True, 1)
            assert [match.is_weak for match in answer.weaker_matches] == [True] * bool(weaker)
    finally:
        indexer.close()
    assert Match(score=0.49).is_weak and not Match(score=0.5).is_weak
