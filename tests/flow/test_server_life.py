"""The life of a server: start, stop, killing and starting again with what was stored."""

import os
import signal
import time

import pytest

from benchmarks.synthetic import videos
from clipseek.api import errors
from clipseek.machine.ports import free_port
from executors.faiss_indexer.store.store import Store
from tests.flow.conftest import run


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """Four minutes, eight spans, whose slates change every frame."""
    path = tmp_path_factory.mktemp("videos") / "long.mp4"
    return videos.make(path, frames=2400, fps=10, size=(320, 240), gop=50).path


def test_stopping_is_clean_and_what_was_stored_is_there_again(launch, tmp_path, long_video):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = launch(tmp_path, TMPDIR=str(temporary))
    with server.client() as client:
        client.index(long_video)
        client.add_samples()
        before = [
            (m.title, m.start_seconds, m.end_seconds, m.score) for m in client.search("a red flower", top_k=9).matches
        ]
    assert server.stop(signal.SIGTERM) == 0
    assert server.lines[-1] == "Stopped."
    assert not list(temporary.iterdir())
    assert list((tmp_path / "index").glob("frames-*.faiss"))

    server = launch(tmp_path, CLIPSEEK_MODEL="auto")
    assert "the store" in server.output
    with server.client() as client:
        after = [
            (m.title, m.start_seconds, m.end_seconds, m.score) for m in client.search("a red flower", top_k=9).matches
        ]
        assert after == before
        assert client.index(long_video).frames_added == 0
    assert server.stop(signal.SIGINT) == 0


def test_a_library_beyond_the_exact_size_is_searched_by_parts_also_after_a_kill(launch, tmp_path, long_video):
    server = launch(tmp_path, CLIPSEEK_EXACT_FRAMES="100")
    with server.client() as client:
        client.index(long_video)
        client.add_samples()
        until_partitioned(client)
        assert client.search("a glowing crystal").matches[0].title == "toys.mp4"
        found = run(server, "doctor", "--recall")
        assert "partitioned: " in found.stdout
        facts = client.recall().facts
        assert float(facts["recall"]) >= 0.99 and facts["recall_queries"] == "256"
    server.stop(signal.SIGKILL)
    server = launch(tmp_path, CLIPSEEK_EXACT_FRAMES="100")
    with server.client() as client:
        until_partitioned(client)
        assert client.search("a glowing crystal").matches[0].title == "toys.mp4"
    server.stop()
    server = launch(tmp_path)  # all are compared again
    assert "exact" in run(server, "doctor", "--recall").stdout
    assert "1.0000 of the 10 nearest frames" in run(server, "doctor", "--recall").stdout


def until_partitioned(client) -> None:
    for _ in range(1000):
        if client.recall().facts["index"].startswith("partitioned"):
            return
    raise AssertionError("the index was never exchanged")


def stored_spans(home) -> dict[int, int]:
    """The spans in a store that no server uses, and how many frames each has."""
    with Store(home) as store:
        _, spans = store.span_facts()
        return {span_id: frames for span_id, (_, frames) in spans.items()}


def test_a_video_whose_server_was_killed_is_finished_from_what_is_missing(launch, tmp_path, tiny_model):
    video = videos.make(tmp_path / "longer.mp4", frames=2400, fps=3, size=(160, 120), gop=50).path  # 27 spans
    server = launch(tmp_path, CLIPSEEK_MODEL=str(tiny_model))
    killed = []

    def kill_half_way(progress) -> None:
        if progress.stage == "index" and progress.done and not killed:
            killed.append(server.stop(signal.SIGKILL))

    with server.client(retry_seconds=0) as client, pytest.raises(errors.ServerError):
        client.index(video, progress=kill_half_way)
    assert killed == [-signal.SIGKILL]
    half = stored_spans(tmp_path)

    server = launch(tmp_path, CLIPSEEK_MODEL=str(tiny_model))
    with server.client() as client:
        done = client.index(video)  # the service may have finished it by itself
        assert done.video.status == "ready"
    assert server.stop() == 0
    whole = stored_spans(tmp_path)
    assert half.items() < whole.items() and len(whole) == 27  # what was stored was not done again
    assert sum(whole.values()) == done.video.frames


def test_what_server_and_page_keep_is_for_their_owner_only(launch, tmp_path, long_video, tiny_model):
    folders, page_port = (tmp_path / "home", tmp_path / "cache"), free_port("127.0.0.1")
    environ = {"CLIPSEEK_CACHE": str(folders[1]), "CLIPSEEK_MODEL": str(tiny_model)}
    before = os.umask(0o022)
    try:
        Store(folders[0]).close()  # as version 0.1 left it
        assert (folders[0] / "index.db").stat().st_mode & 0o077
        server = launch(folders[0], "--page", **environ, CLIPSEEK_PAGE_PORT=str(page_port))
        with server.client() as client:
            video = client.index(long_video).video
            client.clip(video.video_id, 0.0, 1.0, tmp_path / "clip.mp4")
            client.add_samples()
        run(server, "token", "add", "alice", CLIPSEEK_HOME=str(folders[0]))
        paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
        assert [path for path in paths if path.stat().st_mode & 0o077] == [] and len(paths) > 20
        assert (tmp_path / "clip.mp4").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_stop_takes_five_seconds_whatever_hangs(launch, tmp_path, tiny_model, long_video):
    server = launch(tmp_path, "--page", CLIPSEEK_MODEL=str(tiny_model))
    *_, indexer, gateway = server.processes()
    with server.client() as client:
        client.index(long_video)  # starts a decoder
    decoder = server.processes()[0].children()[0]
    beside = [child for child in server.children().values() if {"jobs", "frontend"} & set(child.cmdline())]
    assert len(beside) == 2  # the runner of jobs, and the page
    for process in (decoder, indexer, gateway, *beside):
        process.suspend()
    started = time.monotonic()
    assert server.stop() == 0  # and nothing is left behind
    assert time.monotonic() - started < 5 + 2  # a busy machine may need a little more than the five that are promised
    [killed] = [line for line in server.lines if "Killed, because they did not stop in 3.5 s: " in line]
    assert all(name in killed for name in ("indexer", "gateway", "job runner", "page"))
    assert server.lines[-1] == "Stopped."
