"""Every strategy: exact values on curves whose right answer is plain, and the promises on any curve."""

import itertools

import numpy as np
import pytest
from executors.faiss_indexer.strategies import STRATEGIES, cell_seconds
from executors.faiss_indexer.strategy_options import StrategyOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.faiss_indexer.finishing import evened_out
from executors.faiss_indexer.segments import ScoreCurve, Segment

PLAIN = StrategyOptions()
ALL = sorted(STRATEGIES)
OURS = [name for name in ALL if name not in {"peak-walk", "gap-merge"}]
every_strategy = pytest.mark.parametrize("name", ALL)
every_one_of_ours = pytest.mark.parametrize("name", OURS)


def curve(scores, duration=None, pts=None) -> ScoreCurve:
    times = np.arange(len(scores), dtype=float) if pts is None else np.array(pts, dtype=float)
    return ScoreCurve(times, np.array(scores, dtype=float), float(len(scores)) if duration is None else duration)


def edges(segments: list[Segment]) -> list[tuple[float, float]]:
    return [(s.start_seconds, s.end_seconds) for s in segments]


def assert_promises(made: ScoreCurve, found: list[Segment], options: StrategyOptions) -> None:
    assert 1 <= len(found) <= options.most_per_video
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    for segment in found:
        assert 0.0 <= segment.start_seconds <= segment.peak_seconds < segment.end_seconds <= made.duration_seconds
        assert np.isfinite([segment.start_seconds, segment.end_seconds, segment.score]).all()
        assert segment.peak_seconds in made.pts_seconds
        assert segment.end_seconds - segment.start_seconds <= options.maximum_seconds + 1e-9
    in_time = sorted(found, key=lambda s: s.start_seconds)
    assert all(a.end_seconds <= b.start_seconds for a, b in itertools.pairwise(in_time))


@every_one_of_ours
def test_one_plateau_is_one_segment_from_half_way_to_half_way(name):
    [segment] = STRATEGIES[name](curve([0, 0, 0, 1, 1, 1, 0, 0, 0]), [], PLAIN)
    assert (segment.start_seconds, segment.end_seconds) == pytest.approx((2.5, 5.5))
    assert (segment.score, segment.peak_seconds) == (1.0, 3.0)


@every_one_of_ours
def test_two_plateaus_are_two_segments_best_first(name):
    made = curve([0, 0, 0, 0, 0.8, 0.8, 0.8, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert [s.peak_seconds for s in STRATEGIES[name](made, [], PLAIN)] == [12.0, 4.0]


@every_strategy
def test_a_segment_at_each_end_of_the_video_reaches_it(name):
    made = curve([1, 1, 1, 0, 0, 0, 0, 0, 0, 0.9, 0.9, 0.9], duration=12.4)
    options = StrategyOptions(most_per_video=2)
    (start, _), (_, end) = edges(STRATEGIES[name](made, [], options))
    assert (start, end) == (0.0, 12.4)


@every_strategy
def test_a_flat_curve_and_one_sample_are_the_whole_video_and_no_sample_is_nothing(name):
    for made in (curve([0.3] * 5, duration=4.8), curve([0.2], duration=0.04)):
        [segment] = STRATEGIES[name](made, [], PLAIN)
        assert (segment.start_seconds, segment.end_seconds) == (0.0, made.duration_seconds)
        assert segment.score == pytest.approx(made.scores[0])
    assert STRATEGIES[name](curve([], duration=3.0), [], PLAIN) == []


@every_one_of_ours
def test_the_scale_and_the_zero_of_the_scores_do_not_matter(name):
    scores = np.random.default_rng(1).normal(size=80).cumsum()
    options = StrategyOptions(smoothing_seconds=1.0)
    here = edges(STRATEGIES[name](curve(scores), [], options))
    there = edges(STRATEGIES[name](curve(0.01 * scores - 3), [], options))
    assert np.array(there) == pytest.approx(np.array(here), abs=1e-6)


def test_the_peak_walk_stops_where_the_score_falls_below_the_share_and_starts_again_from_the_next_best():
    made = curve([0.1, 0.85, 1.0, 0.79, 0.5, 0.45, 0.1])
    found = STRATEGIES["peak-walk"](made, [], StrategyOptions(level_share=0.8, most_per_video=3))
    assert edges(found) == [(1.0, 3.0), (3.0, 4.0), (4.0, 6.0)]


def test_gap_merge_takes_frames_above_the_share_merges_over_gaps_and_pads():
    made = curve([0.1, 0.9, 0.1, 1.0, 0.1, 0.1, 0.1, 0.85, 0.1])
    options = StrategyOptions(level_share=0.8, merge_gap_seconds=1.0, padding_seconds=0.25)
    assert edges(STRATEGIES["gap-merge"](made, [], options)) == [(0.75, 4.25), (6.75, 8.25)]


def test_negative_scores_leave_the_baselines_the_best_frame():
    made = curve([-0.3, -0.1, -0.2])
    assert edges(STRATEGIES["gap-merge"](made, [], PLAIN)) == [(1.0, 2.0)]
    assert edges(STRATEGIES["peak-walk"](made, [], StrategyOptions(most_per_video=1))) == [(1.0, 2.0)]


def test_two_levels_bridge_a_short_dip_and_ignore_a_short_bump_without_blurring_edges():
    made = curve([0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0])
    [segment] = STRATEGIES["two-level"](made, [], StrategyOptions(switch_seconds=2.5))
    assert (segment.start_seconds, segment.end_seconds) == (pytest.approx(6.5, abs=0.1), pytest.approx(13.5, abs=0.1))


@given(st.lists(st.sampled_from([-1.0, -0.4, 0.1, 0.3, 0.9, 1.4]), min_size=2, max_size=9), st.floats(0.1, 6.0))
def test_two_levels_are_the_best_of_all_assignments(scores, switch_seconds):
    made = curve(scores)
    if np.ptp(made.scores) == 0:
        return
    from executors.faiss_indexer.strategies import _two_level_fit

    seconds = cell_seconds(made)

    def price(upper) -> float:
        levels = np.where(upper, 1.0, 0.0)
        fit = (seconds * (made.scores - levels) ** 2).sum()
        return fit + switch_seconds / 2 * np.count_nonzero(np.diff(levels))

    fitted = _two_level_fit(made.scores, seconds, 0.0, 1.0, switch_seconds)
    best = min(price(np.array(way)) for way in itertools.product((False, True), repeat=len(scores)))
    assert price(fitted) == pytest.approx(best)


def test_contrast_finds_the_interval_that_the_brute_force_finds():
    scores = np.random.default_rng(3).normal(size=60) + 3.0 * ((np.arange(60) >= 22) & (np.arange(60) < 37))
    centred = scores - scores.mean()

    def statistic(first: int, after: int) -> float:
        inside, outside = centred[first:after], np.concatenate((centred[:first], centred[after:]))
        return (inside.mean() - outside.mean()) * np.sqrt(len(inside) * len(outside) / 60)

    pairs = [(i, j) for i in range(60) for j in range(i + 1, 61) if j - i < 60]
    first, after = max(pairs, key=lambda pair: statistic(*pair))
    best = STRATEGIES["contrast"](curve(scores), [], StrategyOptions(score="mean", least_share=0.9))[0]
    assert first - 1 < best.start_seconds < first
    assert after - 1 < best.end_seconds < after


def test_watershed_keeps_to_shots():
    shots = [(0.0, 2.5), (2.5, 4.75), (4.75, 6.1), (6.1, 9.0)]
    made = curve([0, 0.1, 0, 0.9, 1.0, 0.9, 0.8, 0.1, 0.0])
    assert edges(STRATEGIES["watershed"](made, shots, PLAIN))[0] == (2.5, 6.1)


def test_edges_snap_to_a_cut_within_the_tolerance_only():
    made = curve([0, 0, 0, 1, 1, 1, 0, 0, 0])
    shots = [(0.0, 2.8), (2.8, 6.2), (6.2, 9.0)]
    options = StrategyOptions(snap_seconds=0.5)
    assert edges(STRATEGIES["otsu"](made, shots, options)) == [(2.8, pytest.approx(5.5))]


def test_smoothing_need_not_reach_over_a_cut():
    made = curve([0, 0, 0, 1, 1, 1, 0, 0, 0])
    shots = [(0.0, 3.0), (3.0, 6.0), (6.0, 9.0)]
    options = StrategyOptions(smoothing_seconds=2.0, smooth_over_cuts=False)
    assert edges(STRATEGIES["otsu"](made, shots, options)) == [(2.5, 5.5)]


@every_one_of_ours
def test_a_curve_with_too_little_contrast_is_the_whole_video(name):
    made = curve([0.2, 0.2, 0.3, 0.3, 0.2, 0.2])
    [segment] = STRATEGIES[name](made, [], StrategyOptions(least_contrast=0.11))
    assert (segment.start_seconds, segment.end_seconds) == (0.0, 6.0)
    [segment] = STRATEGIES[name](made, [], StrategyOptions(least_contrast=0.09))
    assert segment.end_seconds - segment.start_seconds < 4.0


def test_a_shot_lends_its_mean_to_its_samples():
    made = curve([0.0, 0.2, 1.0, 0.2, 0.9, 0.0])
    shots = [(0.0, 2.0), (2.0, 5.0), (5.0, 6.0)]
    mean = 2.1 / 3
    mixed = evened_out(made, shots, StrategyOptions(shot_share=0.5))
    assert mixed.tolist() == pytest.approx([0.05, 0.15, (1 + mean) / 2, (0.2 + mean) / 2, (0.9 + mean) / 2, 0.0])
    assert edges(STRATEGIES["otsu"](made, shots, StrategyOptions(shot_share=0.8, snap_seconds=1.0))) == [(2.0, 5.0)]


@pytest.mark.parametrize("scored, value", [("peak", 1.0), ("mean", 0.9), ("contrast", 0.7)])
def test_scores(scored, value):
    [segment] = STRATEGIES["otsu"](curve([0.2, 0.2, 0.8, 1.0, 0.2, 0.2]), [], StrategyOptions(score=scored))
    assert segment.score == pytest.approx(value)


@pytest.mark.parametrize(
    "wrong",
    [{"smoothing_seconds": -1}, {"low_share": 1.5}, {"maximum_seconds": 0}, {"most_per_video": 0}, {"score": "best"}],
)
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StrategyOptions(**wrong)


@st.composite
def curves(draw: st.DrawFn) -> ScoreCurve:
    gaps = draw(st.lists(st.floats(0.01, 20.0), min_size=1, max_size=60))
    pts = np.cumsum(gaps) - (gaps[0] if draw(st.booleans()) else 0)
    some = st.floats(-1, 1) if draw(st.booleans()) else st.sampled_from([0.0, 0.25, 0.3, 1.0])
    scores = draw(st.lists(some, min_size=len(gaps), max_size=len(gaps)))
    return curve(scores, duration=float(pts[-1]) + draw(st.floats(0.001, 5.0)), pts=pts)


@st.composite
def shots_of(draw: st.DrawFn, duration: float) -> list[tuple[float, float]]:
    cuts = sorted(draw(st.lists(st.floats(0.01, max(duration, 0.02)), max_size=8, unique=True)))
    bounds = [0.0, *(cut for cut in cuts if cut < duration), duration]
    return list(itertools.pairwise(bounds))


@st.composite
def any_options(draw: st.DrawFn) -> StrategyOptions:
    minimum = draw(st.floats(0.0, 5.0))
    return StrategyOptions(
        smoothing_seconds=draw(st.sampled_from([0.0, 0.5, 2.0])),
        smooth_over_cuts=draw(st.booleans()),
        minimum_seconds=minimum,
        maximum_seconds=draw(st.sampled_from([np.inf, minimum + 0.5, minimum + 20])),
        merge_gap_seconds=draw(st.floats(0.0, 10.0)),
        snap_seconds=draw(st.floats(0.0, 5.0)),
        padding_seconds=draw(st.floats(0.0, 5.0)),
        most_per_video=draw(st.integers(1, 12)),
        score=draw(st.sampled_from(["peak", "mean", "contrast"])),
        low_share=draw(st.floats(0.0, 1.0)),
        shot_share=draw(st.floats(0.0, 1.0)),
        least_contrast=draw(st.floats(0.0, 1.0)),
        switch_seconds=draw(st.floats(0.0, 20.0)),
        surroundings=draw(st.sampled_from([0.5, 1.0, 3.0, np.inf])),
        length_power=draw(st.floats(0.0, 1.0)),
        least_share=draw(st.floats(0.0, 1.0)),
        level_share=draw(st.floats(0.0, 1.0)),
    )


@every_strategy
@settings(deadline=None)
@given(data=st.data(), made=curves(), options=any_options())
def test_the_promises_hold_for_any_curve_any_shots_and_any_options(name, data, made, options):
    shots = data.draw(shots_of(made.duration_seconds))
    found = STRATEGIES[name](made, shots, options)
    assert_promises(made, found, options)
    assert found == STRATEGIES[name](made, shots, options)


@every_strategy
@settings(deadline=None, max_examples=40)
@given(made=curves(), minimum=st.floats(0.0, 20.0))
def test_short_segments_are_left_out_unless_there_are_no_others(name, made, minimum):
    lengths = [b - a for a, b in edges(STRATEGIES[name](made, [], StrategyOptions(minimum_seconds=minimum)))]
    assert min(lengths) >= minimum or max(lengths) < minimum


@every_strategy
@pytest.mark.parametrize("kind", ["noise", "steps", "constant", "ramp"])
def test_a_hundred_thousand_samples(name, kind):
    count = 100_000
    noise = np.random.default_rng(0).normal(0, 0.05, count)
    steps = (np.arange(count) // 700) % 2 + noise
    scores = {"noise": noise, "steps": steps, "constant": np.full(count, 0.2), "ramp": np.linspace(0, 1, count)}[kind]
    made = curve(scores)
    options = StrategyOptions(smoothing_seconds=1.0)
    assert_promises(made, STRATEGIES[name](made, [(0.0, 5e4), (5e4, 1e5)], options), options)
