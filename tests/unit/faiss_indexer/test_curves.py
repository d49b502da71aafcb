"""Score curves: what is refused, smoothing, and Otsu's threshold, by hand and by brute force."""

import numpy as np
import pytest

from executors.faiss_indexer.moments.curves import (
    ScoreCurve,
    find_otsu_threshold,
    is_flat,
    smooth_over_time,
    smooth_scores,
)
from executors.faiss_indexer.moments.options import SegmentOptions
from tests.unit.faiss_indexer.curves import curve


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(3,\) and scores \(2,\)"):
        ScoreCurve(np.zeros(3), np.zeros(2), 3.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(wrong):
    with pytest.raises(ValueError, match=r"sample 1 is .* at 1.0 s"):
        curve([0.1, wrong, 0.2])
    with pytest.raises(ValueError, match=r"sample 2 is 0\.3"):
        curve([0.1, 0.2, 0.3], pts=[0.0, 1.0, wrong])


def test_otsu_equals_the_brute_force():
    values = np.random.default_rng(0).normal(size=50)
    ordered = np.sort(values)

    def inner_variance(cut: int) -> float:
        low, high = ordered[:cut], ordered[cut:]
        return low.var() * len(low) + high.var() * len(high)

    best = min(range(1, len(ordered)), key=inner_variance)
    assert find_otsu_threshold(values) == pytest.approx((ordered[best - 1] + ordered[best]) / 2)


def test_smoothing_equals_the_weighted_mean_by_hand():
    made = smooth_over_time(curve([0.0, 1.0, 0.0], pts=[0.0, 1.0, 3.0]), sigma_seconds=1.0)
    near, far, apart_three = np.exp(-0.5), np.exp(-2.0), np.exp(-4.5)
    assert made[0] == pytest.approx(near / (1 + near + apart_three))
    assert made[1] == pytest.approx(1 / (1 + near + far))
    assert made[2] == pytest.approx(far / (1 + far + apart_three))


def test_smoothing_stays_inside_the_shot_and_samples_share_its_mean():
    made = curve([0.0, 0.2, 1.0, 0.2, 0.9, 0.0])
    shots = [(0.0, 2.0), (2.0, 5.0), (5.0, 6.0)]
    one, mean = np.exp(-0.5), 2.1 / 3
    inside = smooth_scores(made, shots, SegmentOptions(smoothing_seconds=1.0))
    assert inside[:2].tolist() == pytest.approx([0.2 * one / (1 + one), 0.2 / (1 + one)])
    mixed = smooth_scores(made, shots, SegmentOptions(smoothing_seconds=0.0, shot_share=0.5))
    assert mixed.tolist() == pytest.approx([0.05, 0.15, (1 + mean) / 2, (0.2 + mean) / 2, (0.9 + mean) / 2, 0.0])
    over = smooth_scores(made, shots, SegmentOptions(smoothing_seconds=1.0, smooth_over_cuts=True))
    assert over.tolist() == smooth_over_time(made, 1.0).tolist()


def test_smoothing_with_shots_but_without_cuts_equals_smoothing_over_time():
    made = curve(np.random.default_rng(3).normal(size=30), pts=np.cumsum(np.full(30, 0.7)), duration=22.0)
    for options in (SegmentOptions(smoothing_seconds=2.0), SegmentOptions(smoothing_seconds=2.0, shot_share=1.0)):
        for shots in ([], [(0.0, 22.0)]):
            assert smooth_scores(made, shots, options).tolist() == smooth_over_time(made, 2.0).tolist()


@pytest.mark.parametrize("count", [2, 3, 40])
@pytest.mark.parametrize("sigma_seconds", [0.1, 0.5, 1.0, 3.0])
def test_evenly_spaced_samples_are_smoothed_as_others_are(count, sigma_seconds):
    scores, pts = np.random.default_rng(4).normal(size=count), 3.0 + 0.5 * np.arange(count)
    apart = np.abs(pts[:, None] - pts)
    weights = np.where(apart <= 3 * sigma_seconds + 1e-9, np.exp(-0.5 * (apart / sigma_seconds) ** 2), 0.0)
    smooth = smooth_over_time(curve(scores, pts=pts, duration=30.0), sigma_seconds)
    assert smooth == pytest.approx(weights @ scores / weights.sum(axis=1))
    one_shot = smooth_over_time(curve(scores, pts=pts, duration=30.0), sigma_seconds, np.zeros(count, np.intp))
    assert one_shot == pytest.approx(smooth)


def test_a_curve_is_flat_if_its_best_is_less_than_the_contrast_above_the_median_of_its_lower_class():
    values = np.array([0.0, 0.1, 0.2, 0.9, 1.0])
    assert not is_flat(values, 0.899)
    assert is_flat(values, 0.901)
    assert is_flat(np.array([0.0, 0.1, 1.0]), 0.951) and not is_flat(np.array([0.0, 0.1, 1.0]), 0.949)


def test_a_sample_stands_for_the_time_up_to_half_way_to_its_neighbours():
    assert curve([0, 0, 0], pts=[1.0, 2.0, 5.0], duration=6.0).cell_edges.tolist() == [0.0, 1.5, 3.5, 6.0]
