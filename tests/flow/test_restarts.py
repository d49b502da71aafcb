"""Processes of the service are killed: they are started again, requests are answered all the same, health tells."""

import contextlib
import logging
import re
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from clipseek.api.errors import RequestLost, ServerError, ServerNotReady
from clipseek.client import EXECUTORS
from tests.flow.conftest import index_meanwhile, run

NAMES = [*EXECUTORS, "gateway"]


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, tiny_model):
    return launch(tmp_path_factory.mktemp("store"), CLIPSEEK_MODEL=str(tiny_model), CLIPSEEK_MOST_RESTARTS="9")


@pytest.fixture(scope="module")
def processes(server):
    """Each process by its name, as first started."""
    return dict(zip(NAMES, server.processes(), strict=True))


def test_indexing_goes_on_when_any_process_dies_without_the_users_doing(server, processes, tmp_path, caplog):
    def kill_one_after_another() -> None:
        for name in ("indexer", "video_loader", "image_encoder", "gateway"):
            processes[name].kill()
            server.wait_for(f"{name} died: exit code -9. It restarts in 0.5 s.")
            server.wait_for(f"{name} is back after")

    caplog.set_level(logging.WARNING, "clipseek.client.transport")
    with server.client(timeout_seconds=240, retry_seconds=120) as client:
        client.videos()  # what was never connected is not tried again
        index_meanwhile(client, tmp_path, kill_one_after_another)
    assert any("Trying again for up to 120 s (/" in message for message in caplog.messages)
    assert any("The server answers again after" in message for message in caplog.messages)
    caplog.clear()


def test_health_names_what_is_down_and_is_ready_again_after_it(server, processes, caplog):
    def search_until_refused() -> None:
        with pytest.raises(ServerNotReady, match=r"text_encoder .* is down"):
            while True:  # the first one may find the connection still open
                with contextlib.suppress(RequestLost):
                    client.search("a dog")

    processes["text_encoder"].kill()
    with server.client(retry_seconds=0) as client, ThreadPoolExecutor(1) as pool:
        searching = pool.submit(search_until_refused)  # meanwhile: it is back in a few seconds
        server.wait_for("text_encoder died")
        [text_encoder] = [component for component in client.health() if not component.ok]
        assert text_encoder.name == "text_encoder" and text_encoder.warnings[0].startswith("down since ")
        assert "exit code -9" in text_encoder.warnings[0]
        searching.result()
        with server.client() as patient:
            patient.search("a dog")
        assert [component.ok for component in client.health()] == [True] * len(EXECUTORS)


def test_an_executor_that_hangs_is_not_ready(server):
    victim = next(process for process in server.processes() if process.memory_info().rss > 400e6)  # it has a model
    victim.suspend()  # on a busy machine long enough for the supervisor to kill it
    try:
        with server.client() as client:
            [hangs] = [component for component in client.health() if not component.ok]
        assert f"is degraded: {hangs.name}" in run(server, "doctor", code=1).stdout
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.resume()
        server.wait_until_healthy()
    assert hangs.name in ("image_encoder", "text_encoder")
    assert re.match(rf"The {hangs.name} of the server (is down|crashed or froze)", hangs.warnings[0])


def test_a_gateway_that_hangs_is_killed_and_started_again(server):
    with server.client() as client:
        client.search("a dog")
    returns = server.output.count("gateway is back after")
    gateway = next(process for process in server.processes() if listens_on(process, server.port))
    gateway.suspend()
    with server.client(timeout_seconds=3, retry_seconds=0) as client, pytest.raises(ServerError):
        client.videos()
    server.wait_for("gateway has not answered for 20 s and is killed. It restarts in 0.5 s.")
    server.wait_for("gateway is back after", times=returns + 1)
    server.wait_until_healthy()


def listens_on(process: psutil.Process, port: int) -> bool:
    return any(connection.laddr.port == port for connection in process.net_connections("tcp"))


def test_the_whole_service_stops_cleanly_after_restarts(server):
    family = server.processes()
    assert len(family) == len(NAMES)
    assert server.stop() == 0
    assert server.lines[-1] == "Stopped."
    assert not any(psutil.pid_exists(process.pid) for process in family)


def test_what_dies_too_often_ends_the_service_with_the_cause(launch, tmp_path, tiny_model):
    server = launch(tmp_path, CLIPSEEK_MODEL=str(tiny_model), CLIPSEEK_MOST_RESTARTS="0")
    family = server.processes()
    family[0].kill()
    assert server.process.wait(timeout=60) == 1
    server.wait_for("video_loader died 1 times in 10 minutes, so the server stops. The last time: exit code -9.")
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
