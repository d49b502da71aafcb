"""What a query asks: values by hand, and promises that hold for any library."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipseek.api.errors import InvalidRequest, InvalidTimeRange, InvalidTopK
from clipseek.api.search_options import MAX_OFFSET
from executors.faiss_indexer.moments.segments import STRATEGIES, ScoreCurve, Segment
from executors.faiss_indexer.ranking.matches import (
    VideoMatch,
    adjust_lengths,
    find_beside_known,
    find_in_range,
    find_matches,
)
from executors.faiss_indexer.ranking.merging import Ranking, SearchAnswer
from executors.faiss_indexer.ranking.queries import SearchOptions
from executors.faiss_indexer.ranking.video_curves import select_frames_around
from tests.unit.faiss_indexer.test_store import video


def curve(scores, duration=None) -> ScoreCurve:
    return ScoreCurve(np.arange(float(len(scores))), np.array(scores, dtype=np.float64), duration or float(len(scores)))


def spans(found) -> list[tuple[float, float]]:
    return [(segment.start_seconds, segment.end_seconds) for segment in found]


def all_matches(scores: ScoreCurve, shots, time_range, options: SearchOptions) -> list[Segment]:
    return find_matches(scores, shots, time_range, options)


# Parts


def test_a_moment_is_the_frames_of_its_shot_within_two_seconds():
    pts = np.arange(0.0, 20.0)
    assert select_frames_around(pts, (0.0, 20.0), 10.0) == (slice(8, 12), (8.0, 12.0))
    assert select_frames_around(pts, (9.5, 10.5), 10.2) == (slice(10, 11), (9.5, 10.5))
    assert select_frames_around(pts, (0.0, 20.0), 0.3) == (slice(0, 3), (0.0, 2.3))
    assert select_frames_around(np.array([0.0, 30.0]), (0.0, 60.0), 20.0) == (
        slice(1, 2),
        (18.0, 22.0),
    )  # the nearest frame


# Options

BAD = [
    ({"top_k": 0}, InvalidTopK, "top_k must be from 1 to 1000, not 0"),
    ({"top_k": 1001}, InvalidTopK, "top_k must be from 1 to 1000, not 1001"),
    ({"offset": -1}, InvalidRequest, "offset must be from 0 to 10000, not -1"),
    ({"offset": MAX_OFFSET + 1}, InvalidRequest, "offset must be from 0 to 10000, not 10001"),
    ({"start_seconds": -1.0}, InvalidTimeRange, "start_seconds must be 0 or more, not -1"),
    ({"start_seconds": math.nan}, InvalidTimeRange, "start_seconds must be 0 or more, not nan"),
    (
        {"start_seconds": 5.0, "end_seconds": 5.0},
        InvalidTimeRange,
        "must be later than start_seconds: 5 s is not later",
    ),
    ({"end_seconds": math.inf}, InvalidTimeRange, "end_seconds must be 0 or more, not inf"),
    ({"least_score": 1.5}, InvalidRequest, "least_score must be from 0 to 1, not 1.5"),
    ({"least_score": math.nan}, InvalidRequest, "least_score must be from 0 to 1, not nan"),
    ({"minimum_seconds": -1.0}, InvalidRequest, "minimum_seconds must be 0 or more, not -1"),
    ({"padding_seconds": math.inf}, InvalidRequest, "padding_seconds must be 0 or more, not inf"),
    ({"per_video": -1}, InvalidRequest, "per_video must be 0 or more, not -1"),
    (
        {"minimum_seconds": 3.0, "maximum_seconds": 2.0},
        InvalidRequest,
        "maximum_seconds must not be below minimum_seconds: 2 s is below 3 s",
    ),
    ({"maximum_seconds": 1e-9}, InvalidRequest, "maximum_seconds must be 0.01 or more, not 1e-09"),
    ({"strategy": "guess"}, InvalidRequest, "no strategy 'guess'. Choose one of: consensus, hysteresis."),
]


@pytest.mark.parametrize(("values", "error", "told"), BAD, ids=[str(values) for values, _, _ in BAD])
def test_options_that_cannot_be_are_named(values, error, told):
    with pytest.raises(error, match=told):
        SearchOptions(**values)


def test_the_range_ends_with_the_video_and_the_cut_off_is_the_users_if_given():
    assert SearchOptions().range_in(9.0) == (0.0, 9.0)
    assert SearchOptions(start_seconds=2.0).range_in(9.0) == (2.0, 9.0)
    assert SearchOptions(start_seconds=2.0, end_seconds=5.0).range_in(4.0) == (2.0, 4.0)
    assert SearchOptions(start_seconds=9.0).range_in(9.0) is None
    assert SearchOptions().cut_off(0.4) == 0.4
    assert SearchOptions(all_matches=True).cut_off(0.4) == 0.0
    assert SearchOptions(least_score=0.1).cut_off(0.4) == 0.1
    assert SearchOptions(least_score=0.1, all_matches=True).cut_off(0.4) == 0.1


# Segments


def test_a_range_is_divided_as_if_it_were_the_whole_video():
    scores = [0, 0, 1, 1, 1, 0, 0, 0, 0, 0.9, 0.9, 0.9, 0, 0]
    whole = find_in_range(curve(scores), [(0.0, 14.0)], (0.0, 14.0), SearchOptions())
    part = find_in_range(
        ScoreCurve(np.arange(6.0, 14.0), np.array(scores[6:], dtype=float), 14.0),
        [(0.0, 14.0)],
        (6.0, 14.0),
        SearchOptions(),
    )
    assert whole[0].peak_seconds == 3.0
    assert part[0].peak_seconds == 10.0 and 8.0 < part[0].start_seconds < 9.0 and 11.0 < part[0].end_seconds < 12.0


def test_edges_snap_to_cuts_inside_the_range():
    scores = np.array([0, 0, 1, 1, 1, 0, 0, 0], dtype=float)
    made = ScoreCurve(np.arange(10.0, 18.0), scores, 30.0)
    [found, *_] = find_in_range(made, [(0.0, 11.9), (11.9, 14.8), (14.8, 30.0)], (10.0, 18.0), SearchOptions())
    assert spans([found]) == [(pytest.approx(11.9), pytest.approx(14.8))]


def test_between_samples_that_are_far_apart_a_cut_is_the_edge():
    pts = np.arange(0.0, 200.0, 10)
    made = ScoreCurve(pts, np.where(pts < 100, 0.0, 1.0), 200.0)  # a time-lapse, a picture in ten seconds
    for strategy in ("consensus", "hysteresis"):
        options = SearchOptions(strategy=strategy)
        [found, *_] = find_in_range(made, [(0.0, 100.0), (100.0, 200.0)], (0.0, 200.0), options)
        assert spans([found]) == [(100.0, 200.0)]


TWO = [Segment(10.0, 14.0, 0.9, 11.0), Segment(2.0, 8.0, 0.7, 7.5)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2.0, 8.0), (10.0, 14.0)]),
        ({"padding_seconds": 0.5}, [(1.5, 8.5), (9.5, 14.5)]),
        ({"padding_seconds": 5.0}, [(0.0, 9.0), (9.0, 15.0)]),  # half the gap, and the video's ends
        ({"maximum_seconds": 3.0}, [(5.0, 8.0), (10.0, 13.0)]),  # 6.0 and 9.5 would be the middle
        ({"maximum_seconds": 2.0}, [(6.0, 8.0), (10.0, 12.0)]),
        ({"minimum_seconds": 5.0}, [(2.0, 8.0)]),
        ({"minimum_seconds": 7.0}, []),
        ({"minimum_seconds": 5.0, "padding_seconds": 0.5}, [(1.5, 8.5), (9.5, 14.5)]),
    ],
)
def test_padding_and_lengths(options, expected):
    adjusted = adjust_lengths(TWO, (0.0, 15.0), **options)
    assert spans(adjusted) == expected
    assert all(segment.start_seconds <= segment.peak_seconds < segment.end_seconds for segment in adjusted)


def test_the_best_segments_stay_where_a_number_is_wanted():
    made = curve([0, 0, 0.9, 0.9, 0.9, 0, 0, 0, 0, 1, 1, 1, 0, 0])
    every = all_matches(made, [], (0.0, 14.0), SearchOptions())
    assert [segment.peak_seconds for segment in every][:2] == [9.0, 2.0]
    assert all_matches(made, [], (0.0, 14.0), SearchOptions(per_video=1)) == every[:1]


@pytest.mark.parametrize("name", ["", *STRATEGIES])
@given(
    scores=st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=40),
    start=st.floats(0, 20),
    length=st.floats(0.5, 50),
    padding=st.floats(0, 3),
    maximum=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_segments_stay_in_the_range_hold_their_peak_and_never_overlap(name, scores, start, length, padding, maximum):
    whole = curve(scores, duration=len(scores) + 0.5)
    span = (start, min(start + length, whole.duration_seconds))
    inside = (whole.pts_seconds >= span[0]) & (whole.pts_seconds < span[1])
    if not inside.any():
        return
    options = SearchOptions(strategy=name, padding_seconds=padding, maximum_seconds=maximum)
    part = ScoreCurve(whole.pts_seconds[inside], whole.scores[inside], whole.duration_seconds)
    shots = [(0.0, 7.3), (7.3, 9.1), (9.1, whole.duration_seconds)] if whole.duration_seconds > 9.2 else []
    found = sorted(all_matches(part, shots, span, options), key=lambda s: s.start_seconds)
    assert found
    for segment in found:
        assert span[0] <= segment.start_seconds < segment.end_seconds <= span[1]
        assert segment.start_seconds - 1e-9 <= segment.peak_seconds < segment.end_seconds + 1e-9
        assert not maximum or segment.end_seconds - segment.start_seconds <= maximum + 1e-9
    for before, after in pairwise(found):
        assert before.end_seconds <= after.start_seconds + 1e-9


def test_what_overlaps_a_known_moment_is_left_out_and_does_not_hide_the_others():
    scores = [0.1] * 10 + [1.6] * 5 + [0.1] * 15 + [0.65] * 5 + [0.1] * 10
    made = curve(scores)
    alone = find_in_range(made, [], (0.0, 45.0), SearchOptions(strategy="hysteresis"))
    assert len(alone) == 1 and 10 <= alone[0].peak_seconds < 15
    [other] = find_beside_known(made, [], (0.0, 45.0), SearchOptions(strategy="hysteresis"), [(11.0, 12.5)])
    assert 29.0 < other.start_seconds < 30.0 and 34.0 < other.end_seconds < 35.0 and 30 <= other.peak_seconds < 35
    assert find_beside_known(made, [], (0.0, 45.0), SearchOptions(strategy="hysteresis"), [(40.0, 41.0)]) == alone
    [by_default] = find_beside_known(made, [], (0.0, 45.0), SearchOptions(), [(11.0, 12.5)])
    assert spans([by_default]) == [(pytest.approx(29.5), pytest.approx(34.5))]
    assert find_beside_known(curve([0.5, 0.5]), [], (0.0, 2.0), SearchOptions(), [(0.0, 0.5)]) == []


# Pages


def found(name: str, *values: float) -> list[VideoMatch]:
    segments = [Segment(4.0 * i, 4.0 * i + 2, value, 4.0 * i + 1) for i, value in enumerate(values)]
    return [VideoMatch(video(name.ljust(64, name[0])), segment, segment.score) for segment in segments]


def shown(page: list[VideoMatch]) -> list[tuple[str, float]]:
    return [(match.video.video_id[0], match.segment.score) for match in page]


def ranked(looked: list[list[VideoMatch]], cut_off: float = 0.0, **options) -> SearchAnswer[VideoMatch]:
    ranking: Ranking[VideoMatch] = Ranking(SearchOptions(**options), cut_off)
    for matches in looked:
        ranking.add(matches)
    return ranking.answer(0, 0)


def page(answer: SearchAnswer[VideoMatch]) -> tuple[list[VideoMatch], int]:
    return answer.matches, answer.withheld


def test_a_page_is_a_slice_of_all_matches_best_first():
    looked = [found("b", 0.5, 0.9), [], found("a", 0.5, 0.7, 0.1)]
    first, second, third = (ranked(looked, top_k=3, offset=offset) for offset in (0, 3, 5))
    assert shown(first.matches) == [("b", 0.9), ("a", 0.7), ("a", 0.5)] and first.more
    assert shown(second.matches) == [("b", 0.5), ("a", 0.1)] and not second.more
    assert third.matches == [] and not third.more and not third.nothing_matches


def test_grouped_the_places_are_videos_by_their_best_match():
    looked = [found("a", 0.5, 0.7, 0.1), found("b", 0.2, 0.9), found("c"), found("d", 0.6)]
    first, second = (ranked(looked, top_k=2, offset=offset, group_by_video=True) for offset in (0, 2))
    assert shown(first.matches) == [("b", 0.9), ("b", 0.2), ("a", 0.7), ("a", 0.5), ("a", 0.1)] and first.more
    assert shown(second.matches) == [("d", 0.6)] and not second.more


def test_weak_matches_are_withheld_from_the_pages_and_counted():
    looked = [found("a", 0.9, 0.4), found("b", 0.6, 0.3, 0.2)]
    assert page(ranked(looked, cut_off=0.5, top_k=4)) == ([*found("a", 0.9), *found("b", 0.6)], 2)
    assert not ranked(looked, cut_off=0.5, top_k=2).more and ranked(looked, cut_off=0.5, top_k=1).more
    nothing = ranked(looked, cut_off=0.95, top_k=4)
    assert nothing.nothing_matches and page(nothing) == ([], 4)
    grouped = ranked(looked, cut_off=0.5, top_k=2, group_by_video=True)
    assert page(grouped) == ([*found("a", 0.9), *found("b", 0.6)], 3)


@given(
    values=st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=120),
    top_k=st.integers(1, 30),
    grouped=st.booleans(),
)
def test_pages_from_as_few_videos_as_settle_them_are_those_of_the_whole_library(values, top_k, grouped):
    """Videos are looked at by what their matches can score at most, highest first."""
    library = [found(f"{n:064x}", *(float(v) for v in each)) for n, each in enumerate(values)]
    bounds = [max((match.segment.score for match in each), default=0.0) for each in library]
    everything = sorted((match for each in library for match in each), key=lambda match: match.order)
    pages: list[list[VideoMatch]] = []
    for number in range(1000):
        ranking = Ranking(SearchOptions(top_k=top_k, offset=number * top_k, group_by_video=grouped), 0.0)
        for place in sorted(range(len(library)), key=lambda place: -bounds[place]):
            if ranking.is_settled(bounds[place]):
                break
            ranking.add(library[place])
        answer = ranking.answer(0, 0)
        pages.append(answer.matches)
        if not answer.more:
            break
    together = [match for matches in pages for match in matches]
    assert sorted(together, key=lambda match: match.order) == everything
    assert grouped or together == everything
