"""Several indexers with one store in PostgreSQL answer as one with SQLite: the same requests, document by document."""

from collections.abc import Iterator

import pytest

from clipseek.api.errors import InvalidSetting, StoreError
from clipseek.config.settings import Settings
from clipseek.schema import Calibration, Health
from executors.faiss_indexer.executor import FaissIndexer
from tests.indexer_service import CALLER, PRESS, QUERIES, Service, fill, plain, query, registered, span_of, text
from tests.postgres import new_database

VIDEOS = 40


@pytest.fixture(scope="module")
def services(tmp_path_factory, postgres_server) -> Iterator[list[Service]]:
    with new_database(postgres_server) as url:
        made = [
            Service(tmp_path_factory.mktemp("one")),
            Service(tmp_path_factory.mktemp("many"), replicas=2, store=url),
        ]
        for service in made:
            fill(service, VIDEOS)
            service.ask("/probe", registered(5), PRESS)
            service.ask("/index", span_of(5), PRESS)
        yield made
        for service in made:
            service.close()


@pytest.mark.parametrize("name", QUERIES)
def test_any_replica_answers_as_a_single_indexer(services, name):
    one, many = services
    right = plain(one.ask("/search", QUERIES[name]()))
    assert right["answered"] and right["videos_searched"]
    for _ in many.executors:
        assert plain(many.ask("/search", QUERIES[name]())) == right


def test_any_replica_lists_the_same_videos_and_libraries(services):
    one, many = services
    right = [(video.title, video.status, video.frames) for video in one.videos()]
    for executor in many.executors:
        assert [(video.title, video.status, video.frames) for video in many.videos()] == right
        assert executor.stored_libraries() == ["main", "press"]
        assert [video.title for video in many.videos(caller=PRESS)] == ["video 5"]
    assert one.executors[0].stored_libraries() == ["main", "press"]


def test_a_calibration_by_one_replica_holds_for_all(services):
    _, many = services
    phrases = [text(number) for number in range(4)]
    done = many.ask("/calibrate", Calibration(phrases=phrases, answered_share=0.25))
    shifts = {many.ask("/health", Health()).components[0].facts["fitted_shift"] for _ in range(2)}
    assert done.done and shifts == {f"{done.shift:.3f}"} != {"0.000"}
    many.ask("/calibrate", Calibration(reset=True))


def test_health_names_the_store_without_a_password(services):
    for _ in range(2):
        facts = services[1].ask("/health", Health(), CALLER).components[0].facts
        assert facts["store"].endswith("library 'main'") and facts["videos"] == str(VIDEOS)


def test_a_replica_that_is_gone_is_not_missed(tmp_path, postgres):
    service = Service(tmp_path, replicas=2, store=postgres)
    fill(service, 3)
    service.executors.pop().close()
    service.ask("/probe", registered(3))
    service.ask("/index", span_of(3))
    assert len(service.ask("/search", query(text(1), per_video=1)).matches) == 4
    service.close()
    again = Service(tmp_path, replicas=2, store=postgres)
    assert len(again.videos()) == 4 == len(again.videos())
    again.close()


def test_replicas_need_postgresql(tmp_path):
    with pytest.raises(InvalidSetting, match=r"CLIPSEEK_INDEXER_REPLICAS is 2, .*CLIPSEEK_STORE"):
        FaissIndexer(Settings(home=tmp_path, cache=tmp_path, indexer_replicas=2), runtime_args={"name": "indexer"})


def test_a_divided_store_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "libraries" / "press" / "shards-2" / "1").mkdir(parents=True)
    (tmp_path / "libraries" / "press" / "shards-2" / "1" / "index.db").touch()
    with pytest.raises(StoreError, match=f"is divided into 1 files, .*clipseek store copy {tmp_path} {tmp_path}"):
        FaissIndexer(Settings(home=tmp_path, cache=tmp_path), runtime_args={"name": "indexer"})
