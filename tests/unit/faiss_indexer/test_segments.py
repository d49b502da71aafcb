"""What every strategy promises, the product's and the benchmark's, for any curve, any shots and any options."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.strategies.catalogue import STRATEGIES, TUNED, find_segments
from benchmarks.quality.strategies.options import StrategyOptions
from executors.faiss_indexer.moments import segments
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.edges import make_segments
from executors.faiss_indexer.moments.options import SCORES, SegmentOptions
from executors.faiss_indexer.ranking.matches import adjust_lengths
from tests.unit.faiss_indexer.curves import are_neighbours, curve, curves, edges, shots_of

every_strategy = pytest.mark.parametrize("name", list(STRATEGIES))
SEE_CUTS = {"consensus", "standing-out", "watershed"}  # before edges move to them
# They read calibrated scores, or shares of the best one.
READ_SCALES = {"consensus", "standing-out", "peak-walk", "gap-merge"}
PLAIN = StrategyOptions(smoothing_seconds=0.0, snap_seconds=0.0, minimum_seconds=0.0, least_contrast=0.0)


@st.composite
def any_options(draw: st.DrawFn) -> StrategyOptions:
    return StrategyOptions(
        smoothing_seconds=draw(st.sampled_from([0.0, 0.5, 2.0])),
        smooth_over_cuts=draw(st.booleans()),
        minimum_seconds=draw(st.floats(0.0, 5.0)),
        merge_gap_seconds=draw(st.floats(0.0, 10.0)),
        snap_seconds=draw(st.floats(0.0, 5.0)),
        padding_seconds=draw(st.floats(0.0, 5.0)),
        most_per_video=draw(st.integers(1, 12)),
        score=draw(st.sampled_from(SCORES)),
        low_share=draw(st.floats(0.0, 1.0)),
        shot_share=draw(st.floats(0.0, 1.0)),
        least_contrast=draw(st.floats(0.0, 1.0)),
        switch_seconds=draw(st.floats(0.0, 20.0)),
        surroundings=draw(st.sampled_from([0.5, 1.0, 3.0, np.inf])),
        length_power=draw(st.floats(0.0, 1.0)),
        least_share=draw(st.floats(0.0, 1.0)),
        level_share=draw(st.floats(0.0, 1.0)),
    )


def assert_promises(made: ScoreCurve, found: list[Segment], options: SegmentOptions) -> None:
    assert 1 <= len(found) <= options.most_per_video
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    for segment in found:
        assert 0.0 <= segment.start_seconds <= segment.peak_seconds < segment.end_seconds <= made.duration_seconds
        assert np.isfinite([segment.start_seconds, segment.end_seconds, segment.score]).all()
        assert segment.peak_seconds in made.pts_seconds
    in_time = sorted(edges(found))
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(in_time))


@every_strategy
@settings(deadline=None)
@given(data=st.data(), made=curves(), options=any_options())
def test_inside_the_video_apart_best_first_and_not_too_many(name, data, made, options):
    options = replace(options, strategy=name)
    shots = data.draw(shots_of(made))
    found = find_segments(made, options, shots)
    assert_promises(made, found, options)
    assert found == find_segments(made, options, shots)


@every_strategy
@settings(deadline=None, max_examples=40)
@given(data=st.data(), made=curves(), minimum=st.floats(0.0, 20.0))
def test_short_segments_are_left_out_unless_there_are_no_others(name, data, made, minimum):
    options = replace(TUNED[name], minimum_seconds=minimum)
    lengths = [end - start for start, end in edges(find_segments(made, options, data.draw(shots_of(made))))]
    assert min(lengths) >= minimum - 1e-9 or max(lengths) < minimum


def test_a_range_of_exactly_the_minimum_stays_and_a_shorter_one_is_dropped():
    made = curve([0, 1, 1, 0, 0, 1, 0, 0])
    options = SegmentOptions(minimum_seconds=2.0, snap_seconds=0.0)
    found = make_segments(made, made.scores, [(0.5, 2.5), (4.5, 6.25)], [], options)
    assert edges(found) == [(0.5, 2.5)]
    both = make_segments(made, made.scores, [(0.5, 2.5), (4.5, 6.25)], [], replace(options, minimum_seconds=1.75))
    assert edges(both) == [(0.5, 2.5), (4.5, 6.25)]


def test_a_segment_that_a_cut_makes_long_enough_drops_the_shorter_ones():
    made = curve([0, 0, 2, 0.5, 1, 1.5, 2, 1.375], pts=[1, 2, 3, 4, 5, 5.5, 7, 8], duration=9.0)
    shots = [(0.0, 5.0), (5.0, 7.0), (7.0, 8.0), (8.0, 9.0)]
    options = replace(TUNED["contrast"], minimum_seconds=2.0)
    uncut = edges(find_segments(made, replace(options, snap_seconds=0.0), shots))
    assert [end - start < 2.0 for start, end in uncut] == [True, True]
    assert edges(find_segments(made, options, shots)) == [(5.0, pytest.approx(7.853, abs=1e-3))]


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in {"peak-walk", "gap-merge"}])
@settings(deadline=None, max_examples=40)
@given(made=curves())
def test_without_shots_an_edge_lies_between_two_samples_or_at_an_end(name, made):
    """For the baselines a frame counts up to the next one."""
    pts = made.pts_seconds
    for start, end in edges(find_segments(made, TUNED[name])):
        inside = pts[(pts >= start) & (pts < end)]
        before, behind = pts[pts < start], pts[pts >= end]
        assert start == 0.0 or (len(before) and before[-1] < start < inside[0])
        assert end == made.duration_seconds or (len(behind) and inside[-1] < end < behind[0])


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in SEE_CUTS])
@settings(deadline=None, max_examples=60)
@given(data=st.data(), made=curves(), tolerance=st.floats(0.0, 5.0))
def test_an_edge_moves_to_a_cut_within_the_tolerance_or_not_at_all(name, data, made, tolerance):
    """The others see the cuts before: see test_consensus.py and test_quality_strategies.py."""
    shots = data.draw(shots_of(made))
    cuts = [start for start, _ in shots[1:]]
    loose = replace(TUNED[name], snap_seconds=0.0, smooth_over_cuts=True, most_per_video=100, shot_share=0.0)
    before = sorted(edges(find_segments(made, loose, shots)))
    after = sorted(edges(find_segments(made, replace(loose, snap_seconds=tolerance), shots)))
    for old, new in zip(itertools.chain(*before), itertools.chain(*after), strict=True):
        assert new == old or (new in cuts and (abs(new - old) <= tolerance or are_neighbours(made, old, new)))


@every_strategy
@settings(deadline=None, max_examples=40)
@given(made=curves(), padding=st.floats(0.01, 10.0))
def test_padding_widens_up_to_the_neighbour_and_the_ends_of_the_video(name, made, padding):
    bare = find_segments(made, TUNED[name])
    padded = adjust_lengths(bare, (0.0, made.duration_seconds), padding_seconds=padding)
    assert len(bare) == len(padded)
    for (start, end), (wide_start, wide_end) in zip(sorted(edges(bare)), sorted(edges(padded)), strict=True):
        assert max(0.0, start - padding) <= wide_start <= start
        assert end <= wide_end <= min(made.duration_seconds, end + padding)


@every_strategy
@settings(deadline=None, max_examples=40)
@given(made=curves(scores=st.floats(-2.0, -0.1)))
def test_scores_below_zero_are_scores_like_others(name, made):
    found = find_segments(made, TUNED[name])
    assert_promises(made, found, TUNED[name])
    assert all(made.scores.min() - 1e-9 <= s.score <= made.scores.max() + 1e-9 for s in found)


@every_strategy
@pytest.mark.parametrize("level", [-0.7, 0.0, 0.05, 1.0])
def test_a_flat_curve_and_one_sample_are_the_whole_video_and_no_sample_is_nothing(name, level):
    for made in (curve([level] * 5, duration=4.8), curve([level], duration=0.04), curve([level] * 2, duration=1.5)):
        [segment] = find_segments(made, TUNED[name])
        assert (segment.start_seconds, segment.end_seconds) == (0.0, made.duration_seconds)
        assert segment.score == pytest.approx(level)
    assert find_segments(curve([], duration=3.0), TUNED[name]) == []


@every_strategy
@pytest.mark.parametrize("scored", SCORES)
def test_two_samples_with_the_better_one_first(name, scored):
    made = curve([0.25, 0.0], pts=[1.0, 2.0], duration=3.0)
    options = replace(PLAIN, strategy=name, most_per_video=1, low_share=0.0, score=scored)
    found = find_segments(made, options)
    assert_promises(made, found, options)
    assert found[0].peak_seconds == 1.0


@every_strategy
def test_a_moment_at_each_end_of_the_video_reaches_it(name):
    made = curve([1, 1, 1, 0, 0, 0, 0, 0, 0, 0.9, 0.9, 0.9], duration=12.4)
    (start, _), (_, end) = sorted(edges(find_segments(made, replace(PLAIN, strategy=name, most_per_video=2))))
    assert (start, end) == (0.0, 12.4)


@every_strategy
@settings(deadline=None, max_examples=25)
@given(shift=st.floats(0.0, 1e5))
def test_two_samples(name, shift):
    made = curve([0.0, 1.0], pts=[shift, shift + 1.0], duration=shift + 2.0)
    [best, *others] = find_segments(made, replace(PLAIN, strategy=name))
    assert best.peak_seconds == shift + 1.0
    assert best.end_seconds == shift + 2.0
    assert len(others) <= 1


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in READ_SCALES])
def test_the_scale_and_the_zero_of_the_scores_do_not_matter_to_the_others(name):
    scores = np.random.default_rng(1).normal(size=80).cumsum()
    options = replace(PLAIN, strategy=name, smoothing_seconds=1.0)
    here = edges(find_segments(curve(scores), options))
    there = edges(find_segments(curve(0.01 * scores - 3), options))
    assert np.array(there) == pytest.approx(np.array(here), abs=1e-6)


@every_strategy
@pytest.mark.parametrize("kind", ["noise", "steps", "constant", "ramp"])
def test_a_hundred_thousand_samples(name, kind):
    count = 100_000
    noise = np.random.default_rng(0).normal(0, 0.3, count)
    steps = (np.arange(count) // 700) % 2 + noise
    scores = {"noise": noise, "steps": steps, "constant": np.full(count, 0.2), "ramp": np.linspace(0, 1, count)}[kind]
    made = curve(scores)
    shots = list(itertools.pairwise(np.arange(0.0, 100_001.0, 2.5).tolist()))
    assert_promises(made, find_segments(made, TUNED[name], shots), TUNED[name])


def test_the_product_has_two_strategies_and_consensus_is_the_default():
    made = curve([0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert list(segments.STRATEGIES) == list(segments.TUNED) == ["consensus", "hysteresis"]
    assert segments.find_segments(made) == find_segments(made, TUNED["consensus"])
    assert segments.find_segments(made, segments.TUNED["hysteresis"]) == find_segments(made, TUNED["hysteresis"])
    assert {name: options.strategy for name, options in TUNED.items()} == {name: name for name in STRATEGIES}
    with pytest.raises(ValueError, match=r"no segment strategy 'otsu'\. Choose one of: consensus, hysteresis."):
        segments.find_segments(made, SegmentOptions(strategy="otsu"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing_seconds": -1},
        {"low_share": 1.5},
        {"most_per_video": 0},
        {"score": "best"},
        {"padding_seconds": -1},
        {"level_share": 1.5},
        {"surroundings": 0},
    ],
)
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StrategyOptions(**wrong)
