"""Fits the trees of `consensus`: `python -m benchmarks.quality --curves FILE --fit`; needs scikit-learn.

Each window that `consensus` proposes for a curve is an example: its features, and its IoU with the nearest moment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.quality.cases import Case
from benchmarks.quality.real_curves import REAL
from benchmarks.quality.synthetic_curves import QVHIGHLIGHTS, SHORT, draw_clean_cases
from clipseek.evaluation.measures import Moment
from executors.faiss_indexer.moments.consensus import find_candidates, snap_edges
from executors.faiss_indexer.moments.curves import ScoreCurve, smooth_scores
from executors.faiss_indexer.moments.features import measure_features
from executors.faiss_indexer.moments.segments import TUNED
from executors.faiss_indexer.moments.shots import Floats
from executors.faiss_indexer.moments.trees import DEPTH, Trees
from executors.faiss_indexer.moments.windows import find_window_edges

_SEED = 0
_CLEAN_CASES = 800
_ROUNDS, _RATE = 100, 0.14  # of boosting; more gained nothing in cross-validation, fewer or flatter trees lost
_LEAST_WINDOWS, _SHRINKAGE, _BINS = 200, 20.0, 64


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows of one curve: features [number of FEATURES, M], and their IoU with the nearest moment [M]."""

    features: Floats
    overlaps: Floats


@dataclass(frozen=True)
class Share:
    """Examples by curve, and how much they count together."""

    of_all: float
    curves: Sequence[Examples]


def make_shares(sets: Sequence[tuple[str, Sequence[Case]]]) -> list[Share]:
    """Examples of sets of cases by title; the same share for all videos, whatever the rate."""
    real = [case for title, cases in sets if title == REAL for case in cases]
    videos = [case for title, cases in sets if title.startswith("videos") for case in cases]
    made = [case for title, cases in sets if title in (QVHIGHLIGHTS.name, SHORT.name) for case in cases]
    clean = draw_clean_cases(_CLEAN_CASES) if made else ()
    varied = (0.5, real), (0.5, vary_scale(real)), (0.3, vary_rate(real)), (0.4, videos), (1.0, made), (0.3, clean)
    shares = [Share(of_all, [make_examples(case) for case in cases]) for of_all, cases in varied]
    return [share for share in shares if share.curves]


def fit_trees(shares: Sequence[Share]) -> Trees:
    """The trees that predict the overlap with the least squared error; within a share every curve counts the same."""
    curves = [curve for share in shares for curve in share.curves]
    weights = [
        np.full(len(curve.overlaps), share.of_all / len(share.curves) / len(curve.overlaps))
        for share in shares
        for curve in share.curves
    ]
    model = HistGradientBoostingRegressor(
        max_depth=DEPTH,
        max_leaf_nodes=1 << DEPTH,
        max_iter=_ROUNDS,
        learning_rate=_RATE,
        l2_regularization=_SHRINKAGE,
        min_samples_leaf=_LEAST_WINDOWS,
        max_bins=_BINS,
        early_stopping=False,
        random_state=_SEED,
    )
    weight = np.concatenate(weights)
    model.fit(
        np.concatenate([curve.features for curve in curves], axis=1).T.astype(np.float32),
        np.concatenate([curve.overlaps for curve in curves]),
        sample_weight=weight * len(weight) / weight.sum(),
    )
    return _convert(model)


def make_examples(case: Case) -> Examples:
    """The windows of a case as examples."""
    curve, options = case.calibrated, TUNED["consensus"]
    smooth = smooth_scores(curve, case.shots, options)
    windows, standing_out = find_candidates(curve, case.shots, smooth, options.minimum_seconds)
    edges = snap_edges(find_window_edges(windows, smooth), case.shots, options.snap_seconds)
    return Examples(measure_features(windows, smooth, standing_out), _measure_overlaps(edges, case.moments))


def vary_scale(cases: Sequence[Case]) -> Iterator[Case]:
    """Each case with its calibration wrong by a random factor and shift, so that trees do not rely on exact scores."""
    random = np.random.default_rng(_SEED)
    for case in cases:
        yield replace(case, calibrated=_vary(case.calibrated, random))


def vary_rate(cases: Sequence[Case]) -> Iterator[Case]:
    """Each case without shots as a longer or shorter video at another sampling rate, with noise and another scale."""
    random = np.random.default_rng(_SEED)
    for case in cases:
        curve, factor = case.calibrated, float(np.exp(random.uniform(np.log(0.2), np.log(1.6))))
        step, duration = float(random.choice([0.5, 1.0, 1.0, 2.0])), curve.duration_seconds * factor
        pts = np.arange(random.choice([0.0, step / 2]), duration, step)
        scores = np.interp(pts, curve.pts_seconds * factor, curve.scores)
        scores += random.uniform(0, 0.2) * _draw_noise(len(pts), random.uniform(0, 0.7), random)
        moments = tuple((start * factor, end * factor) for start, end in case.moments)
        yield replace(case, calibrated=_vary(ScoreCurve(pts, scores, duration), random), moments=moments, shots=())


def _vary(curve: ScoreCurve, random: np.random.Generator) -> ScoreCurve:
    return replace(curve, scores=curve.scores * random.uniform(0.8, 1.25) + random.uniform(-0.12, 0.12))


def _draw_noise(count: int, memory: float, random: np.random.Generator) -> Floats:
    steps = random.normal(0, np.sqrt(1 - memory**2), count)
    noise = np.empty(count)
    last = float(random.normal())
    for index in range(count):
        last = noise[index] = memory * last + steps[index]
    return noise


def _measure_overlaps(edges: Floats, moments: Sequence[Moment]) -> Floats:
    true = np.array(moments, dtype=np.float64).reshape(-1, 2)
    starts, ends = edges[:, :1], edges[:, 1:]
    shared = np.maximum(np.minimum(ends, true[:, 1]) - np.maximum(starts, true[:, 0]), 0.0)
    together = (ends - starts) + (true[:, 1] - true[:, 0]) - shared
    overlaps: Floats = (shared / np.maximum(together, 1e-9)).max(axis=1)
    return overlaps


def _convert(model: HistGradientBoostingRegressor) -> Trees:
    """The model's trees as complete ones: a leaf above the last level is repeated below nodes that always go left."""
    trees = [predictor.nodes for [predictor] in model._predictors]
    count, inner = len(trees), (1 << DEPTH) - 1
    feature = np.zeros((count, inner), np.uint8)
    threshold = np.full((count, inner), np.inf, np.float32)
    leaf = np.zeros((count, inner + 1), np.float32)
    for tree, nodes in enumerate(trees):
        places = [0]
        for place in range(inner):
            node = nodes[places[place]]
            if node["is_leaf"]:
                places += [places[place]] * 2
                continue
            feature[tree, place], threshold[tree, place] = node["feature_idx"], node["num_threshold"]
            places += [int(node["left"]), int(node["right"])]
        leaf[tree] = nodes["value"][places[inner:]]
    leaf[0] += np.float32(model._baseline_prediction.item())
    return Trees(feature, threshold, leaf)
