"""From cosines to relevance and scores, by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.background_noise import MODELS, NOISES, try_library
from clipseek.api.score_scale import MATCHES_BEGIN, ScoreScale
from executors.faiss_indexer.index.frame_sample import measure_noise
from executors.faiss_indexer.ranking.queries import Part
from executors.faiss_indexer.ranking.relevance import CUT_OFF, Relevance

X = np.array([1.0, 0.0], np.float32)
MEAN_FRAME = np.array([0.3, 0.4], np.float32)
ABSOLUTE, ABOVE = ScoreScale(0.1, 0.3), ScoreScale(0.0, 0.08, above_background=True)


def relevance(mean_frame=MEAN_FRAME, fitted_shift: float = 0.0) -> Relevance:
    return Relevance(lambda: np.array(mean_frame, np.float32), fitted_shift)


def frames(*cosines: float) -> np.ndarray:
    """Unit rows with these cosines with X."""
    return np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in cosines], np.float32)


def test_a_text_with_a_scale_of_its_own_is_read_by_it_whatever_the_library_holds():
    part = Part(X, scale=ABSOLUTE)
    assert relevance().find_scale(part) == (0.1, 0.3)
    made = relevance().judge(frames(0.1, 0.3, 0.24, -0.1, 0.5), [part])
    np.testing.assert_allclose(made, [0.0, 1.0, 0.7, -1.0, 2.0], atol=1e-6)
    assert made.dtype == np.float64


def test_a_text_above_the_background_begins_at_the_librarys_mean_cosine_with_it():
    part = Part(X, scale=ABOVE)
    assert relevance().find_scale(part) == pytest.approx((0.3, 0.38))
    np.testing.assert_allclose(relevance().judge(frames(0.3, 0.38, 0.34), [part]), [0.0, 1.0, 0.5], atol=1e-5)


@pytest.mark.parametrize(
    ("mean_phrase", "zero"),
    [
        ([0.5, 0.35], 0.3),  # neutral phrases get 0.29: the text's own background is believed
        ([0.4, 0.2], 0.2 + 0.08 / 3),  # they get 0.2, and a third of 0.08 beyond that is believed
        ([0.0, 1.0], 0.4 - 0.08 / 3),  # they get 0.4
    ],
)
def test_a_background_is_believed_as_far_as_it_is_near_to_that_of_neutral_phrases(mean_phrase, zero):
    part = Part(X, scale=ABOVE, mean_phrase=np.array(mean_phrase, np.float32))
    assert relevance().find_scale(part) == pytest.approx((zero, zero + 0.08))


def test_noise_is_told_in_the_unit_of_relevance():
    noisy, part = relevance([0.02, 0.4]), Part(X, scale=ABOVE, noise=0.04)
    assert noisy.find_noise([part]) == pytest.approx(0.5)
    assert noisy.find_noise([part, Part(X, -1.0, scale=ABOVE, noise=0.9)]) == pytest.approx(0.5)
    assert noisy.find_noise([part, Part(X, 3.0, scale=ABSOLUTE)]) == pytest.approx(0.125)
    assert noisy.find_noise([Part(X), Part(X, scale=ABOVE)]) == 0.0
    assert Part(X, scale=ABOVE).has_noise and not Part(X, scale=ABOVE, noise=0.0).has_noise
    assert not Part(X, scale=ABSOLUTE).has_noise and not Part(X).has_noise


def test_noise_is_the_quantile_that_the_best_of_all_frames_hardly_ever_exceeds():
    dice = np.random.default_rng(0)
    cosines = dice.normal(0.02, 0.03, 20_000).astype(np.float32)
    assert measure_noise(cosines, 1000) == pytest.approx(0.03 * 3.94, rel=0.03)  # 1 - .04 / 1000
    assert measure_noise(cosines, 1) == pytest.approx(0.03 * 1.75, rel=0.03)
    cosines[:2000] += 0.5  # right frames
    assert measure_noise(cosines, 1000) == pytest.approx(0.03 * 3.94, rel=0.25)
    assert measure_noise(cosines[:0], 0) == 0.0 and measure_noise(cosines[:1], 1) == 0.0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("noise", NOISES)
def test_models_with_cosines_are_decided_almost_as_by_who_knows_the_answers(model, noise):
    found = [try_library(model, 600, noise, 0.04, seed) for seed in (100, 101)]
    lost = [best.decide_best().mean - best.decide(MATCHES_BEGIN).mean for best in found]
    assert np.mean(lost) <= 0.05


def test_the_background_is_the_mean_of_the_cosines_of_the_frames():
    some = frames(0.9, 0.2, -0.5, 0.6)
    assert Relevance(lambda: some.mean(axis=0)).find_scale(Part(X))[0] == pytest.approx(np.mean([0.9, 0.2, -0.5, 0.6]))


def test_a_picture_is_compared_with_pictures():
    part = Part(X)
    assert relevance().find_scale(part) == pytest.approx((0.3, 0.3 + 0.6 * 0.7))
    np.testing.assert_allclose(relevance().judge(frames(0.3, 0.72, 1.0), [part]), [0.0, 1.0, 1 / 0.6], atol=1e-6)


@pytest.mark.parametrize(("mean_frame", "zero", "one"), [([1.0, 0.0], 1.0, 1.03), ([0.98, 0.1], 0.98, 1.01)])
def test_in_a_library_that_stands_still_a_picture_is_background(mean_frame, zero, one):
    still = relevance(mean_frame)
    assert still.find_scale(Part(X)) == pytest.approx((zero, one))
    [seen] = still.judge(X[np.newaxis], [Part(X)])
    assert seen == pytest.approx((1.0 - zero) / 0.03, abs=1e-5)
    assert still.score(np.array([seen]))[0] < CUT_OFF


@pytest.mark.parametrize(("scale", "expected"), [(None, (0.0, 0.6)), (ABOVE, (0.0, 0.08)), (ABSOLUTE, (0.1, 0.3))])
def test_an_empty_library_has_no_background(scale, expected):
    phrase = np.array([0.5, 0.5], np.float32)
    assert relevance(np.zeros(0)).find_scale(Part(X, scale=scale, mean_phrase=phrase)) == expected


def test_a_text_is_judged_on_its_own_scale():
    seen = np.array([[0.3, 0.1], [0.1, 0.3]], np.float32)
    np.testing.assert_allclose(relevance().judge(seen, [Part(X, scale=ABSOLUTE)]), [1.0, 0.0], atol=1e-6)


def test_parts_mix_by_weighted_mean_and_what_to_avoid_lowers_where_it_is_seen():
    dog, lake, snow = (Part(axis, scale=ScoreScale(0.1, 0.6)) for axis in np.eye(3, dtype=np.float32))
    seen = np.array([[0.1, 0.6, 0.1], [0.6, 0.1, 0.35], [0.6, 0.6, 0.0]], np.float32)  # relevances 0, .5 and 1; -.2

    def mixed(*weighted: tuple[Part, float]) -> np.ndarray:
        return relevance(np.zeros(3)).judge(seen, [replace(part, weight=weight) for part, weight in weighted])

    np.testing.assert_allclose(mixed((dog, 5.0)), [0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(mixed((dog, 3.0), (lake, 1.0)), [0.25, 0.75, 1], atol=1e-6)
    np.testing.assert_allclose(mixed((dog, 3.0), (lake, 1.0), (snow, -0.5)), [0.25, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(mixed((snow, -1.0), (dog, 2.0)), [0, 0.5, 1], atol=1e-6)


@given(weights=st.lists(st.floats(-2, 2).filter(lambda w: abs(w) > 0.01), max_size=4), seed=st.integers(0, 999))
def test_no_frame_fits_a_query_better_than_what_to_look_for_says(weights, seed):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(weights) + 21, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = [Part(v, w, scale=ABOVE) for v, w in zip(vectors, [1.0, *weights], strict=False)]
    made = relevance(vectors.mean(axis=0), fitted_shift=0.1)
    vector, offset = made.combine(parts)
    bounds = vectors @ vector + offset
    curve = made.judge(vectors, parts)
    assert (curve <= bounds + 1e-4).all()
    if min(weights, default=1.0) > 0:
        np.testing.assert_allclose(curve, bounds, atol=1e-4)


def test_scores_are_a_half_where_matches_begin():
    scores = relevance().score(np.array([MATCHES_BEGIN, 1.0, 0.0]))
    np.testing.assert_allclose(scores, [CUT_OFF, 1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(3.5))])
    np.testing.assert_allclose(scores, [0.5, 0.8176, 0.0293], atol=5e-5)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20).filter(lambda values: np.ptp(values) > 0))
def test_scores_rise_with_relevance_and_stay_between_0_and_1(values):
    ordered = np.unique(np.round(values, 6))
    scores = relevance().score(ordered)
    assert (np.diff(scores) > 0).all() and (scores > 0).all() and (scores < 1).all()


def test_a_fitted_shift_moves_where_matches_begin_and_nothing_else():
    part, shifted = Part(X, scale=ABSOLUTE), relevance(fitted_shift=0.1)
    np.testing.assert_array_equal(
        shifted.judge(frames(0.24, 0.26), [part]), relevance().judge(frames(0.24, 0.26), [part])
    )
    assert shifted.find_scale(part) == (0.1, 0.3)
    assert shifted.score(shifted.judge(frames(0.26), [part]))[0] == pytest.approx(0.5, abs=1e-5)
    shifted.fitted_shift = -0.2
    assert shifted.score(shifted.judge(frames(0.2), [part]))[0] == pytest.approx(0.5, abs=1e-5)


@given(score=st.floats(0.001, 0.999), shift=st.floats(-0.2, 0.3))
def test_the_least_relevance_of_a_score_gets_that_score(score, shift):
    made = relevance(fitted_shift=shift)
    assert made.score(np.array([made.find_least(score)]))[0] == pytest.approx(score)
    assert (made.find_least(0.0), made.find_least(1.0)) == (-np.inf, np.inf)
