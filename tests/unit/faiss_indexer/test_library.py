"""Index and library against the NumPy brute force, and as a cache that may vanish at any time."""

import numpy as np
import pytest

from clipseek.errors import InvalidTopK, ModelMismatch, VideoNotFound
from executors.faiss_indexer.frame_cache import FrameCache
from executors.faiss_indexer.library import Library, SearchAnswer
from executors.faiss_indexer.queries import Part, SearchOptions
from executors.faiss_indexer.store import Frames, Store
from executors.faiss_indexer.vector_index import VectorIndex
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

DIMENSIONS = 8


def fill(library: Library, count: int = 6) -> dict[str, Frames]:
    """Videos of 90 random frames each, in three spans."""
    films = {}
    for number in range(count):
        video_id = f"{number:064x}"
        library.register(video(video_id, duration_seconds=90.0, title=f"film {number}"), MODEL)
        films[video_id] = frames(90, seed=number, dimensions=DIMENSIONS)
        for start in range(0, 90, 30):
            part = Frames(films[video_id].pts_seconds[start : start + 30], films[video_id].vectors[start : start + 30])
            library.put_span(video_id, (start, start + 30.0), part, MODEL)
    return films


def unit(seed: int = 99) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def ask(library: Library, vector: np.ndarray, model_id: str = MODEL, **options) -> SearchAnswer:
    return library.search([Part(vector, model_id=model_id)], SearchOptions(**options))


def by_brute_force(films: dict[str, Frames], vector: np.ndarray) -> list[str]:
    best = {name: (film.vectors.astype(np.float32) @ vector).max() for name, film in films.items()}
    return sorted(best, key=lambda name: -best[name])


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path) as made:
        yield made


def test_nearest_videos_equal_the_brute_force(library):
    films = fill(library)
    assert library._index.nearest_videos(unit(), least_videos=6) == by_brute_force(films, unit())


def test_nearest_videos_look_further_until_there_are_enough(library):
    """A long film full of matches does not hide the other one."""
    vector = unit()
    library.register(video("a" * 64, duration_seconds=3000.0), MODEL)
    full = np.repeat(vector[np.newaxis], 2000, axis=0).astype(np.float16)
    library.put_span("a" * 64, (0.0, 3000.0), Frames(np.arange(2000.0), full), MODEL)
    library.register(video("b" * 64), MODEL)
    library.put_span("b" * 64, (0.0, 30.0), Frames(np.zeros(1), -vector[np.newaxis].astype(np.float16)), MODEL)
    assert library._index.nearest_videos(vector, least_videos=2) == ["a" * 64, "b" * 64]


def test_the_curve_is_the_cosine_of_every_frame(library):
    films = fill(library, count=2)
    name = f"{1:064x}"
    made = library.curve(library.store.video(name), [Part(unit())])
    np.testing.assert_allclose(made.scores, films[name].vectors.astype(np.float64) @ unit(), atol=1e-6)
    np.testing.assert_array_equal(made.pts_seconds, films[name].pts_seconds)


def test_search_finds_the_planted_moment_first(library):
    films = fill(library)
    name = f"{4:064x}"
    planted = films[name].vectors.copy()
    planted[37:49] = -unit().astype(np.float16)
    planted[40:46] = unit().astype(np.float16)
    library.put_span(name, (30.0, 60.0), Frames(films[name].pts_seconds[30:60], planted[30:60]), MODEL)
    answer = ask(library, unit(), top_k=3)
    best = answer.found[0]
    assert best.video.title == "film 4"
    assert best.segment.start_seconds == pytest.approx(39.5, abs=0.6)
    assert best.segment.end_seconds == pytest.approx(45.5, abs=0.6)
    assert best.segment.score == pytest.approx(1.0, abs=0.05)
    assert (answer.videos_searched, answer.frames_searched, len(answer.found)) == (6, 540, 3)


def test_the_edges_of_a_moment_lie_on_the_stored_cuts_near_them(library):
    library.register(video(duration_seconds=30.0), MODEL)
    vectors = np.repeat(-unit()[np.newaxis], 30, axis=0)
    vectors[10:16] = unit()
    for cuts in ([9.4, 15.9], [], [2.0, 28.0]):
        parts = Frames(np.arange(30.0), vectors.astype(np.float16), np.array(cuts))
        library.put_span("a" * 64, (0.0, 30.0), parts, MODEL)
        [found, *_] = ask(library, unit(), top_k=1).found
        start, end = found.segment.start_seconds, found.segment.end_seconds
        if cuts == [9.4, 15.9]:
            assert (start, end) == (9.4, 15.9)
        else:
            assert (start, end) == (pytest.approx(9.5, abs=0.4), pytest.approx(15.5, abs=0.4))
            assert start not in cuts and end not in cuts


def test_search_in_some_videos_only(library):
    fill(library)
    only = f"{2:064x}"
    answer = ask(library, unit(), top_k=50, video_ids=(only,))
    assert {found.video.video_id for found in answer.found} == {only}
    assert answer.videos_searched == 1


def test_deleted_and_replaced_frames_are_not_found(library):
    films = fill(library)
    best = by_brute_force(films, unit())[0]
    library.delete(best)
    assert all(found.video.video_id != best for found in ask(library, unit(), top_k=100).found)
    assert len(library._index) == library.store.frame_count() == 450


def test_another_rate_drops_the_frames_from_the_index(library):
    fill(library, count=2)
    library.register(video(f"{0:064x}", duration_seconds=90.0, frames_per_second=2.0), MODEL)
    assert len(library._index) == library.store.frame_count() == 90


def test_an_empty_library_answers_with_nothing(library):
    assert ask(library, unit(), top_k=5).found == []


@pytest.mark.parametrize("top_k", [0, -1, 1001])
def test_top_k_out_of_range(library, top_k):
    with pytest.raises(InvalidTopK, match=f"top_k is {top_k}"):
        ask(library, unit(), top_k=top_k)


def test_refusals_name_the_cause(library):
    fill(library, count=1)
    with pytest.raises(VideoNotFound, match="nope"):
        ask(library, unit(), top_k=1, video_ids=("nope",))
    with pytest.raises(ModelMismatch, match="was filled by the model"):
        ask(library, unit(), "other@1:2", top_k=1)
    with pytest.raises(ModelMismatch, match="3 dimensions"):
        ask(library, np.ones(3, np.float32) / np.sqrt(3), video_ids=(f"{0:064x}",))


def test_the_saved_index_is_used_and_a_missing_stale_or_broken_one_is_rebuilt(tmp_path, caplog):
    with Library(tmp_path) as library:
        films = fill(library)
    expected = by_brute_force(films, unit())
    [saved] = (tmp_path / "index").glob("frames-*.faiss")

    def nearest() -> list[str]:
        with Store(tmp_path) as store:
            return VectorIndex(tmp_path / "index", store).nearest_videos(unit(), least_videos=6)

    caplog.set_level("INFO")
    assert nearest() == expected
    assert "rebuilt" not in caplog.text
    saved.write_bytes(saved.read_bytes()[:1000])
    assert nearest() == expected
    assert "cannot be read" in caplog.text
    saved.unlink()
    assert nearest() == expected
    with Library(tmp_path) as library:
        library.delete(expected[0])
        library._index.save = lambda: None  # as if the process were killed here
    assert nearest() == expected[1:]


def test_the_frame_cache_forgets_the_oldest_and_never_keeps_what_changed_while_it_loaded():
    loaded: list[str] = []

    def load(video_id: str) -> Frames:
        loaded.append(video_id)
        if video_id == "changing":
            cache.drop("changing")
        return frames(10)

    one = frames(10).vectors.nbytes + frames(10).pts_seconds.nbytes
    cache = FrameCache(load, most_bytes=2 * one)
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get(name)
    assert loaded == ["a", "b", "c", "b"]
    cache.get("changing")
    cache.get("changing")
    assert loaded[-2:] == ["changing", "changing"]
