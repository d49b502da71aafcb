"""The real service with a store in PostgreSQL and several of each: videos go in and are found, whoever dies."""

from collections.abc import Iterator
from dataclasses import replace

import grpc
import psutil
import pytest
from jina.proto import jina_pb2_grpc
from jina.types.request.data import DataRequest

from benchmarks.synthetic import videos
from clipseek.api.errors import VideoNotFound
from clipseek.schema import DocList, Video
from tests.flow.conftest import index_meanwhile
from tests.postgres import cut_connections, new_database


@pytest.fixture(scope="module")
def settings(postgres_server, tiny_model) -> Iterator[dict[str, str]]:
    with new_database(postgres_server) as url:
        yield {
            "CLIPSEEK_STORE": url,
            "CLIPSEEK_INDEXER_REPLICAS": "2",
            "CLIPSEEK_LOADER_REPLICAS": "2",
            "CLIPSEEK_ENCODER_REPLICAS": "2",
            "CLIPSEEK_MODEL": str(tiny_model),
        }


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, settings):
    return launch(tmp_path_factory.mktemp("store"), **settings)


@pytest.fixture(scope="module")
def titles(server, tmp_path_factory) -> list[str]:
    """Videos in the library, in the order they were added."""
    folder = tmp_path_factory.mktemp("videos")
    names = [f"video {number}.mp4" for number in range(6)]
    with server.client() as client:
        for number, name in enumerate(names):
            client.index(videos.make(folder / name, frames=40 + number, fps=10).path)
    return names


def test_videos_are_listed_found_and_deleted(server, titles):
    with server.client() as client:
        assert [video.title for video in client.videos()] == titles
        answer = client.search("a dog", all_matches=True, top_k=50)
        assert {match.title for match in answer.matches} == set(titles) and answer.videos_searched == 6
        assert client.search(like=("video 3.mp4", 1.0), all_matches=True).matches
        assert len(client.timeline("video 2.mp4", "a dog").curve_scores) > 4
        assert client.calibrate().phrase_count > 50
        client.calibrate(reset=True)
        facts = {component.name: component.facts for component in client.health()}
        assert facts["indexer"]["videos"] == "6" and facts["indexer"]["store"].endswith("library 'main'")
        client.delete("video 1.mp4")
        for _ in range(4):  # each replica has its turns
            assert [video.title for video in client.videos()] == [*titles[:1], *titles[2:]]
            answer = client.search("a dog", all_matches=True, top_k=50)
            assert {match.title for match in answer.matches} == {*titles} - {"video 1.mp4"}
        with pytest.raises(VideoNotFound):
            client._one("/videos", replace(client.videos()[0], video_id="f" * 64), "indexer")


NAMES = [
    "video_loader-replica-0",
    "video_loader-replica-1",
    "word_reader",
    "image_encoder-replica-0",
    "image_encoder-replica-1",
    "text_encoder",
    "indexer-replica-0",
    "indexer-replica-1",
    "gateway",
]


def test_no_port_but_the_gateways_answers_anyone(server, titles):
    found = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for child in server.children().values()
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port != server.port
    }
    assert len(found) == len(NAMES) - 1 and {ip for ip, _ in found} == {"127.0.0.1"}
    request = DataRequest()
    request.header.exec_endpoint = "/videos"
    request.document_array_cls = DocList[Video]
    request.data.docs = DocList[Video]([Video()])
    for ip, port in found:
        with grpc.insecure_channel(f"{ip}:{port}") as channel:
            answer = jina_pb2_grpc.JinaSingleDataRequestRPCStub(channel).process_single_data(request)
            assert answer.header.status.exception.name == "AccessDenied"
            answer.document_array_cls = DocList[Video]
            assert not answer.docs
            with pytest.raises(grpc.RpcError) as error:
                jina_pb2_grpc.JinaDataRequestRPCStub(channel).process_data([request])
            assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_what_was_indexed_is_found_at_once_by_every_replica(server, titles, tmp_path):
    with server.client() as client:
        for number in range(4):
            name = f"new {number}.mp4"
            client.index(videos.make(tmp_path / name, frames=30 + number, fps=10).path)
            for _ in range(4):
                assert client.search("a dog", videos=[name], all_matches=True).matches
            client.delete(name)


def test_indexing_goes_on_when_replicas_die(server, titles, tmp_path):
    processes = dict(zip(NAMES, server.processes(), strict=True))
    processes["image_encoder-replica-0"].kill()
    server.wait_for("image_encoder-replica-0 died")
    with server.client() as client:
        [component] = [component for component in client.health() if not component.ok]
    assert component.name == "image_encoder"
    assert component.warnings[0].startswith("image_encoder-replica-0: down since ")

    def kill_one_after_another() -> None:
        for name in ("image_encoder-replica-1", "video_loader-replica-0", "indexer-replica-1", "indexer-replica-0"):
            processes[name].kill()
            server.wait_for(f"{name} died: exit code -9.")
            server.wait_for(f"{name} is back after")

    with server.client(timeout_seconds=240, retry_seconds=120) as client:
        index_meanwhile(client, tmp_path, kill_one_after_another)
        assert client.search("a dog", videos=["long 0.mp4"], all_matches=True).matches
        assert [component.ok for component in client.health()] == [True] * 5


def test_the_database_may_go_away_for_a_moment(server, titles, settings):
    assert cut_connections(settings["CLIPSEEK_STORE"])
    with server.client() as client:
        for _ in range(4):
            assert client.search("a dog", all_matches=True).matches


def test_it_stops_cleanly_and_begins_again_with_all_it_had(server, launch, titles, settings):
    with server.client() as client:
        before = [(video.title, video.frames) for video in client.videos()]
    assert len(before) > 1
    family = server.processes()
    assert server.stop() == 0 and server.lines[-1] == "Stopped."
    assert not any(psutil.pid_exists(process.pid) for process in family)
    refused = launch(server.home, ready=False, **settings | {"CLIPSEEK_STORE": ""})
    assert refused.process.wait(timeout=240) == 1
    refused.wait_for("CLIPSEEK_INDEXER_REPLICAS is 2")
    again = launch(server.home, **settings)
    with again.client() as client:
        assert [(video.title, video.frames) for video in client.videos()] == before
    assert again.stop() == 0
