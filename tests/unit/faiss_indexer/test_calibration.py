"""What a library knows of itself: the mean of its frames, and where matches begin in it."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipseek.api.errors import InvalidRequest, ModelMismatch
from clipseek.api.score_scale import CUT_OFF, ScoreScale
from clipseek.config.settings import Settings
from clipseek.schema import Calibration, DocList, Health, Query, QueryPart
from executors.faiss_indexer.documents import parts_of
from executors.faiss_indexer.executor import FaissIndexer
from executors.faiss_indexer.index.vector_index import VectorIndex
from executors.faiss_indexer.library import Calibrated, Library
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.ranking.relevance import Relevance, fit_shift
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.store import Store
from executors.flow.callers import Caller
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

CALLER = Caller("anyone")

OTHER = "other@1:2"
SHOWN = np.array([1.0, 0.0], np.float32)  # all that the library of these tests shows
COSINES = [0.52 + 0.05 * number for number in range(10)]  # of the phrases with it: 0.52 to 0.97


def phrases(cosines=COSINES, one: float = 1.0, model_id: str = MODEL) -> list[Part]:
    vectors = [np.array([cosine, np.sqrt(1 - cosine**2)], np.float32) for cosine in cosines]
    return [Part(vector, model_id=model_id, scale=ScoreScale(0.0, one)) for vector in vectors]


def fill(library: Library, model_id: str = MODEL) -> None:
    library.register(video(duration_seconds=30.0), model_id)
    shown = np.repeat(SHOWN[np.newaxis], 30, axis=0).astype(np.float16)
    library.put_span("a" * 64, (0.0, 30.0), Frames(np.arange(30.0), shown), model_id)


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path) as made:
        fill(made)
        yield made


# The mean frame


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as made:
        yield made


def put(store: Store, index: VectorIndex, name: str, count: int, seed: int) -> Frames:
    made = frames(count, seed=seed, dimensions=8)
    store.register(video(name * 64, duration_seconds=float(count)), MODEL)
    store.put_span(name * 64, (0.0, float(count)), made, MODEL)
    index.follow(store.revision)
    return made


def mean_of(*videos: Frames) -> np.ndarray:
    return np.concatenate([video.vectors for video in videos]).astype(np.float64).mean(axis=0)


def test_the_mean_frame_is_that_of_all_frames_whatever_comes_and_goes(tmp_path, store):
    index = VectorIndex(tmp_path / "index", store)
    assert index.mean_frame().shape == (0,) and index.frame_sum()[1] == 0
    a = put(store, index, "a", 90, seed=1)
    np.testing.assert_allclose(index.mean_frame(), mean_of(a), atol=1e-6)
    assert index.mean_frame().dtype == np.float32
    b = put(store, index, "b", 9, seed=2)
    np.testing.assert_allclose(index.mean_frame(), mean_of(a, b), atol=1e-6)
    store.delete("a" * 64)
    index.follow(store.revision)
    np.testing.assert_allclose(index.mean_frame(), mean_of(b), atol=1e-6)
    store.delete("b" * 64)
    index.follow(store.revision)
    assert index.mean_frame().shape == (0,)


def test_the_mean_frame_follows_frames_that_take_the_place_of_as_many(tmp_path, store):
    index = VectorIndex(tmp_path / "index", store)
    put(store, index, "a", 50, seed=1)
    index.mean_frame()
    again = put(store, index, "a", 50, seed=2)
    np.testing.assert_allclose(index.mean_frame(), mean_of(again), atol=1e-6)


def test_the_mean_frame_is_the_same_from_the_saved_index(tmp_path):
    with Store(tmp_path) as store:
        index = VectorIndex(tmp_path / "index", store)
        video = put(store, index, "a", 40, seed=1)
        index.save()
    with Store(tmp_path) as store:
        np.testing.assert_allclose(VectorIndex(tmp_path / "index", store).mean_frame(), mean_of(video), atol=1e-6)


# Calibration


@pytest.mark.parametrize(
    ("share", "shift", "answered"),
    [
        (0.1, 0.925 - 0.7, 1),  # the quantile 0.9 lies a tenth of the way from 0.92 to 0.97
        (0.3, 0.835 - 0.7, 3),
        (0.6, 0.7 - 0.7, 6),  # 0.4 of ten: 0.6 of the way from 0.67 to 0.72
    ],
)
def test_no_more_than_the_share_of_the_phrases_finds_a_match(library, share, shift, answered):
    made = library.calibrate(phrases(), share)
    assert made == Calibrated(pytest.approx(shift, abs=1e-6), 10, answered_before=6, answered=answered)
    found = [library.search([phrase], SearchOptions()).matches for phrase in phrases()]
    assert [bool(each) for each in found] == [False] * (10 - answered) + [True] * answered
    again = library.calibrate(phrases(), share)
    assert again == Calibrated(pytest.approx(made.shift), 10, answered, answered)


def test_the_cut_off_moves_within_bounds(library):
    everything = library.calibrate(phrases([0.9] * 5, one=0.5), 0.1)  # a relevance of 1.8
    assert everything == Calibrated(0.3, 5, 5, 5, at_bound=True)
    nothing = library.calibrate(phrases([0.1] * 5), 0.1)
    assert nothing == Calibrated(-0.2, 5, 0, 0)


@given(
    best=st.lists(st.floats(-1.0, 1.2).map(lambda value: round(value, 2)), min_size=1, max_size=40),
    share=st.floats(0.01, 0.99),
)
def test_no_more_than_the_share_is_answered_or_the_calibration_says_so(best, share):
    """Few phrases, and phrases with the same relevance, too."""
    made = fit_shift(np.array(best), 0.0, share)
    scores = Relevance(lambda: SHOWN, made.shift).score(np.array(best))
    assert made.answered == (scores >= CUT_OFF).sum()
    assert made.at_bound == (made.answered > share * len(best) + 1e-6)
    assert not made.at_bound or made.shift == 0.3


def test_the_promise_of_a_calibration_holds_in_the_searches_after_it(tmp_path):
    """Moments are found where they were before: a calibration moves the cut-off alone."""
    with Library(tmp_path) as library:
        for number in range(12):
            name, random = f"{number:064x}", np.random.default_rng(number)
            library.register(video(name, duration_seconds=60.0), MODEL)
            shown = np.repeat(random.normal(size=(12, 2)), 5, axis=0) + 0.3 * random.normal(size=(60, 2))
            shown /= np.linalg.norm(shown, axis=1, keepdims=True)
            cuts = np.arange(5.0, 60.0, 5.0)
            library.put_span(name, (0.0, 60.0), Frames(np.arange(60.0), shown.astype(np.float16), cuts), MODEL)
        asked = phrases(np.linspace(-0.99, 0.99, 21).tolist(), one=1.1)
        before = [library.search([phrase], SearchOptions(all_matches=True)).matches[0].segment for phrase in asked]
        for share in (0.05, 0.1, 0.3, 0.8):
            made = library.calibrate(asked, share)
            found = [library.search([phrase], SearchOptions()).matches for phrase in asked]
            assert sum(map(bool, found)) == made.answered
            assert made.answered <= share * 21 or made.at_bound
            after = [library.search([phrase], SearchOptions(all_matches=True)).matches[0].segment for phrase in asked]
            assert after == before


def test_a_calibration_is_kept_for_its_model_until_it_is_forgotten(tmp_path):
    with Library(tmp_path) as library:
        fill(library)
        shift = library.calibrate(phrases(), 0.1).shift
        assert library.store.fitted_shift(MODEL) == shift and library.store.fitted_shift(OTHER) == 0.0
    with Library(tmp_path) as library:
        assert library.relevance.fitted_shift == shift == pytest.approx(0.225, abs=1e-6)
        assert not library.search(phrases([0.9]), SearchOptions()).matches
        library.forget_calibration()
        assert library.relevance.fitted_shift == 0.0
        assert library.search(phrases([0.9]), SearchOptions()).matches
    with Library(tmp_path) as library:
        assert library.relevance.fitted_shift == 0.0


def test_an_empty_library_that_becomes_another_models_is_not_calibrated(library):
    library.calibrate(phrases(), 0.1)
    with pytest.raises(ModelMismatch, match="was filled by the model"):
        library.calibrate(phrases(model_id=OTHER), 0.1)
    library.delete("a" * 64)
    fill(library, OTHER)
    assert library.relevance.fitted_shift == 0.0


def test_an_empty_library_keeps_the_models_own_scale(tmp_path):
    with Library(tmp_path) as library:
        assert library.calibrate(phrases(), 0.1) == Calibrated(0.0, 10, 0, 0)


def test_the_store_keeps_one_shift(store):
    assert store.fitted_shift(MODEL) == 0.0
    store.keep_fitted_shift(0.25, MODEL)
    assert (store.fitted_shift(MODEL), store.fitted_shift(OTHER)) == (0.25, 0.0)
    store.keep_fitted_shift(-0.125, OTHER)
    assert (store.fitted_shift(MODEL), store.fitted_shift(OTHER)) == (0.0, -0.125)


# On the wire


@pytest.fixture
def indexer(tmp_path):
    made = FaissIndexer(Settings(home=tmp_path / "home", cache=tmp_path / "cache"), runtime_args={"name": "indexer"})
    fill(made.library("main"))
    yield made
    made.close()


def asked(**values) -> DocList[Calibration]:
    parts = [
        QueryPart(text=f"phrase {number}", embedding=part.vector.tolist(), model_id=MODEL, one_cosine=1.0)
        for number, part in enumerate(phrases())
    ]
    made = Calibration(phrases=DocList[QueryPart](parts), neutral_embedding=[0.1, 0.2], **values)
    return DocList[Calibration]([made])


def test_the_indexer_answers_with_what_it_found_and_says_so_in_its_health(indexer):
    [made] = asyncio.run(indexer.calibrate(asked(answered_share=0.3), caller=CALLER))
    assert (made.done, made.phrase_count, made.answered_before, made.answered) == (True, 10, 6, 3)
    assert made.shift == pytest.approx(0.135, abs=1e-6)
    assert (len(made.phrases), made.neutral_embedding) == (0, [])
    [health] = asyncio.run(indexer.health(DocList[Health]([Health()]), caller=CALLER))
    assert health.components[0].facts["fitted_shift"] == "0.135"
    [reset] = asyncio.run(indexer.calibrate(asked(reset=True), caller=CALLER))
    assert (reset.done, reset.shift, indexer.library("main").relevance.fitted_shift) == (True, 0.0, 0.0)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_cannot_be_is_named(indexer, share):
    with pytest.raises(InvalidRequest, match=f"answered_share is {share:g}"):
        asyncio.run(indexer.calibrate(asked(answered_share=share), caller=CALLER))


def test_texts_have_a_scale_and_images_have_none(indexer):
    text = {"embedding": [0.6, 0.8], "zero_cosine": 0.1, "one_cosine": 0.3}
    query = Query(
        text="a cat", **text, neutral_embedding=[0.1, 0.2], parts=DocList[QueryPart]([QueryPart(embedding=[0.0, 1.0])])
    )
    cat, image = parts_of(query, indexer.library("main"))
    assert cat.scale == ScoreScale(0.1, 0.3) and image.scale is None
    np.testing.assert_allclose(cat.mean_phrase, [0.1, 0.2])
    [bare] = parts_of(Query(parts=DocList[QueryPart]([QueryPart(embedding=[0.0, 1.0])])), indexer.library("main"))
    assert (bare.scale, bare.mean_phrase) == (None, None)
