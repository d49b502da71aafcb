"""The default strategy: proposals and choices against the brute force, and curves whose right answer is plain."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.strategies import catalogue
from benchmarks.quality.synthetic_curves import draw_clean_cases
from executors.faiss_indexer.moments.consensus import _choose, _compare, _screen
from executors.faiss_indexer.moments.curves import smooth_scores
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.segments import find_segments
from executors.faiss_indexer.moments.windows import Windows, find_window_edges, propose_windows
from tests.unit.faiss_indexer.curves import are_neighbours, curve, curves, edges, shots_of

OPTIONS = SegmentOptions()


def noisy(levels_and_seconds, sigma=0.15, seed=0):
    """A curve with these levels for so many seconds each, with noise."""
    levels = np.concatenate([np.full(seconds, level) for level, seconds in levels_and_seconds])
    return curve(levels + np.random.default_rng(seed).normal(0, sigma, len(levels)))


def test_how_right_three_ranges_are_if_another_is_true():
    """IoUs: 8 of 10, 4 of 10, and 4 of 8: half for reaching .5, and half for what is reached of .5 to .95."""
    found = _compare(np.array([[0.0, 10.0], [0.0, 8.0], [0.0, 4.0]]))
    assert found == pytest.approx(np.array([[1.0, 0.85, 0.0], [0.85, 1.0, 0.55], [0.0, 0.55, 1.0]]))


def test_the_window_that_others_overlap_is_chosen_before_a_lone_better_one():
    windows = Windows(curve(np.zeros(40)), np.array([0, 20, 20, 21]), np.array([6, 30, 31, 30]))
    edges_of = np.array([[0.0, 6.0], [20.0, 30.0], [20.0, 31.0], [21.0, 30.0]])
    assert _choose(windows, np.array([0.3, 0.0, 0.0, 0.0]), edges_of, 10).tolist() == [1, 0]
    assert _choose(windows, np.array([3.0, 0.0, 0.0, 0.0]), edges_of, 10).tolist() == [0, 1]
    assert _choose(windows, np.array([3.0, 0.0, 0.0, 0.0]), edges_of, 1).tolist() == [0]


def test_choosing_equals_comparing_all_candidates_in_every_round():
    generator = np.random.default_rng(5)
    first = generator.integers(0, 900, 400)
    windows = Windows(curve(np.zeros(1000)), first, first + generator.integers(1, 60, 400))
    ranges, values = np.stack([windows.first, windows.after], axis=1).astype(float), generator.normal(0, 2, 400)
    left, wanted = np.argsort(-values, kind="stable"), []
    while len(left) and len(wanted) < 10:
        likely = left
        votes = [
            sum(weight * one for one, weight in zip(row, np.exp(values[likely]), strict=True))
            for row in _compare(ranges[likely])
        ]
        best = likely[int(np.argmax(votes))]
        wanted.append(int(best))
        left = left[(windows.after[left] <= first[best]) | (first[left] >= windows.after[best])]
    assert _choose(windows, values, ranges, 10).tolist() == wanted


def test_of_many_windows_each_part_of_the_video_keeps_its_best():
    first = np.arange(3000) % 1000
    windows = Windows(curve(np.zeros(1000)), first, first + 1)
    values = np.random.default_rng(0).normal(size=3000)
    kept = _screen(windows, values)
    part = ((first + 0.5) * 12 / 1001).astype(int)
    in_order = np.argsort(-values)
    wanted = [place for number in range(12) for place in in_order[part[in_order] == number][:8].tolist()]
    assert kept.tolist() == sorted(wanted)


def windows_by_brute_force(made, shots):
    """Runs above twelve levels of the curve, smoothed in three ways, and with gaps up to 4 s closed."""
    count, bounds = len(made.scores), made.cell_edges
    found = {(0, count)}
    for smoothing in (
        SegmentOptions(smoothing_seconds=0.5),
        SegmentOptions(smoothing_seconds=2.0),
        SegmentOptions(smoothing_seconds=1.0, shot_share=1.0),
    ):
        values = smooth_scores(made, shots, smoothing)
        for number in range(12):
            level, runs = values.min() + (number + 0.5) / 12 * np.ptp(values), []
            for sample in np.flatnonzero(values >= level).tolist():
                if runs and runs[-1][1] == sample:
                    runs[-1] = (runs[-1][0], sample + 1)
                else:
                    runs.append((sample, sample + 1))
            merged = []
            for run in runs:
                if merged and bounds[run[0]] - bounds[merged[-1][1]] <= 4.0:
                    merged[-1] = (merged[-1][0], run[1])
                else:
                    merged.append(run)
            found |= {*runs, *merged}
    return found


def test_proposals_equal_the_brute_force_with_three_gaps_and_a_cut():
    scores = [0, 0, 1, 1, 1, 0.1, 0.1, 0.9, 1, 1, 0, 0, 0, 0, 0.8, 0.9, 0.8, 0.2, 0.7, 0.8, 0, 0, 0, 0.5, 0.6, 0]
    made = curve(scores)
    for shots in ([(0.0, 7.6), (7.6, 26.0)], []):
        windows = propose_windows(made, shots)
        pairs = set(zip(windows.first.tolist(), windows.after.tolist(), strict=True))
        assert pairs == windows_by_brute_force(made, shots)


@given(made=curves())
@settings(deadline=None, max_examples=60)
def test_each_window_is_proposed_once_and_the_whole_video_is_among_them(made):
    windows = propose_windows(made, [])
    pairs = list(zip(windows.first.tolist(), windows.after.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert (0, len(made.scores)) in pairs
    assert all(0 <= first < after <= len(made.scores) for first, after in pairs)


def clean_curve(levels_and_seconds, step, shift, noise, generator):
    """Steps sampled each `step` seconds: the curve and its cuts."""
    ends = np.cumsum([seconds for _, seconds in levels_and_seconds])
    pts = np.arange(shift, ends[-1], step)
    levels = np.array([level for level, _ in levels_and_seconds])[np.searchsorted(ends, pts, side="right")]
    made = curve(levels + generator.normal(0, noise, len(pts)), pts=pts, duration=float(ends[-1]))
    return made, list(itertools.pairwise([0.0, *ends.tolist()]))


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("step", [0.25, 0.5, 1.0, 2.0])
def test_on_a_clean_curve_every_edge_is_exact(step, noise):
    """Moments of 3 samples and more, beside shots that score less, far less or a little, with and without cuts.

    Exact is to the sample; what is sampled more often than twice a second is smoothed before.
    """
    generator = np.random.default_rng(7)
    for _ in range(40):
        other, beside = generator.uniform(-1.5, 0.3), generator.uniform(0.0, 0.3)
        lengths = generator.uniform(3, 12, 7) * max(step, 0.5)
        levels = (0.0, 1.0, other, 0.0, beside, 1.0, 0.0)
        made, shots = clean_curve(list(zip(levels, lengths, strict=True)), step, step / 3, noise, generator)
        for known in ([], shots):
            best = sorted(edges(find_segments(made, shots=known))[:2])
            assert np.abs(np.array(best) - np.array([shots[1], shots[5]])).max() < max(step, 0.75)


def test_clean_curves_are_divided_as_exactly_as_by_the_measure_without_trees():
    def count_exact(name):
        exact = 0
        for case in draw_clean_cases(150, seed=3):
            made, truth = case.calibrated, np.array(case.moments)
            found = catalogue.find_segments(made, catalogue.TUNED[name], case.shots)[: len(truth)]
            step = made.pts_seconds[1] - made.pts_seconds[0]
            exact += len(found) == len(truth) and np.abs(np.array(sorted(edges(found))) - truth).max() < step
        return exact

    assert count_exact("consensus") >= max(count_exact("standing-out"), 120)


def test_a_moment_in_noise_is_one_segment_though_it_dips():
    made = noisy([(0.0, 40), (1.0, 12), (0.4, 2), (1.0, 12), (0.0, 40)], sigma=0.2)
    best = find_segments(made)[0]
    assert (best.start_seconds, best.end_seconds) == pytest.approx((39.5, 65.5), abs=1.0)


def test_a_clear_short_moment_is_found_beside_a_dull_long_one():
    made = noisy([(0.0, 20), (0.35, 30), (0.0, 10), (1.1, 4), (0.0, 30)], sigma=0.05)
    best = find_segments(made)[0]
    assert (best.start_seconds, best.end_seconds) == pytest.approx((59.5, 63.5), abs=0.3)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_where_nothing_stands_out_the_whole_video_is_the_segment_with_the_score_of_its_level(level):
    made = noisy([(level, 12)], sigma=0.1)
    [segment] = find_segments(made)
    assert (segment.start_seconds, segment.end_seconds) == (0.0, 12.0)
    assert segment.score == pytest.approx(level, abs=0.2)


def test_the_score_is_the_best_one_inside_and_later_segments_have_less():
    made = noisy([(0.0, 20), (0.9, 10), (0.0, 20), (0.8, 8), (0.0, 20)], sigma=0.1)
    found = find_segments(made)
    smooth = smooth_scores(made, [], OPTIONS)
    inside = (made.pts_seconds >= found[0].start_seconds) & (made.pts_seconds < found[0].end_seconds)
    assert found[0].score == made.scores[inside].max()
    assert found[0].peak_seconds == made.pts_seconds[inside][smooth[inside].argmax()]
    assert 20 <= found[0].peak_seconds < 30
    assert 50 <= found[1].peak_seconds < 58
    assert all(one.score > other.score for one, other in itertools.pairwise(found))


def test_windows_of_the_wanted_length_are_chosen_where_there_are_any():
    made = noisy([(0.0, 30), (1.0, 3), (0.0, 20), (0.9, 12), (0.0, 30)], sigma=0.05)
    [longest, *_] = find_segments(made, replace(OPTIONS, minimum_seconds=8.0))
    assert (longest.start_seconds, longest.end_seconds) == pytest.approx((52.5, 64.5), abs=0.5)


def test_edges_snap_to_a_cut_within_the_tolerance_only():
    made = curve([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    shots = [(0.0, 3.9), (3.9, 8.3), (8.3, 12.0)]
    assert edges(find_segments(made, replace(OPTIONS, smoothing_seconds=0.0), shots))[0] == (3.9, 8.3)
    few = replace(OPTIONS, smoothing_seconds=0.0, snap_seconds=0.5)
    assert edges(find_segments(made, few, shots))[0] == (3.9, pytest.approx(7.5))


@settings(deadline=None, max_examples=100)
@given(data=st.data(), made=curves(), tolerance=st.floats(0.0, 5.0))
def test_an_edge_is_a_windows_own_or_on_a_cut_within_the_tolerance(data, made, tolerance):
    shots = data.draw(shots_of(made))
    options = replace(OPTIONS, snap_seconds=tolerance)
    smooth = smooth_scores(made, shots, options)
    own = find_window_edges(propose_windows(made, shots), smooth).ravel()
    cuts = [start for start, _ in shots[1:]]
    for edge in itertools.chain(*edges(find_segments(made, options, shots))):
        nearest = np.abs(own - edge).min()
        is_between = any(are_neighbours(made, float(one), edge) for one in own)  # no sample lies between
        assert nearest < 1e-9 or (edge in cuts and (nearest <= tolerance + 1e-9 or is_between))
