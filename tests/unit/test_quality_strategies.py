"""Every strategy: exact values on curves whose right answer is plain."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.strategies.catalogue import STRATEGIES
from benchmarks.quality.strategies.options import StrategyOptions
from benchmarks.quality.strategies.thresholds import fit_two_levels
from tests.unit.faiss_indexer.curves import curve, edges

PLAIN = StrategyOptions(smoothing_seconds=0.0, snap_seconds=0.0, minimum_seconds=0.0, least_contrast=0.0)
OURS = [name for name in sorted(STRATEGIES) if name not in {"peak-walk", "gap-merge"}]
every_one_of_ours = pytest.mark.parametrize("name", OURS)


@every_one_of_ours
def test_one_plateau_is_one_segment_from_half_way_to_half_way(name):
    [segment] = STRATEGIES[name](curve([0, 0, 0, 1, 1, 1, 0, 0, 0]), [], PLAIN)
    assert (segment.start_seconds, segment.end_seconds) == pytest.approx((2.5, 5.5))
    assert (segment.score, segment.peak_seconds) == (1.0, 3.0)


@every_one_of_ours
def test_two_plateaus_are_two_segments_best_first(name):
    made = curve([0, 0, 0, 0, 0.8, 0.8, 0.8, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert [s.peak_seconds for s in STRATEGIES[name](made, [], PLAIN)] == [12.0, 4.0]


def test_the_peak_walk_stops_where_the_score_falls_below_the_share_and_starts_again_from_the_next_best():
    made = curve([0.1, 0.85, 1.0, 0.79, 0.5, 0.45, 0.1])
    found = STRATEGIES["peak-walk"](made, [], replace(PLAIN, level_share=0.8, most_per_video=3))
    assert edges(found) == [(1.0, 3.0), (3.0, 4.0), (4.0, 6.0)]


def test_gap_merge_takes_frames_above_the_share_merges_over_gaps_and_pads():
    made = curve([0.1, 0.9, 0.1, 1.0, 0.1, 0.1, 0.1, 0.85, 0.1])
    options = replace(PLAIN, level_share=0.8, merge_gap_seconds=1.0, padding_seconds=0.25)
    assert edges(STRATEGIES["gap-merge"](made, [], options)) == [(0.75, 4.25), (6.75, 8.25)]


def test_negative_scores_leave_the_baselines_the_best_frame():
    made = curve([-0.3, -0.1, -0.2])
    assert edges(STRATEGIES["gap-merge"](made, [], PLAIN)) == [(1.0, 2.0)]
    assert edges(STRATEGIES["peak-walk"](made, [], replace(PLAIN, most_per_video=1))) == [(1.0, 2.0)]


def test_two_levels_bridge_a_short_dip_and_ignore_a_short_bump_without_blurring_edges():
    made = curve([0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0])
    [segment] = STRATEGIES["two-level"](made, [], replace(PLAIN, switch_seconds=2.5))
    assert (segment.start_seconds, segment.end_seconds) == (pytest.approx(6.5, abs=0.1), pytest.approx(13.5, abs=0.1))


@given(st.lists(st.sampled_from([-1.0, -0.4, 0.1, 0.3, 0.9, 1.4]), min_size=2, max_size=9), st.floats(0.1, 6.0))
def test_two_levels_are_the_best_of_all_assignments(scores, switch_seconds):
    made = curve(scores)
    if np.ptp(made.scores) == 0:
        return
    seconds = np.diff(made.cell_edges)

    def price(upper) -> float:
        levels = np.where(upper, 1.0, 0.0)
        fit = (seconds * (made.scores - levels) ** 2).sum()
        return fit + switch_seconds / 2 * np.count_nonzero(np.diff(levels))

    fitted = fit_two_levels(made.scores, seconds, 0.0, 1.0, switch_seconds)
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
    best = STRATEGIES["contrast"](curve(scores), [], replace(PLAIN, score="mean", least_share=0.9))[0]
    assert first - 1 < best.start_seconds < first
    assert after - 1 < best.end_seconds < after


def test_watershed_keeps_to_shots():
    shots = [(0.0, 2.5), (2.5, 4.75), (4.75, 6.1), (6.1, 9.0)]
    made = curve([0, 0.1, 0, 0.9, 1.0, 0.9, 0.8, 0.1, 0.0])
    assert edges(STRATEGIES["watershed"](made, shots, PLAIN))[0] == (2.5, 6.1)


def test_edges_snap_to_a_cut_within_the_tolerance_only():
    made = curve([0, 0, 0, 1, 1, 1, 0, 0, 0])
    shots = [(0.0, 2.8), (2.8, 6.2), (6.2, 9.0)]
    options = replace(PLAIN, snap_seconds=0.5)
    assert edges(STRATEGIES["otsu"](made, shots, options)) == [(2.8, pytest.approx(5.5))]


def test_smoothing_need_not_reach_over_a_cut():
    made = curve([0, 0, 0, 1, 1, 1, 0, 0, 0])
    shots = [(0.0, 3.0), (3.0, 6.0), (6.0, 9.0)]
    options = replace(PLAIN, smoothing_seconds=2.0)
    assert edges(STRATEGIES["otsu"](made, shots, options)) == [(2.5, 5.5)]


@every_one_of_ours
def test_a_curve_with_too_little_contrast_is_the_whole_video(name):
    made = curve([0.2, 0.2, 1.2, 1.2, 0.2, 0.2])
    [segment] = STRATEGIES[name](made, [], replace(PLAIN, least_contrast=1.1))
    assert (segment.start_seconds, segment.end_seconds) == (0.0, 6.0)
    [segment] = STRATEGIES[name](made, [], replace(PLAIN, least_contrast=0.9))
    assert segment.end_seconds - segment.start_seconds < 4.0


@pytest.mark.parametrize("scored, value", [("top", 1.0), ("mean", 0.9)])
def test_scores(scored, value):
    [segment] = STRATEGIES["otsu"](curve([0.2, 0.2, 0.8, 1.0, 0.2, 0.2]), [], replace(PLAIN, score=scored))
    assert segment.score == pytest.approx(value)
