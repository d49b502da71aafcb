"""Index and library against the NumPy brute force, and as a cache that may vanish at any time."""

import resource
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import faiss
import numpy as np
import pytest

from clipseek.api.errors import InvalidTimeRange, InvalidTopK, ModelMismatch, MomentNotIndexed, VideoNotFound
from clipseek.api.score_scale import ScoreScale
from executors.faiss_indexer.index.vector_index import VectorIndex
from executors.faiss_indexer.library import Library, SearchAnswer
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.ranking.video_curves import FrameCache
from executors.faiss_indexer.store.cache_file import cache_path
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.store import Store
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

DIMENSIONS = 8
COSINES = ScoreScale(0.0, 1.0)  # relevance is the cosine, and matches begin at 0.7


def fill(library: Library, count: int = 6) -> dict[str, Frames]:
    """Videos of 90 random frames each, in three spans."""
    videos = {}
    for number in range(count):
        video_id = f"{number:064x}"
        library.register(video(video_id, duration_seconds=90.0, title=f"video {number}"), MODEL)
        videos[video_id] = frames(90, seed=number, dimensions=DIMENSIONS)
        for start in range(0, 90, 30):
            part = Frames(
                videos[video_id].pts_seconds[start : start + 30], videos[video_id].vectors[start : start + 30]
            )
            library.put_span(video_id, (start, start + 30.0), part, MODEL)
    return videos


def unit(seed: int = 99) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def like(vector: np.ndarray, weight: float = 1.0, model_id: str = "") -> Part:
    return Part(vector, weight, model_id, scale=COSINES)


def ask(library: Library, vector: np.ndarray, model_id: str = MODEL, **options) -> SearchAnswer:
    return library.search([like(vector, model_id=model_id)], SearchOptions(**options))


def scored(cosine: float) -> float:
    """The score of a frame: matches begin at 0.7, where it is 0.5."""
    return 1 / (1 + np.exp(-5 * (cosine - 0.7)))


def by_brute_force(videos: dict[str, Frames], vector: np.ndarray) -> list[str]:
    best = {name: (video.vectors.astype(np.float32) @ vector).max() for name, video in videos.items()}
    return sorted(best, key=lambda name: -best[name])


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path) as made:
        yield made


def test_nearest_videos_equal_the_brute_force(library):
    videos = fill(library)
    named = list(library.index.nearest_videos(unit()))
    assert [name for name, _ in named] == by_brute_force(videos, unit())
    for name, product in named:
        assert product == pytest.approx((videos[name].vectors.astype(np.float32) @ unit()).max(), abs=1e-6)


def test_nearest_videos_look_further_until_there_are_enough(library):
    """A long video full of matches does not hide the other one."""
    vector = unit()
    library.register(video("a" * 64, duration_seconds=3000.0), MODEL)
    full = np.repeat(vector[np.newaxis], 2000, axis=0).astype(np.float16)
    library.put_span("a" * 64, (0.0, 3000.0), Frames(np.arange(2000.0), full), MODEL)
    library.register(video("b" * 64), MODEL)
    library.put_span("b" * 64, (0.0, 30.0), Frames(np.zeros(1), -vector[np.newaxis].astype(np.float16)), MODEL)
    assert [name for name, _ in library.index.nearest_videos(vector)] == ["a" * 64, "b" * 64]


def test_the_curve_is_the_cosine_of_every_frame(library):
    videos = fill(library, count=2)
    name = f"{1:064x}"
    made = library.curves.draw(library.store.video(name), [like(unit())], library.relevance)
    np.testing.assert_allclose(made.scores, videos[name].vectors.astype(np.float64) @ unit(), atol=1e-6)
    np.testing.assert_array_equal(made.pts_seconds, videos[name].pts_seconds)


def test_blank_frames_are_no_match_unless_all_are(library):
    library.register(video(duration_seconds=30.0), MODEL)
    vectors = np.repeat(-unit()[np.newaxis], 30, axis=0)
    vectors[4:12] = unit()  # blank, and yet what the model likes best
    vectors[20:24] = 0.5 * unit()
    blank = np.zeros(30, np.bool_)
    blank[4:12] = True
    for marked, peak in ((blank, 21.5), (np.zeros(30, np.bool_), 7.5), (np.ones(30, np.bool_), 7.5)):
        parts = Frames(np.arange(30.0), vectors.astype(np.float16), blank=marked)
        library.put_span("a" * 64, (0.0, 30.0), parts, MODEL)
        [found, *_] = ask(library, unit(), top_k=1, all_matches=True).matches
        assert found.segment.peak_seconds == pytest.approx(peak, abs=4)
    library.put_span("a" * 64, (0.0, 30.0), Frames(np.arange(30.0), vectors.astype(np.float16), blank=blank), MODEL)
    scores = library.curves.draw(library.store.video("a" * 64), [like(unit())], library.relevance).scores
    np.testing.assert_allclose(scores[blank], -1.5, atol=1e-3)
    assert scores[blank].max() < scores[~blank].min()
    np.testing.assert_allclose(scores[20:24], 0.5, atol=1e-3)


def test_a_still_picture_beside_black_is_a_moment_without_it(library):
    library.register(video(duration_seconds=12.0), MODEL)
    vectors = np.repeat(unit()[np.newaxis], 12, axis=0).astype(np.float16)
    blank = np.arange(12) >= 6
    library.put_span("a" * 64, (0.0, 12.0), Frames(np.arange(12.0), vectors, np.array([6.0]), blank), MODEL)
    for lowest in (0.0, 0.7):  # relevances of 1.0 and 0.3: whether it matches or not
        part = Part(unit(), scale=ScoreScale(lowest, lowest + 1.0))
        scores = library.curves.draw(library.store.video("a" * 64), [part], library.relevance).scores
        np.testing.assert_allclose(scores, np.where(blank, min(0.0, 0.5 - lowest), 1.0 - lowest), atol=1e-3)
        best = library.search([part], SearchOptions(all_matches=True)).matches[0].segment
        assert (best.start_seconds, best.end_seconds) == (0.0, 6.0)


def test_videos_are_ranked_by_their_best_moment_and_it_is_found_in_them(library):
    seen, other = np.eye(DIMENSIONS, dtype=np.float32)[:2]
    for name, seen_share, places in (("a" * 64, 0.9, (2, 20)), ("b" * 64, 0.8, (8, 14))):
        vectors = np.zeros((30, DIMENSIONS), np.float32)
        vectors[:, 2] = 1.0
        vectors[places[0] : places[0] + 5] = seen_share * seen
        vectors[places[1] : places[1] + 5] = (1.7 - seen_share) * other
        library.register(video(name, duration_seconds=30.0), MODEL)
        library.put_span(name, (0.0, 30.0), Frames(np.arange(30.0), vectors.astype(np.float16)), MODEL)
    for vector, order, starts in ((seen, ["a", "b"], [1.5, 7.5]), (other, ["b", "a"], [13.5, 19.5])):
        found = library.search([like(vector)], SearchOptions(per_video=1, all_matches=True)).matches
        assert [match.video.video_id[0] for match in found] == order
        assert [match.segment.start_seconds for match in found] == pytest.approx(starts, abs=0.3)


def test_search_finds_the_planted_moment_first(library):
    videos = fill(library)
    name = f"{4:064x}"
    planted = videos[name].vectors.copy()
    planted[37:49] = -unit().astype(np.float16)
    planted[40:46] = unit().astype(np.float16)
    library.put_span(name, (30.0, 60.0), Frames(videos[name].pts_seconds[30:60], planted[30:60]), MODEL)
    answer = ask(library, unit(), top_k=3)
    best = answer.matches[0]
    assert best.video.title == "video 4"
    assert best.segment.start_seconds == pytest.approx(39.5, abs=0.6)
    assert best.segment.end_seconds == pytest.approx(45.5, abs=0.6)
    assert best.segment.score == pytest.approx(1.0, abs=0.05)
    assert (answer.videos_searched, answer.frames_searched, len(answer.matches)) == (6, 540, 3)


def test_the_edges_of_a_moment_lie_on_the_stored_cuts_near_them(library):
    library.register(video(duration_seconds=30.0), MODEL)
    vectors = np.repeat(-unit()[np.newaxis], 30, axis=0)
    vectors[10:16] = unit()
    for cuts in ([9.4, 15.9], [], [2.0, 28.0]):
        parts = Frames(np.arange(30.0), vectors.astype(np.float16), np.array(cuts))
        library.put_span("a" * 64, (0.0, 30.0), parts, MODEL)
        [found, *_] = ask(library, unit(), top_k=1).matches
        start, end = found.segment.start_seconds, found.segment.end_seconds
        if cuts == [9.4, 15.9]:
            assert (start, end) == (9.4, 15.9)
        else:
            assert (start, end) == (pytest.approx(9.5, abs=0.4), pytest.approx(15.5, abs=0.4))
            assert start not in cuts and end not in cuts


def test_search_in_some_videos_only(library):
    fill(library)
    only = f"{2:064x}"
    answer = ask(library, unit(), top_k=50, video_ids=(only,), all_matches=True)
    assert {found.video.video_id for found in answer.matches} == {only}
    assert answer.videos_searched == 1


def test_deleted_and_replaced_frames_are_not_found(library):
    videos = fill(library)
    best = by_brute_force(videos, unit())[0]
    library.delete(best)
    answer = ask(library, unit(), top_k=100, all_matches=True)
    assert {found.video.video_id for found in answer.matches} == videos.keys() - {best}
    assert len(library.index) == library.store.frame_count() == 450


def test_another_rate_drops_the_frames_from_the_index(library):
    fill(library, count=2)
    library.register(video(f"{0:064x}", duration_seconds=90.0, frames_per_second=2.0), MODEL)
    assert len(library.index) == library.store.frame_count() == 90


def test_an_empty_library_answers_with_nothing(library):
    assert ask(library, unit(), top_k=5).matches == []


@pytest.mark.parametrize("top_k", [0, -1, 1001])
def test_top_k_out_of_range(library, top_k):
    with pytest.raises(InvalidTopK, match=f"top_k must be from 1 to 1000, not {top_k}"):
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
        videos = fill(library)
    expected = by_brute_force(videos, unit())
    [saved] = (tmp_path / "index").glob("frames-*.faiss")

    def nearest() -> list[str]:
        with Store(tmp_path) as store:
            return [name for name, _ in VectorIndex(tmp_path / "index", store).nearest_videos(unit())]

    caplog.set_level("INFO")
    assert nearest() == expected
    assert "rebuilt" not in caplog.text
    saved.write_bytes(saved.read_bytes()[:1000])
    assert nearest() == expected
    assert "is damaged, or of an earlier version" in caplog.text
    saved.unlink()
    assert nearest() == expected
    with Library(tmp_path) as library:
        library.delete(expected[0])
        library.index.save = lambda: None  # as if the process were killed here
    assert nearest() == expected[1:]


def test_any_wrong_byte_in_the_saved_index_has_it_rebuilt(tmp_path, caplog):
    with Library(tmp_path) as library:
        videos = fill(library, count=3)
        frame_sum = library.index.frame_sum()[0]
    [saved] = (tmp_path / "index").glob("frames-*.faiss")
    whole = saved.read_bytes()
    for place in {*range(200), *range(200, len(whole), 131), *range(len(whole) - 80, len(whole))}:
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        caplog.clear()
        with Store(tmp_path) as store:
            index = VectorIndex(tmp_path / "index", store)
            nearest = dict(index.nearest_videos(unit()))
        assert "rebuilt" in caplog.text, place
        assert nearest == pytest.approx({name: _best(video, unit()) for name, video in videos.items()}, abs=1e-5)
        np.testing.assert_allclose(index.frame_sum()[0], frame_sum, atol=1e-9)


def test_an_index_saved_by_an_earlier_version_is_rebuilt(tmp_path, caplog):
    with Library(tmp_path) as library:
        videos = fill(library, count=3)
        [saved] = [cache_path(tmp_path / "index", library.store.revision)]
        faiss.write_index(library.index._index, str(tmp_path / "earlier"))
        frame_sum = library.index.frame_sum()[0]
    saved.write_bytes((tmp_path / "earlier").read_bytes() + np.zeros(DIMENSIONS).tobytes())
    with Library(tmp_path) as library:
        assert [name for name, _ in library.index.nearest_videos(unit())] == by_brute_force(videos, unit())
        np.testing.assert_allclose(library.index.frame_sum()[0], frame_sum, atol=1e-9)
    with pytest.raises(RuntimeError, match="not recognized"):  # what an earlier version meets in a new file
        faiss.read_index(str(saved))


def _best(video: Frames, vector: np.ndarray) -> float:
    return float((video.vectors.astype(np.float32) @ vector).max())


def test_the_index_made_before_a_backup_was_restored_is_not_taken_for_the_new_one(tmp_path):
    """Both histories come to the same revision, with as many frames in as many spans."""
    name = f"{1:064x}"

    def add(seed: int, *, killed: bool) -> None:
        with Library(tmp_path) as library:
            library.register(video(name, duration_seconds=30.0), MODEL)
            library.put_span(name, (0.0, 30.0), frames(30, seed=seed, dimensions=DIMENSIONS), MODEL)
            if killed:
                library.index.save = lambda: None

    with Library(tmp_path) as library:
        fill(library, count=1)
    backup = (tmp_path / "index.db").read_bytes()
    add(1, killed=False)
    (tmp_path / "index.db").write_bytes(backup)
    add(2, killed=True)
    with Library(tmp_path) as library:
        videos = {video_id: library.store.frames(video_id) for video_id in (f"{0:064x}", name)}
        vector = videos[name].vectors[7].astype(np.float32)
        np.testing.assert_allclose(library.index.mean_frame(), _mean(videos), atol=1e-6)
        assert [name for name, _ in library.index.nearest_videos(vector)] == by_brute_force(videos, vector)


def _mean(videos: dict[str, Frames]) -> np.ndarray:
    return np.concatenate([video.vectors.astype(np.float32) for video in videos.values()]).mean(axis=0)


def test_a_cache_that_cannot_be_written_is_let_be(tmp_path, caplog):
    with Library(tmp_path) as library:
        fill(library, count=1)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            library.index.save()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "cannot be written" in caplog.text
        assert not list((tmp_path / "index").glob("*.faiss"))
    assert [file.suffix for file in (tmp_path / "index").iterdir()] == [".faiss"]


def test_searches_go_on_while_a_write_waits_for_a_slow_disk(library):
    fill(library, count=2)
    name = f"{1:064x}"
    with closing(sqlite3.connect(library.store.place, isolation_level=None)) as disk, ThreadPoolExecutor() as threads:
        disk.execute("BEGIN IMMEDIATE")  # what a write waits for as long as this is not over
        write = threads.submit(library.delete, name)
        assert ask(library, unit(), all_matches=True).videos_searched == 2
        assert library.store.video(name)
        assert not write.done()
        disk.execute("ROLLBACK")
        write.result(timeout=30)
    assert ask(library, unit(), all_matches=True).videos_searched == 1


def test_the_frame_cache_forgets_the_oldest_and_never_keeps_what_changed_while_it_loaded():
    loaded: list[str] = []

    def load(video_id: str) -> Frames:
        loaded.append(video_id)
        if video_id == "changing":
            cache.drop(["changing"])
        return frames(10)

    one = 2 * frames(10).vectors.nbytes + frames(10).pts_seconds.nbytes  # as float32
    cache = FrameCache(load, most_bytes=2 * one)
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get(name)
    assert loaded == ["a", "b", "c", "b"]
    cache.get("changing")
    cache.get("changing")
    assert loaded[-2:] == ["changing", "changing"]


def planted(library: Library, name: str, title: str, *shown: tuple[int, int, np.ndarray]) -> None:
    """A video of 60 frames of noise, with a vector shown during each `[first, last)`."""
    vectors = frames(60, seed=int(name, 16), dimensions=DIMENSIONS).vectors.copy()
    vectors[:] = -0.2 * vectors
    for first, last, vector in shown:
        vectors[first:last] = vector
    library.register(video(name * 64, duration_seconds=60.0, title=title), MODEL)
    library.put_span(name * 64, (0.0, 60.0), Frames(np.arange(60.0), vectors.astype(np.float16)), MODEL)


def axis(number: int) -> np.ndarray:
    return np.eye(DIMENSIONS, dtype=np.float32)[number]


def both(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one + other) / np.float32(np.sqrt(2))


DOG, LAKE, SNOW = axis(0), axis(1), axis(2)


def first(answer: SearchAnswer) -> tuple[str, float]:
    best = answer.matches[0]
    return best.video.title, best.segment.peak_seconds


def test_several_descriptions_prefer_what_fits_all_and_what_to_avoid_pushes_down(library):
    planted(library, "1", "dog", (10, 15, DOG))
    planted(library, "2", "dog in lake", (20, 25, both(DOG, LAKE)))
    planted(library, "3", "dog in snow", (30, 35, both(DOG, SNOW)))
    assert first(ask(library, DOG))[0] == "dog"
    title, peak = first(library.search([like(DOG), like(LAKE)], SearchOptions()))
    assert title == "dog in lake" and 20 <= peak < 25
    only = SearchOptions(video_ids=("2" * 64, "3" * 64))
    kept = library.search([like(DOG), like(SNOW, -1.0)], only).matches
    assert [f.video.title for f in kept] == ["dog in lake"]
    assert kept[0].score == pytest.approx(scored(0.5**0.5), abs=1e-3)
    weighted = library.search([like(DOG), like(SNOW, 3.0)], SearchOptions())
    assert first(weighted)[0] == "dog in snow"


def test_a_time_range_holds_for_every_video_whatever_is_nearest(library):
    planted(library, "1", "early", (5, 10, DOG))
    planted(library, "2", "late", (45, 50, both(DOG, LAKE)))
    answer = ask(library, DOG, start_seconds=30.0, end_seconds=55.0)
    assert first(answer)[0] == "late"
    assert all(30 <= f.segment.start_seconds < f.segment.end_seconds <= 55 for f in answer.matches)
    assert (answer.videos_searched, answer.frames_searched) == (2, 120)
    assert ask(library, DOG, start_seconds=70.0).videos_searched == 0
    with pytest.raises(InvalidTimeRange, match=r"'early' is 60\.0 s long"):
        ask(library, DOG, start_seconds=60.0, video_ids=("1" * 64,))


def test_weak_matches_are_withheld_counted_and_shown_when_asked_for(library):
    planted(library, "1", "dog", (10, 15, DOG))
    planted(library, "2", "nothing")
    answer = ask(library, DOG, top_k=50)
    everything = ask(library, DOG, top_k=50, all_matches=True)
    assert [f.video.title for f in answer.matches] == ["dog"]
    assert answer.matches[0].score == pytest.approx(scored(1.0), abs=1e-3)
    assert len(everything.matches) - 1 >= answer.withheld == 10 and answer.cut_off == 0.5  # ten of a video are counted
    assert ask(library, DOG, top_k=8).withheld == len(ask(library, DOG, top_k=8, all_matches=True).matches) - 1 == 7
    assert (everything.withheld, everything.cut_off) == (0, 0.0)
    none = ask(library, SNOW, top_k=50)
    assert none.matches == [] and none.nothing_matches and none.withheld > 0 and not none.more
    assert not ask(library, DOG, offset=40).nothing_matches
    assert ask(library, SNOW, least_score=0.01, top_k=50).cut_off == 0.01


def test_pages_are_slices_of_all_matches_of_the_library(library):
    for number in range(40):
        name = f"{number:064x}"
        library.register(video(name, duration_seconds=30.0), MODEL)
        library.put_span(name, (0.0, 30.0), frames(30, seed=number, dimensions=DIMENSIONS), MODEL)
    everything = ask(library, unit(), top_k=1000, all_matches=True).matches
    assert len(everything) > 100
    pages = [ask(library, unit(), top_k=5, offset=offset, all_matches=True) for offset in range(0, len(everything), 5)]
    assert [found for page in pages for found in page.matches] == everything
    assert all(page.more for page in pages[:-1]) and not pages[-1].more


def test_few_videos_are_looked_at_for_the_first_matches_also_of_a_range(library, monkeypatch):
    for number in range(40):
        planted(library, f"{number:02d}", f"video {number}", (10, 15, DOG if number % 8 == 5 else LAKE))
    looked: list[str] = []
    look = library.curves._cache.get
    monkeypatch.setattr(library.curves._cache, "get", lambda video_id: looked.append(video_id) or look(video_id))
    for options in ({}, {"start_seconds": 5.0}):
        looked.clear()
        assert [f.video.title for f in ask(library, DOG, top_k=2, **options).matches] == ["video 5", "video 13"]
        assert len(set(looked)) < 8


def test_more_like_a_moment_finds_its_like_but_not_the_moment(library):
    planted(library, "1", "one", (10, 15, DOG), (40, 45, both(DOG, LAKE)))
    planted(library, "2", "two", (20, 25, DOG))
    part = library.moment("1" * 64, 12.0)
    np.testing.assert_allclose(part.vector, DOG, atol=1e-3)
    assert part.moment == ("1" * 64, (10.0, 14.0))
    answer = library.search([part], SearchOptions(all_matches=True))
    assert first(answer)[0] == "two" and 20 <= first(answer)[1] < 25
    own = [f.segment for f in answer.matches if f.video.title == "one"]
    assert 40 <= own[0].peak_seconds < 45
    assert not any(s.start_seconds < 14 and s.end_seconds > 10 for s in own)
    avoided = library.search([like(DOG), library.moment("1" * 64, 12.0, -0.1)], SearchOptions(video_ids=("1" * 64,)))
    assert 10 <= first(avoided)[1] < 15  # what is to be avoided is lowered, not left out
    assert avoided.matches[0].score == pytest.approx(scored(1.0 - 0.1 / 0.6), abs=1e-3)


def test_moments_that_cannot_be_had_are_named(library):
    library.register(video("a" * 64, duration_seconds=60.0, title="half.mp4"), MODEL)
    library.put_span("a" * 64, (0.0, 30.0), frames(30, dimensions=DIMENSIONS), MODEL)
    assert library.moment("a" * 64, 29.0).vector.shape == (DIMENSIONS,)
    with pytest.raises(MomentNotIndexed, match=r"'half\.mp4' is not indexed at 45 s yet"):
        library.moment("a" * 64, 45.0)
    for outside in (-1.0, 60.5, float("nan")):
        with pytest.raises(InvalidTimeRange, match=r"outside the video 'half\.mp4', which is 60\.0 s long"):
            library.moment("a" * 64, outside)
    with pytest.raises(VideoNotFound, match="nope"):
        library.moment("nope", 1.0)


def test_a_timeline_is_the_curve_and_what_search_finds(library):
    planted(library, "1", "one", (10, 15, DOG))
    options = SearchOptions(video_ids=("1" * 64,), top_k=1000)
    made = library.timeline([like(DOG)], options)
    assert made.answer == library.search([like(DOG)], options)
    np.testing.assert_array_equal(made.pts_seconds, np.arange(60.0))
    np.testing.assert_allclose(made.scores[10:15], scored(1.0), atol=1e-3)
    others = library.store.frames("1" * 64).vectors[:10].astype(np.float64) @ DOG
    np.testing.assert_allclose(made.scores[:10], scored(others), atol=1e-6)
    assert made.shot_start_seconds == [0.0]
    part = library.timeline([like(DOG)], SearchOptions(video_ids=("1" * 64,), start_seconds=12.0, end_seconds=20.0))
    np.testing.assert_array_equal(part.pts_seconds, np.arange(12.0, 20.0))
