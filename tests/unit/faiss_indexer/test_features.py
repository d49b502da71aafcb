"""The features of windows against their definitions, and the trees that read them against a walk from node to node."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from executors.faiss_indexer.moments.curves import smooth_scores
from executors.faiss_indexer.moments.features import (
    FEATURES,
    STANDING_OUT,
    measure_features,
    measure_standing_out,
    weigh_standing_out,
)
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.trees import Trees, load_trees
from executors.faiss_indexer.moments.windows import Windows, propose_windows
from tests.unit.faiss_indexer.curves import curve, curves

OPTIONS = SegmentOptions()


def measure(windows, made):
    smooth = smooth_scores(made, [], OPTIONS)
    return measure_features(windows, smooth, measure_standing_out(windows, smooth))


def test_features_equal_their_definitions():
    generator = np.random.default_rng(2)
    made = curve(generator.normal(0.3, 0.5, 40), pts=np.cumsum(generator.uniform(0.3, 3, 40)), duration=80.0)
    smooth, bounds, scores = smooth_scores(made, [], OPTIONS), made.cell_edges, made.scores
    seconds, duration = np.diff(bounds), 80.0
    order = np.argsort(scores)
    reached = (np.cumsum(seconds[order]) - seconds[order] / 2) / duration
    lower, median, high = np.interp([0.25, 0.5, 0.9], reached, scores[order])
    deviation = np.sqrt(np.average((scores - np.average(scores, weights=seconds)) ** 2, weights=seconds)) + 0.02

    def mean(low, high):
        return float(np.average(scores[low:high], weights=seconds[low:high]))

    def before(first, length):
        return mean(min(int(np.searchsorted(bounds, bounds[first] - length)), first - 1), first)

    def behind(after, length):
        return mean(after, min(max(int(np.searchsorted(bounds, bounds[after] + length)), after + 1), 40))

    def evidence(first, after, middle):
        values = np.clip((scores[first:after] - middle) / 0.3, -1.5, 1.5)
        return values @ seconds[first:after] / np.sqrt(bounds[after] - bounds[first])

    def share(first, after, values):
        return values[first:after] @ seconds[first:after] / (values @ seconds)

    def overlap(first, after, level):
        low = high = int(smooth.argmax())
        while low and smooth[low - 1] >= level * smooth.max():
            low -= 1
        while high < 39 and smooth[high + 1] >= level * smooth.max():
            high += 1
        shared = max(0.0, min(bounds[after], bounds[high + 1]) - max(bounds[first], bounds[low]))
        return shared / (bounds[after] - bounds[first] + bounds[high + 1] - bounds[low] - shared)

    def beside(first, after):
        return [*([scores[first - 1]] if first else []), *([scores[after]] if after < 40 else [])]

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
        return {
            "least_rise": inside - max(outer),
            "share_of_video": length / duration,
            "variance_between": length * (duration - length) / duration**2 * (inside - rest) ** 2 / variance,
            "edge_step": (up + down) / 2,
            "whole_video": 0.0,
            "lowest": np.clip(smooth[first:after].min(), -1, 1),
            "evidence": evidence(first, after, 0.4),
        }

    def rest_by_hand(first, after):
        later = np.interp(made.pts_seconds + 6.0, made.pts_seconds, scores)
        return {
            "seconds": np.log(bounds[after] - bounds[first]),
            "share_of_mass": share(first, after, np.maximum(scores - median, 0)),
            "share_of_high": share(first, after, (scores > (lower + high) / 2).astype(float)),
            "evidence_high": evidence(first, after, 0.7),
            "highest": smooth[first:after].max(),
            "highest_outside": np.delete(smooth, np.arange(first, after)).max() - smooth[first:after].max(),
            "overlap_half": overlap(first, after, 1 / 2),
            "overlap_third": overlap(first, after, 1 / 3),
            "separation": (scores[first:after].min() - max(beside(first, after))) / np.ptp(scores),
            "lowest_share": (scores[first:after].min() - scores.min()) / np.ptp(scores),
            "deviation": deviation,
            "best_above_median": smooth.max() - median,
            "change_in_6_seconds": float(np.average(np.abs(later - scores), weights=seconds)) / deviation,
            "change_of_a_sample": np.median(np.abs(np.diff(scores))) / np.ptp(scores),
        }

    pairs = [(i, j) for i, j in itertools.combinations(range(41), 2) if j - i < 40]
    first, after = np.array(pairs).T
    windows = Windows(made, first, after)
    found = measure_features(windows, smooth, measure_standing_out(windows, smooth)).T
    standing_out = np.array([list(by_hand(*pair).values()) for pair in pairs])
    values = standing_out @ np.array(list(STANDING_OUT.values()))
    assert tuple(by_hand(3, 9)) == tuple(STANDING_OUT)
    assert (*STANDING_OUT, "standing_out", *rest_by_hand(3, 9)) == FEATURES
    assert pytest.approx(standing_out, abs=1e-9) == measure_standing_out(windows, smooth).T
    assert found[:, :7] == pytest.approx(standing_out, abs=1e-9)
    assert found[:, 7] == pytest.approx(values - values.max(), abs=1e-9)
    assert weigh_standing_out(standing_out.T) == pytest.approx(values, abs=1e-9)
    wanted = np.array([list(rest_by_hand(*pair).values()) for pair in pairs])
    assert found[:, 8:] == pytest.approx(wanted, abs=1e-9)
    whole_video = Windows(made, np.array([0]), np.array([40]))
    of_whole = dict(zip(FEATURES, measure(whole_video, made)[:, 0], strict=True))
    assert (of_whole["separation"], of_whole["lowest_share"]) == (0.0, 0.0)
    [whole] = measure_standing_out(whole_video, smooth).T
    assert dict(zip(STANDING_OUT, whole, strict=True)) == pytest.approx(
        {
            "least_rise": 0.0,
            "share_of_video": 1.0,
            "variance_between": 0.0,
            "edge_step": 0.0,
            "whole_video": 1.0,
            "lowest": np.clip(smooth.min(), -1, 1),
            "evidence": evidence(0, 40, 0.4),
        }
    )


@given(made=curves())
@settings(deadline=None, max_examples=100)
def test_features_and_predictions_are_finite_for_any_curve(made):
    windows = propose_windows(made, [])
    features = measure(windows, made)
    assert features.shape == (len(FEATURES), len(windows))
    assert np.isfinite(features).all()
    assert np.isfinite(load_trees().predict(features)).all()


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0])
def test_features_hardly_depend_on_the_sampling_rate(step):
    """A window of the same curve, sampled each 2 s and more often."""

    def features(step):
        pts = np.arange(step / 2, 120, step)
        scores = np.interp(pts, [0, 40, 44, 70, 74, 120], [0, 0.1, 0.9, 0.8, 0.1, 0])
        made = curve(scores, pts=pts, duration=120.0)
        window = Windows(made, np.array([round(42 / step)]), np.array([round(72 / step)]))
        return measure(window, made)[:, 0]

    coarse, fine = (dict(zip(FEATURES, features(at), strict=True)) for at in (2.0, step))
    # Samples of two seconds cannot show a step of one second, nor what lies at the foot of an edge.
    for name in ("edge_step", "standing_out", "separation", "lowest", "lowest_share", "change_of_a_sample"):
        del coarse[name], fine[name]
    assert fine == pytest.approx(coarse, abs=0.16)


def test_trees_equal_a_walk_from_node_to_node():
    generator = np.random.default_rng(1)
    trees = Trees(
        generator.integers(0, 4, (30, 15)).astype(np.uint8),
        generator.normal(size=(30, 15)).astype(np.float32),
        generator.normal(size=(30, 16)).astype(np.float32),
    )
    features = generator.normal(size=(4, 50))

    def walk(window):
        total = 0.0
        for feature, threshold, leaf in zip(trees.feature, trees.threshold, trees.leaf, strict=True):
            node = 0
            for _ in range(4):
                is_above = np.float32(features[feature[node], window]) > threshold[node]
                node = 2 * node + (2 if is_above else 1)
            total += float(leaf[node - 15])
        return total

    assert trees.predict(features) == pytest.approx([walk(window) for window in range(50)], abs=1e-9)


def test_a_value_equal_to_the_threshold_goes_left():
    leaf = np.arange(16, dtype=np.float32)[None]
    trees = Trees(np.zeros((1, 15), np.uint8), np.full((1, 15), 0.5, np.float32), leaf)
    assert trees.predict(np.array([[0.5, 0.75]])).tolist() == [0.0, 15.0]


def test_trees_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\[T, 15\] and leaves \[T, 16\], not \(\(2, 3\), "):
        Trees(np.zeros((2, 3), np.uint8), np.zeros((2, 15), np.float32), np.zeros((2, 16), np.float32))


def test_the_same_trees_give_the_same_file_and_the_packaged_ones_are_small(tmp_path):
    trees = load_trees()
    for name in ("one.npz", "two.npz"):
        trees.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (tmp_path / "one.npz").stat().st_size < 20_000
    again = load_trees(tmp_path / "one.npz")
    assert np.array_equal(again.leaf, trees.leaf) and np.array_equal(again.threshold, trees.threshold)
    assert trees.feature.max() < len(FEATURES)
