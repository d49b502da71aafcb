"""The segmenter: exact values on curves whose right answer is plain, promises on any curve."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.faiss_indexer.segments import (
    ScoreCurve,
    SegmentOptions,
    evened_out,
    find_segments,
    otsu_threshold,
    smoothed,
)

PLAIN = SegmentOptions(smoothing_seconds=0.0, edge_level=0.5, minimum_seconds=0.0, shot_share=0.0)


def curve(scores: list[float], duration: float | None = None, pts: list[float] | None = None) -> ScoreCurve:
    times = np.arange(len(scores), dtype=float) if pts is None else np.array(pts)
    return ScoreCurve(times, np.array(scores, dtype=float), float(len(scores)) if duration is None else duration)


def test_a_plateau_ends_half_way_down_its_flanks():
    [segment] = find_segments(curve([0, 0, 1, 1, 1, 0, 0]), PLAIN)
    assert (segment.start_seconds, segment.end_seconds) == (1.5, 4.5)
    assert segment.score == 1.0
    assert segment.peak_seconds == 2.0


def test_segments_reach_the_ends_of_the_video():
    first, last = find_segments(curve([1.0, 1.0, 0, 0, 0.9, 0.9], duration=6.4), PLAIN)
    assert (first.start_seconds, first.end_seconds) == (0.0, pytest.approx(1.525, abs=0.03))
    assert last.end_seconds == 6.4


def test_a_strong_moment_is_not_widened_by_a_weaker_one_beside_it():
    strong, weak = find_segments(curve([0.0] * 6 + [0.7, 0.72, 0.7, 1.6, 1.6, 1.6] + [0.0] * 8), PLAIN)
    assert (strong.start_seconds, strong.end_seconds) == (pytest.approx(8 + 1 / 9), pytest.approx(11.5))
    assert (weak.start_seconds, weak.end_seconds) == (pytest.approx(5 + 0.36 / 0.7), strong.start_seconds)


def test_best_first_by_score():
    found = find_segments(curve([0, 0.8, 0, 0, 1.0, 0, 0.9, 0]), PLAIN)
    assert [s.peak_seconds for s in found] == [4.0, 6.0, 1.0]


def test_edges_lie_between_uneven_samples_where_the_threshold_is_crossed():
    [segment] = find_segments(curve([0, 1, 1, 0], pts=[0.0, 4.0, 5.0, 5.5], duration=10.0), PLAIN)
    assert segment.start_seconds == pytest.approx(2.0)
    assert segment.end_seconds == pytest.approx(5.25)


def test_a_flat_curve_is_one_segment_the_whole_video():
    [segment] = find_segments(curve([0.3] * 5, duration=4.8))
    assert (segment.start_seconds, segment.end_seconds, segment.score) == (0.0, 4.8, pytest.approx(0.3))


def test_one_sample_is_one_segment_and_none_is_none():
    [segment] = find_segments(curve([0.2], duration=0.04))
    assert (segment.start_seconds, segment.end_seconds) == (0.0, 0.04)
    assert find_segments(curve([], duration=3.0)) == []


def test_otsu_equals_the_brute_force():
    values = np.random.default_rng(0).normal(size=50)
    ordered = np.sort(values)

    def inner_variance(cut: int) -> float:
        low, high = ordered[:cut], ordered[cut:]
        return low.var() * len(low) + high.var() * len(high)

    best = min(range(1, len(ordered)), key=inner_variance)
    assert otsu_threshold(values) == pytest.approx((ordered[best - 1] + ordered[best]) / 2)


def test_smoothing_equals_the_weighted_mean_by_hand():
    made = smoothed(curve([0.0, 1.0, 0.0], pts=[0.0, 1.0, 3.0]), sigma_seconds=1.0)
    near, far, apart_three = np.exp(-0.5), np.exp(-2.0), np.exp(-4.5)
    assert made[0] == pytest.approx(near / (1 + near + apart_three))
    assert made[1] == pytest.approx(1 / (1 + near + far))
    assert made[2] == pytest.approx(far / (1 + far + apart_three))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(3,\) and scores \(2,\)"):
        ScoreCurve(np.zeros(3), np.zeros(2), 3.0)


@st.composite
def curves(draw: st.DrawFn) -> ScoreCurve:
    gaps = draw(st.lists(st.floats(0.01, 20.0), min_size=1, max_size=60))
    pts = np.cumsum(gaps) - gaps[0]
    scores = draw(st.lists(st.floats(-1, 1), min_size=len(gaps), max_size=len(gaps)))
    return ScoreCurve(pts, np.array(scores), float(pts[-1]) + draw(st.floats(0.001, 5.0)))


@st.composite
def curves_and_shots(draw: st.DrawFn) -> tuple[ScoreCurve, list[tuple[float, float]]]:
    made = draw(curves())
    duration = made.duration_seconds
    cuts = draw(st.lists(st.floats(0.001, duration) | st.sampled_from(made.pts_seconds.tolist()), max_size=8))
    return made, list(pairwise([0.0, *sorted({cut for cut in cuts if 0 < cut < duration}), duration]))


@given(
    curves_and_shots(),
    st.builds(
        SegmentOptions,
        smoothing_seconds=st.floats(0.0, 3.0),
        edge_level=st.floats(0.0, 0.95),
        minimum_seconds=st.floats(0.0, 5.0),
        snap_seconds=st.floats(0.0, 5.0),
        smooth_over_cuts=st.booleans(),
        shot_share=st.floats(0.0, 1.0),
    ),
)
def test_segments_never_overlap_never_leave_the_video_and_hold_their_peak(curve_and_shots, options):
    made, shots = curve_and_shots
    found = find_segments(made, options, shots)
    assert found
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    for segment in found:
        assert 0.0 <= segment.start_seconds < segment.end_seconds <= made.duration_seconds
        assert segment.start_seconds <= segment.peak_seconds < segment.end_seconds
        assert np.isfinite(segment.score)
    in_time = sorted(found, key=lambda s: s.start_seconds)
    assert all(a.end_seconds <= b.start_seconds for a, b in pairwise(in_time))


@given(curves_and_shots(), st.floats(0.0, 5.0))
def test_an_edge_moves_to_a_cut_within_the_tolerance_or_not_at_all(curve_and_shots, tolerance):
    made, shots = curve_and_shots
    cuts = [start for start, _ in shots[1:]]
    options = replace(SegmentOptions(shot_share=0.0, smooth_over_cuts=True), snap_seconds=0.0)
    before = sorted(find_segments(made, options, shots), key=lambda s: s.start_seconds)
    options = replace(options, snap_seconds=tolerance)
    after = sorted(find_segments(made, options, shots), key=lambda s: s.start_seconds)
    for one, other in zip(before, after, strict=True):
        for old, new in ((one.start_seconds, other.start_seconds), (one.end_seconds, other.end_seconds)):
            assert new == old or (new in cuts and abs(new - old) <= tolerance)


def test_edges_snap_to_a_cut_within_the_tolerance_only():
    made = curve([0, 0, 0, 1, 1, 1, 0, 0, 0])
    shots = [(0.0, 2.8), (2.8, 6.2), (6.2, 9.0)]
    [segment] = find_segments(made, replace(PLAIN, snap_seconds=0.5), shots)
    assert (segment.start_seconds, segment.end_seconds) == (2.8, 5.5)
    [segment] = find_segments(made, replace(PLAIN, snap_seconds=0.75), shots)
    assert (segment.start_seconds, segment.end_seconds) == (2.8, 6.2)


def test_an_edge_never_snaps_past_the_peak_or_into_a_neighbour():
    made = curve([0, 0, 1, 0, 0, 1, 0, 0])
    shots = [(0.0, 2.2), (2.2, 5.6), (5.6, 8.0)]
    first, second = find_segments(made, replace(PLAIN, snap_seconds=3.0), shots)
    assert (first.start_seconds, first.end_seconds) == (1.5, 2.2)
    assert (second.start_seconds, second.end_seconds) == (4.5, 5.6)


def test_smoothing_stays_inside_the_shot_and_samples_share_its_mean():
    made = curve([0.0, 0.2, 1.0, 0.2, 0.9, 0.0])
    cuts = np.array([2.0, 5.0])
    one = np.exp(-0.5)
    assert evened_out(made, cuts, 1.0, False, 0.0)[:2].tolist() == pytest.approx(
        [0.2 * one / (1 + one), 0.2 / (1 + one)]
    )
    mean = 2.1 / 3
    mixed = evened_out(made, cuts, 0.0, False, 0.5)
    assert mixed.tolist() == pytest.approx([0.05, 0.15, (1 + mean) / 2, (0.2 + mean) / 2, (0.9 + mean) / 2, 0.0])
    assert evened_out(made, cuts, 1.0, True, 0.0).tolist() == smoothed(made, 1.0).tolist()


def test_a_hundred_thousand_samples_and_cuts():
    scores = np.random.default_rng(0).normal(0, 0.05, 100_000) + (np.arange(100_000) // 700) % 2
    bounds = np.arange(0.0, 100_001.0, 2.5).tolist()
    found = find_segments(curve(scores), shots=list(pairwise(bounds)))
    assert {edge for s in found for edge in (s.start_seconds, s.end_seconds)} & set(bounds)
