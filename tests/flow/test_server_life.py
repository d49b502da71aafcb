"""The life of a server: start, stop, death, killing, starting again, other models; and flow.yml without the command."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from clipseek import errors
from clipseek.ports import executor_ports, free_port
from clipseek.schema import VideoSpan
from tests import films
from tests.flow.conftest import ROOT, run


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    """Four minutes, eight spans, whose slates change every frame."""
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    return films.make(path, frames=2400, fps=10, size=(320, 240), gop=50).path


def test_stopping_is_clean_and_what_was_stored_is_there_again(launch, tmp_path, long_film):
    server = launch(tmp_path)
    with server.client() as client:
        client.index(long_film)
        client.add_samples()
        before = [(m.title, m.start_seconds, m.end_seconds, m.score) for m in client.search("a cat", top_k=9).matches]
    assert server.stop(signal.SIGTERM) == 0
    assert server.lines[-1] == "Stopped."
    assert list((tmp_path / "index").glob("frames-*.faiss"))

    server = launch(tmp_path, CLIPSEEK_MODEL="auto")
    assert "the store" in server.output
    with server.client() as client:
        after = [(m.title, m.start_seconds, m.end_seconds, m.score) for m in client.search("a cat", top_k=9).matches]
        assert after == before
        assert client.index(long_film).frames_added == 0
    assert server.stop(signal.SIGINT) == 0


def test_a_library_beyond_the_exact_size_is_searched_by_parts_also_after_a_kill(launch, tmp_path, long_film):
    server = launch(tmp_path, CLIPSEEK_EXACT_FRAMES="100")
    with server.client() as client:
        client.index(long_film)
        client.add_samples()
        until_partitioned(client)
        assert client.search("a cat").matches[0].title == "photographs.mp4"
        found = run(server, "doctor", "--recall")
        assert "partitioned: " in found.stdout
        facts = client.recall().facts
        assert float(facts["recall"]) >= 0.99 and facts["recall_queries"] == "256"
    server.stop(signal.SIGKILL)
    server = launch(tmp_path, CLIPSEEK_EXACT_FRAMES="100")
    with server.client() as client:
        until_partitioned(client)
        assert client.search("a cat").matches[0].title == "photographs.mp4"
    server.stop()
    server = launch(tmp_path)  # all are compared again
    assert "exact" in run(server, "doctor", "--recall").stdout
    assert "1.0000 of the 10 nearest frames" in run(server, "doctor", "--recall").stdout


def until_partitioned(client) -> None:
    for _ in range(1000):
        if client.recall().facts["index"].startswith("partitioned"):
            return
    raise AssertionError("the index was never exchanged")


def test_a_film_whose_server_was_killed_is_finished_from_what_is_missing(launch, tmp_path, long_film):
    whole = launch(tmp_path / "whole")
    with whole.client() as client:
        expected = client.index(long_film).video
    whole.stop()

    server = launch(tmp_path / "killed")
    killed = []

    def kill_half_way(progress) -> None:
        if progress.stage == "index" and progress.done > progress.total / 3 and not killed:
            killed.append(server.stop(signal.SIGKILL))

    with server.client(retry_seconds=0) as client, pytest.raises(errors.ServerError):
        client.index(long_film, progress=kill_half_way)
    assert killed == [-signal.SIGKILL]

    server = launch(tmp_path / "killed")
    with server.client() as client:
        [half] = client.videos()
        assert half.status == "indexing" and 0 < half.frames < expected.frames
        done = client.index(long_film)
        assert (done.video.status, done.video.frames) == ("ready", expected.frames)
        assert done.frames_added == expected.frames - half.frames


def test_causes_of_a_failed_start_are_told_at_once(launch, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = launch(tmp_path, ready=False, CLIPSEEK_MODEL="ViT-B-32/laion2b_s34b_b79", TMPDIR=str(temporary))
    assert server.process.wait(timeout=120) == 1
    assert not list(temporary.glob("clipseek-*"))
    server.wait_for("laion2b_s34b_b79k")
    assert "Traceback" not in server.output

    (tmp_path / "file").touch()
    server = launch(tmp_path / "file", ready=False)
    assert server.process.wait(timeout=120) == 1
    server.wait_for("CLIPSEEK_HOME")


def test_executors_listen_where_no_outgoing_connection_was_given_their_port_meanwhile(server):
    listening = {
        connection.laddr.port
        for process in server.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening - {server.port}) == 4
    assert listening - {server.port} <= set(executor_ports())


def test_a_taken_port_is_told(launch, tmp_path, server):
    second = launch(tmp_path, ready=False, CLIPSEEK_PORT=str(server.port))
    assert second.process.wait(timeout=60) == 1
    second.wait_for(f"Port {server.port} on 127.0.0.1 is taken")


def test_a_second_server_on_the_same_store_is_refused(launch, server):
    second = launch(server.home, ready=False)
    assert second.process.wait(timeout=120) == 1
    second.wait_for("in use by another server")
    with server.client() as client:
        assert client.health()


def test_another_model_is_refused_with_the_way_out(launch, tmp_path, tiny_model):
    server = launch(tmp_path)
    with server.client() as client:
        client.index(films.make(tmp_path / "film.mp4").path)
    server.stop()
    other = launch(tmp_path, ready=False, CLIPSEEK_MODEL=str(tiny_model))
    assert other.process.wait(timeout=120) == 1
    other.wait_for("Set CLIPSEEK_MODEL=starter")


def test_a_local_model_folder_serves(launch, tmp_path, tiny_model):
    server = launch(tmp_path / "store", CLIPSEEK_MODEL=f"local-dir:{tiny_model}")
    with server.client() as client:
        client.index(films.make(tmp_path / "film.mp4", frames=100).path)
        assert client.search("anything at all", all_matches=True).matches[0].title == "film.mp4"


def test_frames_of_another_model_are_refused_by_the_store(server):
    with server.client() as client:
        span = VideoSpan(
            video_id="0" * 64, end_seconds=1.0, embeddings=np.full(4, 0.5, np.float16).tobytes(), pts_seconds=[0.0]
        )
        with pytest.raises(errors.VideoNotFound):
            client._one("/index", span, "indexer")


def test_flow_yml_runs_without_the_command(tmp_path, cache):
    """`Flow.load_config("flow.yml")` in a bare interpreter, at the end of which nothing is left."""
    script = """
from docarray import DocList
from jina import Flow
from clipseek.schema import Health, Upload

if __name__ == "__main__":
    with Flow.load_config("flow.yml") as flow:
        [health] = flow.post("/health", DocList[Health]([Health()]), return_type=DocList[Health])
        print("components:", *(component.name for component in health.components))
        print("listens:", flow.host, flow.port)
        try:
            flow.post("/upload", DocList[Upload]([Upload(data=bytes(2_000_000))]), target_executor="video_loader")
        except Exception as error:
            print("too large:", "larger than max" in str(error))
"""
    port = free_port("127.0.0.1")
    environ = {
        "CLIPSEEK_HOME": str(tmp_path),
        "CLIPSEEK_CACHE": str(cache),
        "CLIPSEEK_MODEL": "starter",
        "CLIPSEEK_PORT": str(port),
        "CLIPSEEK_MAX_REQUEST_MB": "1",
    }
    (tmp_path / "bare.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bare.py")],
        check=False,
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "components: video_loader image_encoder text_encoder indexer" in done.stdout
    assert f"listens: 127.0.0.1 {port}" in done.stdout
    assert "too large: True" in done.stdout
