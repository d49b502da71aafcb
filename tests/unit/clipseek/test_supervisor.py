"""When a process that died is started again, when it is left, and when it counts as back."""

import multiprocessing
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from clipseek.config.addresses import local_address
from clipseek.config.settings import DOWN_SUFFIX
from clipseek.service.supervise import Restarts, Supervisor


def test_the_pause_doubles_up_to_half_a_minute():
    restarts = Restarts(most=99)
    pauses = [restarts.pause_after_death(now) for now in range(9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_brings_the_first_pause_back():
    restarts = Restarts(most=99)
    assert [restarts.pause_after_death(now) for now in (0, 30, 60, 121, 150)] == [0.5, 1, 2, 0.5, 1]


def test_too_many_deaths_in_ten_minutes_end_it():
    restarts = Restarts(most=2)
    assert [restarts.pause_after_death(now) for now in (0, 300, 599)] == [0.5, 0.5, None]
    spread = Restarts(most=2)
    assert [spread.pause_after_death(now) for now in (0, 300, 601, 902)] == [0.5] * 4
    assert Restarts(most=0).pause_after_death(0) is None


@pytest.fixture
def process() -> Iterator[multiprocessing.process.BaseProcess]:
    """One that runs until it is ended."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=theirs.recv, daemon=True)
    process.start()
    yield process
    process.kill()
    process.join()
    ours.close()


def supervisor_of_restarted(process, host, port, notes, said) -> Supervisor:
    """Of a Flow with this one process, which has been started again and has had all the time that it may take."""
    pod = SimpleNamespace(worker=process, args=SimpleNamespace(host=host, port=[port], replica_id=0))
    deployment = SimpleNamespace(head_pod=None, shards={0: SimpleNamespace(_pods=[pod])})
    made = Supervisor([("gateway", deployment)], notes, most_restarts=1, ready_seconds=0.0, say=said.append)
    [watched] = made._watched
    watched.down_since = watched.started_at = time.monotonic() - 1
    (notes / f"gateway{DOWN_SUFFIX}").touch()
    return made


@pytest.mark.parametrize(
    ("host", "listens_on"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1"), (["127.0.0.2"], "127.0.0.2")],
)
def test_a_process_is_back_once_it_listens_on_its_own_address(process, tmp_path, host, listens_on):
    said = []
    with socket.create_server((listens_on, 0)) as listener:
        supervisor = supervisor_of_restarted(process, host, listener.getsockname()[1], tmp_path, said)
        supervisor.check_processes()
    assert process.is_alive()
    [state] = supervisor.states()
    assert state.is_up and said[0].startswith("gateway is back after 1.")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_does_not_listen_in_time_is_ended(process, tmp_path):
    said = []
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        supervisor = supervisor_of_restarted(process, "127.0.0.2", elsewhere.getsockname()[1], tmp_path, said)
        supervisor.check_processes()
    process.join()
    assert process.exitcode == -9
    assert not supervisor.states()[0].is_up and said == []


def test_an_address_that_stands_for_all_is_reached_at_this_machines_own():
    addresses = ("0.0.0.0", "::", "192.0.2.1", "localhost")
    assert [local_address(bind) for bind in addresses] == ["127.0.0.1", "::1", "192.0.2.1", "localhost"]
