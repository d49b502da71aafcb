"""Each match has a score of its own: what the frames between its own edges show."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipseek.api.score_scale import CUT_OFF, MATCHES_BEGIN, ScoreScale
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.moments.segments import STRATEGIES, ScoreCurve, Segment
from executors.faiss_indexer.ranking.matches import find_matches, judge_segment, pool_scores
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.records import Frames
from tests.unit.faiss_indexer.test_store import MODEL, video

DIMENSIONS = 6
frame_scores = st.lists(st.floats(-1, 2, width=32), min_size=1, max_size=60)


def curve(scores, seconds_apart: float = 1.0) -> ScoreCurve:
    pts_seconds = np.arange(len(scores)) * seconds_apart
    return ScoreCurve(pts_seconds, np.array(scores, dtype=np.float64), len(scores) * seconds_apart)


def best_inside(made: ScoreCurve, start: float, end: float) -> float:
    """The best frame between two edges, as a person would read it off the chart."""
    return max(score for at, score in zip(made.pts_seconds, made.scores, strict=True) if start <= at < end)


@given(frame_scores)
def test_the_pooled_score_lies_between_the_mean_and_the_best_frame(scores):
    pooled = pool_scores(np.array(scores, dtype=np.float64))
    assert np.mean(scores) - 1e-9 <= pooled <= max(scores)


def test_one_lucky_frame_is_worth_less_than_a_moment_and_weak_edges_do_no_harm():
    assert pool_scores(np.full(8, 0.9)) == pytest.approx(0.9)
    assert pool_scores(np.array([0.9] + [0.7] * 7)) < 0.85
    assert pool_scores(np.array([0.0, *[0.9] * 6, 0.1])) == pytest.approx(0.9, abs=1e-3)


def test_each_segment_has_the_score_of_its_own_frames_whatever_found_it_first():
    made = ScoreCurve(np.array([0.5, 2.0, 3.5, 6.0, 7.0]), np.array([0.1, 0.3, 0.3, 0.9, 0.4]), 10.0)
    found = [Segment(2.0, 5.0, 8.0, 4.0), Segment(5.5, 7.0, 7.0, 6.5), Segment(8.0, 9.0, 0.05, 8.5)]
    judged = [judge_segment(segment, made, [], (0.0, 10.0)) for segment in found]
    assert judged == [
        Segment(2.0, 5.0, 0.3, 2.0),
        Segment(5.5, 7.0, 0.9, 6.0),
        Segment(8.0, 9.0, 0.4, 8.5),  # no frame in it: what is seen nearest to it
    ]


@pytest.mark.parametrize("name", ["", *STRATEGIES])
@settings(deadline=None)
@given(
    scores=frame_scores,
    padding=st.sampled_from([0.0, 1.5]),
    maximum=st.sampled_from([0.0, 2.5]),
    shot_seconds=st.sampled_from([3.0, 7.5, 100.0]),
)
def test_no_match_scores_more_than_its_best_frame_and_the_order_is_that_of_the_scores(
    name, scores, padding, maximum, shot_seconds
):
    made = curve(scores)
    end = made.duration_seconds
    cuts = [*np.arange(0.0, end, shot_seconds).tolist(), end]
    options = SearchOptions(strategy=name, padding_seconds=padding, maximum_seconds=maximum)
    found = find_matches(made, list(pairwise(cuts)), (0.0, end), options)
    assert found
    assert [segment.score for segment in found] == sorted((segment.score for segment in found), reverse=True)
    for segment in found:
        assert segment.score <= best_inside(made, segment.start_seconds, segment.end_seconds)
        assert segment.start_seconds <= segment.peak_seconds < segment.end_seconds


@settings(deadline=None)
@given(scores=frame_scores, least=st.floats(-0.5, 1.5), top_k=st.integers(1, 12))
def test_every_match_that_counts_is_found_however_few_are_shown(scores, least, top_k):
    made = curve(scores * 4)
    shots = [(0.0, made.duration_seconds)]
    every = find_matches(made, shots, shots[0], SearchOptions())
    some = find_matches(made, shots, shots[0], SearchOptions(top_k=top_k), least=least)
    assert [match for match in some if match.score >= least] == [match for match in every if match.score >= least]


# A library


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Videos of a few shots each, which show a few things again and again."""
    with Library(tmp_path_factory.mktemp("library")) as made:
        for number in range(12):
            random, name = np.random.default_rng(number), f"{number:064x}"
            things = np.array([unit(100 + thing) for thing in random.integers(0, 5, 8)]).repeat(6, axis=0)
            vectors = things + 0.5 * random.normal(size=(48, DIMENSIONS)) / np.sqrt(DIMENSIONS)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            made.register(video(name, duration_seconds=48.0, title=f"video {number}"), MODEL)
            cuts = np.arange(6.0, 48.0, 6.0)
            made.put_span(name, (0.0, 48.0), Frames(np.arange(48.0), vectors.astype(np.float16), cuts), MODEL)
        yield made


@settings(deadline=None, max_examples=40)
@given(thing=st.integers(0, 4), apart=st.floats(0, 0.8), at=st.integers(0, 99), grouped=st.booleans())
def test_in_a_library_no_score_is_above_its_curve_and_the_order_is_theirs(library, thing, apart, at, grouped):
    meant = unit(100 + thing) + apart * unit(at)
    part = Part((meant / np.linalg.norm(meant)).astype(np.float32), scale=ScoreScale(0.0, 1.0))
    answer = library.search([part], SearchOptions(top_k=12, all_matches=True, group_by_video=grouped))
    scores = [match.score for match in answer.matches]
    assert scores
    if grouped:
        by_video: dict[str, list[float]] = {}
        for match in answer.matches:
            by_video.setdefault(match.video_id, []).append(match.score)
        assert all(own == sorted(own, reverse=True) for own in by_video.values())
        scores = [own[0] for own in by_video.values()]
    assert scores == sorted(scores, reverse=True)
    for match in answer.matches[:5]:
        drawn = library.timeline([part], SearchOptions(top_k=1000, video_ids=(match.video_id,), all_matches=True))
        shown = ScoreCurve(drawn.pts_seconds, drawn.scores, 48.0)
        assert match.score <= best_inside(shown, match.segment.start_seconds, match.segment.end_seconds) + 1e-9
        assert match in drawn.answer.matches


# A whole video as an answer


def judged_whole(scores, shots) -> float:
    made = curve(scores)
    [whole] = find_matches(made, shots, (0.0, made.duration_seconds), SearchOptions())
    assert (whole.start_seconds, whole.end_seconds) == (0.0, made.duration_seconds)
    return whole.score


SHOTS = [(4.0 * number, 4.0 * number + 4) for number in range(10)]


def test_a_flat_curve_over_many_shots_is_no_answer():
    scores = np.full(40, 0.6) + np.random.default_rng(3).uniform(-0.1, 0.1, 40)
    scores[17] = 0.85  # the luckiest frame
    assert judged_whole(scores, SHOTS) < MATCHES_BEGIN < judged_whole(scores + 0.2, SHOTS)


def test_a_whole_video_of_one_shot_is_judged_as_any_moment():
    scores = np.r_[np.full(20, 0.6), np.full(20, 0.85)]
    assert judged_whole(scores, [(0.0, 40.0)]) == pool_scores(scores) > MATCHES_BEGIN
    assert judged_whole(scores, []) == pool_scores(scores)


def test_a_whole_video_counts_if_nearly_all_its_shots_do():
    scores = np.repeat([0.9, 0.8, 1.0, 0.85, 0.9, 0.75, 1.0, 0.9, 0.6, 0.95], 4)
    assert judged_whole(scores, SHOTS) == pytest.approx(0.75)  # a tenth, the shot of 0.6, may be weaker
    scores[:4] = 0.6
    assert judged_whole(scores, SHOTS) == pytest.approx(0.6)


def test_a_part_of_the_whole_video_is_judged_by_itself():
    """A maximum length makes a moment of it, and padding makes no whole video of a moment."""
    made = curve(np.r_[np.full(36, 0.5), 0.8, 0.8, 0.801, 0.8])
    [short] = find_matches(made, SHOTS, (0.0, 40.0), SearchOptions(maximum_seconds=4.0))
    assert short.score == pytest.approx(0.8, abs=1e-3) and short.start_seconds == 36.0
    peak = curve(np.r_[np.zeros(16), np.full(8, 1.0), np.zeros(16)])
    [padded, *_] = find_matches(peak, SHOTS, (0.0, 40.0), SearchOptions(padding_seconds=40.0))
    assert padded.score == pytest.approx(1.0)


def test_in_a_library_a_flat_curve_over_many_shots_does_not_count(tmp_path):
    vector = np.array([1.0, 0.0], np.float32)
    cosines = np.full(40, 0.65) + np.random.default_rng(3).uniform(-0.1, 0.1, 40)
    cosines[17] = 0.85
    shown = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float16)
    for cuts, counts in ((np.arange(4.0, 40.0, 4.0), False), (np.zeros(0), True)):
        with Library(tmp_path / str(counts)) as library:
            library.register(video(duration_seconds=40.0), MODEL)
            library.put_span("a" * 64, (0.0, 30.0), Frames(np.arange(30.0), shown[:30], cuts[cuts < 30]), MODEL)
            library.put_span("a" * 64, (30.0, 40.0), Frames(np.arange(30.0, 40.0), shown[30:], cuts[cuts >= 30]), MODEL)
            [whole] = library.search([Part(vector, scale=ScoreScale())], SearchOptions(all_matches=True)).matches
            assert (whole.score >= CUT_OFF) == counts


# No silent caps


def clear_moments(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A video that shows one thing `count` times for 3 s, each 3 s apart: its vectors, and its cuts."""
    shown = np.zeros((6 * count, 2))
    shown[:, 1] = 1.0
    for number in range(count):
        cosine = 0.99 - 0.004 * number
        shown[6 * number + 3 : 6 * number + 6] = cosine, np.sqrt(1 - cosine**2)
    return shown.astype(np.float16), np.arange(3.0, 6.0 * count, 3.0)


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    vectors, cuts = clear_moments(40)
    with Library(tmp_path_factory.mktemp("forty")) as library:
        library.register(video(duration_seconds=240.0), MODEL)
        for start in range(0, 240, 30):
            times = np.arange(float(start), start + 30.0)
            own = cuts[(cuts >= start) & (cuts < start + 30)]
            library.put_span("a" * 64, (start, start + 30.0), Frames(times, vectors[start : start + 30], own), MODEL)
        yield library


def ask_forty(library: Library, **options):
    return library.search([Part(np.array([1.0, 0.0], np.float32), scale=ScoreScale())], SearchOptions(**options))


@pytest.mark.parametrize("top_k", [5, 7, 40])
def test_all_forty_moments_of_a_video_are_paged_through(forty, top_k):
    pages = [ask_forty(forty, top_k=top_k, offset=offset) for offset in range(0, 40, top_k)]
    assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
    starts = [match.segment.start_seconds for page in pages for match in page.matches]
    assert starts == [6.0 * number + 3 for number in range(40)]  # the best first
    assert ask_forty(forty, top_k=top_k, offset=40).matches == []


def test_more_is_true_exactly_while_there_is_more(forty):
    assert ask_forty(forty, top_k=39).more and not ask_forty(forty, top_k=40).more
    assert not ask_forty(forty, top_k=5, offset=35).more and ask_forty(forty, top_k=5, offset=34).more
    assert not ask_forty(forty, top_k=5, per_video=5).more and ask_forty(forty, top_k=5, per_video=6).more
    assert [match.segment.start_seconds for match in ask_forty(forty, top_k=9, per_video=2).matches] == [3.0, 9.0]


def test_a_noisy_model_is_believed_where_a_match_is_long_enough():
    """Noise of .6: one lucky frame, four and nine frames of the same mean."""
    assert pool_scores(np.array([0.9]), 0.6) == pytest.approx(0.9 - 0.6 * (1 - 8**-0.5))
    assert pool_scores(np.full(4, 0.9), 0.6) == pytest.approx(0.9 - 0.6 * (0.5 - 8**-0.5))
    assert pool_scores(np.full(9, 0.9), 0.6) == pytest.approx(0.9)
    mixed = np.array([0.2, 0.4, 1.2] * 3)
    assert mixed.mean() < pool_scores(mixed, 0.6) < pool_scores(mixed)
    assert pool_scores(mixed, 100.0) == pytest.approx(mixed.mean(), abs=0.01)


@pytest.mark.parametrize("all_matches", [False, True])
def test_the_pages_of_long_videos_are_slices_of_all_matches(tmp_path, all_matches):
    """Also of weaker ones, of which there are far more than a page shows."""
    with Library(tmp_path) as library:
        for number in range(4):
            random, name = np.random.default_rng(number), f"{number:064x}"
            library.register(video(name, duration_seconds=150.0), MODEL)
            for start in range(0, 150, 30):
                vectors = random.normal(size=(30, 3))
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                times = np.arange(float(start), start + 30.0)
                library.put_span(name, (start, start + 30.0), Frames(times, vectors.astype(np.float16)), MODEL)
        part = Part(np.array([1.0, 0.0, 0.0], np.float32), scale=ScoreScale(0.0, 0.9))
        everything = library.search([part], SearchOptions(top_k=1000, all_matches=all_matches)).matches
        assert len(everything) > 40
        offsets = range(0, len(everything), 7)
        pages = [
            library.search([part], SearchOptions(top_k=7, offset=offset, all_matches=all_matches)) for offset in offsets
        ]
        assert [match for page in pages for match in page.matches] == everything
        assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
