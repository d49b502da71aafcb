"""The index beyond the size at which every frame is compared: exchanged in the background, and right all along."""

import threading
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest

from clipseek.config.settings import LEAST_RECALL
from executors.faiss_indexer.index import kinds, recall
from executors.faiss_indexer.index.shared_lock import SharedLock
from executors.faiss_indexer.index.vector_index import VectorIndex
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES
from executors.faiss_indexer.store.store import Store
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

DIMENSIONS, EXACT = 16, 600
WAIT_SECONDS = 60


class Filled:
    """A store with an index, and videos of a hundred frames that come and go in both."""

    def __init__(self, folder) -> None:
        self.store = Store(folder)
        self.index = VectorIndex(folder / "index", self.store, EXACT)
        self.videos: dict[str, Frames] = {}

    def put(self, number: int, seed: int | None = None) -> None:
        name = f"{number:064x}"
        stored = frames(100, seed=number if seed is None else seed, dimensions=DIMENSIONS)
        self.store.register(video(name, duration_seconds=100.0), MODEL)
        self.store.put_span(name, (0.0, 100.0), stored, MODEL)
        self.index.follow(self.store.revision)
        self.videos[name] = stored

    def delete(self, number: int) -> None:
        name = f"{number:064x}"
        self.store.delete(name)
        self.index.follow(self.store.revision)
        del self.videos[name]

    def settle(self) -> None:
        if self.index._builder is not None:
            self.index._builder.join(WAIT_SECONDS)
            assert not self.index._builder.is_alive()

    def check(self) -> None:
        """The index holds what the store holds, and tells every video's best frame if it looks at all cells."""
        if kinds.is_partitioned(self.index._index):
            self.index._index.nprobe = self.index._index.nlist
        assert len(self.index) == self.store.frame_count() == 100 * len(self.videos)
        assert self.index.frames_of == dict.fromkeys(self.videos, 100)
        for seed in range(5):
            query = unit(seed)
            told = dict(self.index.nearest_videos(query))
            best = {
                name: float((video.vectors.astype(np.float32) @ query).max()) for name, video in self.videos.items()
            }
            assert told == pytest.approx(best, abs=1e-5)
        every = np.concatenate([video.vectors.astype(np.float64) for video in self.videos.values()])
        total, count = self.index.frame_sum()
        assert count == len(every)
        np.testing.assert_allclose(total, every.sum(axis=0), atol=1e-6)


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(1000 + seed).normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
def filled(tmp_path):
    made = Filled(tmp_path)
    yield made
    made.index.close()
    made.store.close()


@pytest.fixture
def held(monkeypatch):
    """Holds the making of a partitioned index up, once it has begun, until it is set."""
    begun, go_on = threading.Event(), threading.Event()
    make = kinds.make_partitioned_index

    def making(*args):
        begun.set()
        assert go_on.wait(WAIT_SECONDS)
        return make(*args)

    monkeypatch.setattr(kinds, "make_partitioned_index", making)
    yield begun, go_on
    go_on.set()


def test_beyond_a_size_another_index_takes_over_and_few_frames_are_missed(filled):
    for number in range(6):
        filled.put(number)
    assert filled.index.kind == "exact" and filled.index._builder is None
    filled.put(6)
    filled.settle()
    assert filled.index.kind.startswith("partitioned: ")
    filled.check()
    found = filled.index.recall()
    assert found.before == found.share >= LEAST_RECALL and found.queries == recall.QUERIES


def test_searches_go_on_and_nothing_is_lost_while_another_index_is_made(filled, held):
    begun, go_on = held
    for number in range(7):
        filled.put(number)
    assert begun.wait(WAIT_SECONDS)
    filled.put(7)
    filled.put(2, seed=99)  # in place of what there was
    filled.delete(3)
    filled.put(8)
    filled.delete(8)
    assert filled.index.kind == "exact"
    filled.check()
    go_on.set()
    filled.settle()
    assert filled.index.kind.startswith("partitioned: ")
    filled.check()


def test_videos_come_and_go_in_a_partitioned_index(filled):
    for number in range(7):
        filled.put(number)
    filled.settle()
    for number in range(7, 12):
        filled.put(number)
    for number in (0, 5, 9, 11):
        filled.delete(number)
    filled.put(1, seed=50)
    assert filled.index.kind.startswith("partitioned: ")
    filled.check()


def test_an_index_that_has_shrunk_compares_every_frame_again(filled):
    for number in range(7):
        filled.put(number)
    filled.settle()
    for number in range(3):
        filled.delete(number)
        filled.settle()
    assert filled.index.kind.startswith("partitioned: ")  # 400: not at once, lest it go to and fro
    filled.delete(3)
    filled.settle()
    assert filled.index.kind == "exact"
    filled.check()


def test_a_partition_made_for_few_frames_is_made_anew_for_many(filled):
    for number in range(7):
        filled.put(number)
    filled.settle()
    cells = filled.index._index.nlist
    for number in range(7, 31):
        filled.put(number)
    filled.settle()
    assert filled.index._index.nlist > cells
    filled.check()


def test_a_partitioned_index_is_saved_and_read_with_what_it_had_learnt(filled, tmp_path, caplog):
    for number in range(7):
        filled.put(number)
    filled.settle()
    filled.index.save()
    caplog.set_level("INFO")
    again = VectorIndex(tmp_path / "index", filled.store, EXACT)
    assert "rebuilt" not in caplog.text
    assert again.kind == filled.index.kind
    before, filled.index = filled.index, again
    filled.check()
    filled.delete(4)
    filled.put(9)
    filled.check()
    before._is_closing.set()


def test_closing_calls_off_the_making(tmp_path, held):
    begun, go_on = held
    filled = Filled(tmp_path)
    for number in range(7):
        filled.put(number)
    assert begun.wait(WAIT_SECONDS)
    with ThreadPoolExecutor() as threads:
        closing = threads.submit(filled.index.close)
        assert filled.index._is_closing.wait(WAIT_SECONDS)
        go_on.set()
        closing.result(WAIT_SECONDS)
    assert filled.index.kind == "exact"
    filled.store.close()
    with Store(tmp_path) as store:  # and the next start begins it again
        index = VectorIndex(tmp_path / "index", store, EXACT)
        index._builder.join(WAIT_SECONDS)
        assert index.kind.startswith("partitioned: ")


def test_an_index_that_finds_too_little_is_mended_by_measuring_it(filled):
    for number in range(7):
        filled.put(number)
    filled.settle()
    filled.index._index.nprobe = 1
    found = filled.index.recall()
    assert found.before < 0.9 and found.share >= LEAST_RECALL
    assert filled.index.recall().before == found.share


def test_a_store_that_fails_in_the_meantime_leaves_the_index_as_it_is(filled, monkeypatch, caplog):
    spans = filled.store.spans

    def fail(span_ids=None):
        if span_ids is None:
            raise OSError("no disk")
        return spans(span_ids)

    monkeypatch.setattr(filled.store, "spans", fail)
    for number in range(7):
        filled.put(number)
    filled.settle()
    assert "no disk" in caplog.text
    for number in range(7, 9):
        filled.put(number)
    assert filled.index.kind == "exact" and not filled.index.is_being_replaced
    assert caplog.text.count("could not be replaced") == 1
    filled.check()


def test_videos_that_go_while_recall_is_measured_do_not_count(filled, monkeypatch):
    for number in range(8):
        filled.put(number)
    filled.settle()
    filled.index._index.nprobe = 1
    compare = recall.find_truth

    def comparing(*args):
        truth = compare(*args)
        filled.delete(2)
        return truth

    monkeypatch.setattr(recall, "find_truth", comparing)
    found = filled.index.recall()
    assert found.before < found.share
    filled.check()


def test_frames_that_stand_still_are_as_good_as_one_another(filled):
    few = frames(7, seed=3, dimensions=DIMENSIONS)
    still = Frames(np.arange(700.0), np.repeat(few.vectors, 100, axis=0))
    filled.store.register(video("f" * 64, duration_seconds=700.0), MODEL)
    filled.store.put_span("f" * 64, (0.0, 700.0), still, MODEL)
    filled.index.follow(filled.store.revision)
    filled.settle()
    assert filled.index.kind.startswith("partitioned: ")
    assert filled.index.recall().share >= LEAST_RECALL


def test_an_empty_index_has_nothing_to_find(tmp_path):
    with Store(tmp_path) as store:
        index = VectorIndex(tmp_path / "index", store)
        assert list(index.nearest_videos(unit(0))) == [] and index.kind == "empty"
        assert (index.recall().share, index.recall().queries) == (1.0, 0)


def test_the_cells_to_look_at_are_as_few_as_find_enough():
    vectors = np.stack([unit(seed) for seed in range(3000)])
    made = kinds.make_partitioned_index(vectors, 3000, lambda: False)
    ids = np.arange(3000, dtype=np.int64) * MAX_SPAN_FRAMES + 5
    kinds.add(made, vectors.astype(np.float16), ids)
    queries = recall.make_queries(vectors[:200], vectors.mean(axis=0), np.random.default_rng(0))
    truth = recall.find_truth(queries, [(vectors.astype(np.float16), ids)])
    products = queries @ vectors.astype(np.float16).astype(np.float32).T
    for right, least, each in zip(truth.ids, truth.least, products, strict=True):
        assert set(right) == set(ids[np.argsort(-each)[:10]]) and least == pytest.approx(np.sort(each)[-10], abs=1e-5)
    recall.tune(made, queries, truth)
    enough, cells = recall.measure_recall(made, queries, truth), made.nprobe
    made.nprobe = cells - 1
    assert 1 < cells < made.nlist and recall.measure_recall(made, queries, truth) < 0.995 <= enough


def test_k_means_gets_48_frames_for_each_of_two_root_n_cells():
    assert kinds.sample_size(10**6) == 96_000
    assert kinds.sample_size(100) == 100  # there are no more


def test_generated_queries_have_unit_length_and_lie_a_quarter_of_the_way_to_their_picture():
    shown = np.random.default_rng(1).normal(size=(500, 512)).astype(np.float32)
    mean = np.full(512, 0.5, np.float32)
    queries = recall.make_queries(shown + mean, mean, np.random.default_rng(2))
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1.0, atol=1e-6)
    cosines = (queries * shown).sum(axis=1) / np.linalg.norm(shown, axis=1)
    assert cosines.mean() == pytest.approx(0.25, abs=0.01)


def test_faiss_still_mixes_up_ids_in_a_wrapped_partitioned_index():
    """Why a partitioned index is not wrapped in an IndexIDMap2."""
    vectors = np.stack([unit(seed) for seed in range(400)])
    bare = kinds.make_partitioned_index(vectors, 400, lambda: False)
    bare.set_direct_map_type(faiss.DirectMap.NoMap)
    wrapped = faiss.IndexIDMap2(bare)
    ids = np.arange(400, dtype=np.int64) + 10_000
    wrapped.add_with_ids(vectors, ids)
    wrapped.remove_ids(faiss.IDSelectorBatch(ids[:200]))
    bare.nprobe = bare.nlist
    found = wrapped.search(vectors[200:], 1)[1][:, 0]
    assert (found != ids[200:]).any()


# The lock


def test_readers_go_in_together():
    lock, together = SharedLock(), threading.Barrier(3)

    def read() -> None:
        with lock.reading():
            together.wait(WAIT_SECONDS)  # breaks unless three are inside at a time

    with ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(read) for _ in range(3)]:
            each.result(WAIT_SECONDS)


@pytest.mark.parametrize(("held", "asked"), [("writing", "reading"), ("writing", "writing"), ("reading", "writing")])
def test_a_writer_is_alone(held, asked):
    lock, entered = SharedLock(), threading.Event()

    def enter() -> None:
        with getattr(lock, asked)():
            entered.set()

    with ThreadPoolExecutor(1) as threads:
        with getattr(lock, held)():
            entering = threads.submit(enter)
            assert not entered.wait(0.2)
        entering.result(WAIT_SECONDS)
    assert entered.is_set()


def test_a_lock_is_free_again_whatever_is_raised_under_it():
    lock = SharedLock()
    for hold in (lock.reading, lock.writing):
        with pytest.raises(ValueError), hold():
            raise ValueError
    with lock.writing():
        pass


def test_a_sample_of_the_frames_follows_a_library_that_grows(tmp_path):
    library = Filled(tmp_path)
    assert not len(library.index.sample().cosines(unit(1)))
    for number in range(12):
        library.put(number)
    first = library.index.sample()
    assert first.frame_count == 1200 and first.cosines(unit(1)).shape == (1200,)
    library.put(12)
    assert library.index.sample() is first  # less than a tenth more
    library.put(13)
    assert library.index.sample().frame_count == 1400
    for number in range(14):
        library.delete(number)
    assert not len(library.index.sample().cosines(unit(1)))
    library.settle()
    library.index.close()
