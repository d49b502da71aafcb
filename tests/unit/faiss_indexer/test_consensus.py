"""The default strategy: its features against the brute force, its choices on curves whose right answer is plain."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.faiss_indexer.moments.consensus import FEATURES, measure_features
from executors.faiss_indexer.moments.curves import smooth_scores
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.segments import find_segments
from executors.faiss_indexer.moments.windows import Windows, find_window_edges, propose_windows
from tests.unit.faiss_indexer.curves import curve, curves, edges, shots_of

OPTIONS = SegmentOptions()


def noisy(levels_and_seconds, sigma=0.15, seed=0):
    """A curve with these levels for so many seconds each, with noise."""
    levels = np.concatenate([np.full(seconds, level) for level, seconds in levels_and_seconds])
    return curve(levels + np.random.default_rng(seed).normal(0, sigma, len(levels)))


def test_features_equal_their_definitions():
    generator = np.random.default_rng(2)
    made = curve(generator.normal(0.3, 0.5, 40), pts=np.cumsum(generator.uniform(0.3, 3, 40)), duration=80.0)
    smooth, bounds, scores = smooth_scores(made, [], OPTIONS), made.cell_edges, made.scores
    seconds, duration = np.diff(bounds), 80.0

    def mean(low, high):
        return float(np.average(scores[low:high], weights=seconds[low:high]))

    def before(first, length):
        return mean(min(int(np.searchsorted(bounds, bounds[first] - length)), first - 1), first)

    def behind(after, length):
        return mean(after, min(max(int(np.searchsorted(bounds, bounds[after] + length)), after + 1), 40))

    def by_hand(first, after):
        length = bounds[after] - bounds[first]
        wide = np.clip(length, 2.0, 12.0)
        outer = [*([before(first, wide)] if first else []), *([behind(after, wide)] if after < 40 else [])]
        inside, outside = mean(first, after), np.delete(np.arange(40), np.arange(first, after))
        rest = float(np.average(scores[outside], weights=seconds[outside]))
        variance = float(np.average((scores - mean(0, 40)) ** 2, weights=seconds))
        until = max(first + 1, min(after, int(np.searchsorted(bounds, bounds[first] + 1.0))))
        since = min(after - 1, max(first, int(np.searchsorted(bounds, bounds[after] - 1.0, side="right")) - 1))
        up = mean(first, until) - before(first, 1.0) if first else 0.3
        down = mean(since, after) - behind(after, 1.0) if after < 40 else 0.3
        evidence = np.clip((scores[first:after] - 0.4) / 0.3, -1.5, 1.5) @ seconds[first:after]
        return {
            "least_rise": inside - max(outer),
            "share_of_video": length / duration,
            "variance_between": length * (duration - length) / duration**2 * (inside - rest) ** 2 / variance,
            "edge_step": (up + down) / 2,
            "whole_video": 0.0,
            "lowest": np.clip(smooth[first:after].min(), -1, 1),
            "evidence": evidence / np.sqrt(length),
        }

    pairs = [(i, j) for i, j in itertools.combinations(range(41), 2) if j - i < 40]
    first, after = np.array(pairs).T
    found = measure_features(Windows(made, first, after), smooth)
    wanted = [list(by_hand(*pair).values()) for pair in pairs]
    assert list(by_hand(3, 9)) == list(FEATURES)
    assert found == pytest.approx(np.array(wanted), abs=1e-9)
    [whole] = measure_features(Windows(made, np.array([0]), np.array([40])), smooth)
    assert dict(zip(FEATURES, whole, strict=True)) == pytest.approx(
        {
            "least_rise": 0.0,
            "share_of_video": 1.0,
            "variance_between": 0.0,
            "edge_step": 0.0,
            "whole_video": 1.0,
            "lowest": np.clip(smooth.min(), -1, 1),
            "evidence": np.clip((scores - 0.4) / 0.3, -1.5, 1.5) @ seconds / np.sqrt(duration),
        }
    )


@given(made=curves())
@settings(deadline=None, max_examples=60)
def test_each_window_is_proposed_once_and_the_whole_video_is_among_them(made):
    windows = propose_windows(made, [])
    pairs = list(zip(windows.first.tolist(), windows.after.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert (0, len(made.scores)) in pairs
    assert all(0 <= first < after <= len(made.scores) for first, after in pairs)


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
        assert nearest < 1e-9 or (edge in cuts and nearest <= tolerance + 1e-9)
