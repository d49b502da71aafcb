"""Nobody works for a client that has given up: what it asked for is not begun any more, what is begun is finished."""

import sqlite3
from contextlib import closing

import jina
import psutil
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import ServerTimeout
from clipseek.schema import DocList, Query, Video


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, tiny_model):
    return launch(tmp_path_factory.mktemp("store"), CLIPSEEK_MODEL=str(tiny_model))


def test_what_a_client_gave_up_is_not_begun(server, tmp_path):
    with server.client() as client, server.client(timeout_seconds=2) as hasty:
        one, two, three = (
            client.index(videos.make(tmp_path / f"{name}.mp4", frames=count).path).video.video_id
            for name, count in (("one", 40), ("two", 50), ("three", 60))
        )
        stream = jina.Client(host="127.0.0.1", port=server.port)  # sends all as streams of requests
        with closing(sqlite3.connect(server.home / "index.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")  # what the indexer writes waits for this
            with pytest.raises(ServerTimeout, match="did not answer /probe within 2 s"):
                hasty.rename(one, "renamed.mp4")  # begun
            with pytest.raises(ServerTimeout, match="did not answer /delete within 2 s"):
                hasty.delete(two)  # waits for the other
            with pytest.raises(ConnectionError, match="DEADLINE_EXCEEDED"):
                stream.post("/delete", DocList[Video]([Video(video_id=three)]), timeout=2)  # as well
            assert [video.title for video in client.videos()] == ["one.mp4", "two.mp4", "three.mp4"]
            db.execute("ROLLBACK")
        client.index(videos.make(tmp_path / "four.mp4", frames=30).path)  # comes after these in the indexer's queue
        assert [video.title for video in client.videos()] == ["renamed.mp4", "two.mp4", "three.mp4", "four.mp4"]
        client.delete(two)
        assert [video.title for video in client.videos()] == ["renamed.mp4", "three.mp4", "four.mp4"]
        assert all(component.ok for component in client.health())
    assert "Traceback" not in server.output


def test_a_client_keeps_its_connection_until_it_is_closed(server):
    def connections():
        told = psutil.Process().net_connections("tcp")
        return {each.laddr.port for each in told if each.status == "ESTABLISHED" and each.raddr.port == server.port}

    others = connections()
    with server.client() as client:
        client.videos()
        kept = connections() - others
        assert len(kept) == 1
        for _ in range(3):
            client.search("a dog")
        assert connections() - others == kept
    assert not connections() - others
    assert len(client.videos()) == 3  # it is made anew for whoever goes on
    client.close()


def test_a_search_does_not_wait_for_who_has_nothing_to_do_with_it(server):
    loader, _, image_encoder = server.processes()[:3]
    loader.suspend()
    try:
        stream = jina.Client(host="127.0.0.1", port=server.port)
        [answer] = stream.post("/search", DocList[Query]([Query(text="a dog")]), return_type=DocList[Query], timeout=60)
        assert answer.answered
        image_encoder.suspend()
        with server.client(timeout_seconds=60) as client:
            assert client.search("a dog").matches == answer.matches
    finally:
        loader.resume()
        image_encoder.resume()
