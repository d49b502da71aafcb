"""The segmenter: exact values on curves whose right answer is plain, promises on any curve."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.faiss_indexer.segments import ScoreCurve, SegmentOptions, find_segments, otsu_threshold, smoothed

PLAIN = SegmentOptions(smoothing_seconds=0.0, edge_level=0.5, minimum_seconds=0.0)


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


@given(curves(), st.floats(0.0, 3.0), st.floats(0.0, 0.95), st.floats(0.0, 5.0))
def test_segments_never_overlap_never_leave_the_video_and_hold_their_peak(made, sigma, edge_level, minimum):
    found = find_segments(made, SegmentOptions(sigma, edge_level, minimum))
    assert found
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    for segment in found:
        assert 0.0 <= segment.start_seconds < segment.end_seconds <= made.duration_seconds
        assert segment.start_seconds <= segment.peak_seconds < segment.end_seconds
        assert np.isfinite(segment.score)
    in_time = sorted(found, key=lambda s: s.start_seconds)
    assert all(a.end_seconds <= b.start_seconds for a, b in pairwise(in_time))
