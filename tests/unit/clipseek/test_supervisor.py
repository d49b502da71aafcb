"""When a process that died or hangs is started again, when it is left, and when it counts as back."""

import multiprocessing
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

import clipseek.client  # noqa: F401 (it hides the warnings of jina)
from clipseek.api.errors import ServerNotReady
from clipseek.config.addresses import local_address
from clipseek.config.settings import DOWN_SUFFIX
from clipseek.service.supervise import Restarts, Supervisor
from tests.health_server import serve_health, wait_for_ever


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


_SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[multiprocessing.process.BaseProcess, int]]]:
    """Start processes that run until they are ended. Each call returns one, and its port."""
    with ExitStack() as ends:

        def start(work: Callable[..., None] = wait_for_ever, *arguments: object):
            ours, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(target=work, args=(theirs, *arguments), daemon=True)
            process.start()
            ends.callback(process.join)
            ends.callback(process.kill)
            return process, ours.recv()

        yield start


@pytest.fixture
def process(start) -> multiprocessing.process.BaseProcess:
    return start()[0]


class Watched:
    """A supervisor of processes that tests start themselves, by name; what it said, and the starts it asked for."""

    def __init__(self, notes: Path, monkeypatch, **options: object) -> None:
        self.notes, self.said, self.asked, self.next = notes, [], [], []
        self._options = {"most_restarts": 9, "ready_seconds": 60.0, "silent_seconds": 60.0, **options}
        monkeypatch.setattr("jina.orchestrate.pods.factory.PodFactory.build_pod", self._build)

    def _build(self, arguments):
        self.asked.append(arguments.port)
        process = self.next.pop()
        return SimpleNamespace(worker=process, args=arguments, start=lambda: None)

    def of(self, **processes) -> Supervisor:
        flow = []
        for name, (process, port) in processes.items():
            pod = SimpleNamespace(
                worker=process, args=SimpleNamespace(host="127.0.0.1", port=[port], replica_id=0), start=lambda: None
            )
            flow.append((name, SimpleNamespace(shards={0: SimpleNamespace(_pods=[pod])})))
        return Supervisor(flow, self.notes, say=self.said.append, **self._options)


def check_until(supervisor: Supervisor, is_so: Callable[[], object], seconds: float = 60.0) -> None:
    """Let the supervisor check its processes, as `clipseek serve` does, until something is so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, supervisor.states()
        supervisor.check_processes()
        time.sleep(0.05)


def test_only_what_died_is_noted_and_restarts_after_its_pause(start, tmp_path, monkeypatch):
    alive, dies, successor = start(), start(), start()
    watched = Watched(tmp_path, monkeypatch)
    watched.next = [successor[0]]
    supervisor = watched.of(gateway=alive, indexer=dies)
    supervisor.check_processes()
    assert watched.said == [] and list(tmp_path.iterdir()) == []
    dies[0].kill()
    dies[0].join()
    before = time.monotonic()
    supervisor.check_processes()
    assert watched.said == ["indexer died: exit code -9. It restarts in 0.5 s."]
    [note] = tmp_path.iterdir()
    assert note.name == f"indexer{DOWN_SUFFIX}"
    assert re.fullmatch(r"down since \d\d:\d\d:\d\d UTC: exit code -9\.", note.read_text())
    assert [(state.name, state.is_up, state.restarts) for state in supervisor.states()] == [
        ("gateway", True, 0),
        ("indexer", False, 0),
    ]
    check_until(supervisor, lambda: watched.asked)
    assert 0.5 <= time.monotonic() - before < 5
    assert len(watched.said) == 1  # nothing listens yet
    assert [(state.pid, state.restarts) for state in supervisor.states()] == [
        (alive[0].pid, 0),
        (successor[0].pid, 1),
    ]
    assert alive[0].is_alive() and successor[0].is_alive()
    supervisor.close()


def test_a_process_that_the_system_has_no_room_for_is_tried_again(start, tmp_path, monkeypatch):
    dies, successor = start(), start()
    watched = Watched(tmp_path, monkeypatch)
    build, builds = watched._build, []

    def fail() -> None:
        raise OSError(12, "Cannot allocate memory")

    def fail_once(arguments):
        builds.append(arguments)
        return build(arguments) if len(builds) > 1 else SimpleNamespace(worker=None, args=arguments, start=fail)

    monkeypatch.setattr("jina.orchestrate.pods.factory.PodFactory.build_pod", fail_once)
    watched.next = [successor[0]]
    supervisor = watched.of(indexer=dies)
    dies[0].kill()
    dies[0].join()
    check_until(supervisor, lambda: watched.asked)
    assert watched.said[1] == "indexer cannot be started: [Errno 12] Cannot allocate memory. It restarts in 1 s."
    assert [(state.pid, state.restarts) for state in supervisor.states()] == [(successor[0].pid, 1)]
    supervisor.close()


def test_a_process_that_says_why_it_ends_is_quoted(start, tmp_path, monkeypatch):
    dies = start()
    (tmp_path / f"{dies[0].pid}.txt").write_text("StoreError\nThe disk is full.", encoding="utf-8")
    watched = Watched(tmp_path, monkeypatch, most_restarts=1)
    watched.next = [start()[0]]
    supervisor = watched.of(indexer=dies)
    dies[0].kill()
    dies[0].join()
    successor = watched.next[0]
    check_until(supervisor, lambda: watched.asked)
    assert watched.said == ["indexer died: The disk is full. It restarts in 0.5 s."]
    successor.kill()
    successor.join()
    with pytest.raises(ServerNotReady, match=r"^indexer died 2 times in 10 minutes.* The last time: exit code -9\."):
        supervisor.check_processes()
    supervisor.close()


def test_closing_ends_what_is_down_and_nothing_else(start, tmp_path, monkeypatch):
    alive, restarted, dies = start(), start(), start()
    watched = Watched(tmp_path, monkeypatch)
    watched.next = [restarted[0]]
    supervisor = watched.of(gateway=alive, indexer=dies)
    dies[0].kill()
    dies[0].join()
    check_until(supervisor, lambda: watched.asked)
    supervisor.close()
    restarted[0].join(10)
    assert restarted[0].exitcode == -signal.SIGKILL and alive[0].is_alive()


def test_a_process_that_no_longer_answers_is_killed_and_restarted(start, tmp_path, monkeypatch):
    hangs, answers, successor = start(serve_health), start(serve_health, None, 1), start(serve_health)
    watched = Watched(tmp_path, monkeypatch, silent_seconds=4.0)
    watched.next = [successor[0]]
    supervisor = watched.of(gateway=hangs, indexer=answers)
    os.kill(hangs[0].pid, signal.SIGSTOP)
    started = time.monotonic()
    check_until(supervisor, lambda: not supervisor.states()[0].is_up)
    assert watched.said == []  # at first it only counts as down
    check_until(supervisor, lambda: watched.said)
    assert time.monotonic() - started >= 4.0
    assert watched.said == ["gateway has not answered for 4 s and is killed. It restarts in 0.5 s."]
    assert (tmp_path / f"gateway{DOWN_SUFFIX}").read_text().endswith("UTC: it did not answer for 4 s.")
    hangs[0].join(10)
    assert hangs[0].exitcode == -signal.SIGKILL
    supervisor._watched[0].pod.args.port = [successor[1]]
    check_until(supervisor, lambda: len(watched.said) > 1)
    assert watched.said[1].startswith("gateway is back after ")
    assert [state.is_up for state in supervisor.states()] == [True, True]
    assert answers[0].is_alive()  # one that computes is not one that hangs
    supervisor.close()


@pytest.mark.parametrize("stops", [False, True])
def test_a_gateway_with_tls_is_asked_by_its_own_certificate(start, tmp_path, monkeypatch, stops):
    authority = trustme.CA()
    issued = authority.issue_cert("clipseek.example")
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    server = start(serve_health, (issued.private_key_pem.bytes(), certificate.read_bytes()))
    watched = Watched(tmp_path, monkeypatch, silent_seconds=4.0, certificate=str(certificate))
    supervisor = watched.of(gateway=server)
    asked_for = time.monotonic()
    if stops:
        os.kill(server[0].pid, signal.SIGSTOP)
        check_until(supervisor, lambda: watched.said)
        assert "gateway has not answered for 4 s" in watched.said[0]
    else:
        check_until(supervisor, lambda: time.monotonic() - asked_for > 6.0)
        assert watched.said == [] and server[0].is_alive()
        assert supervisor.states()[0].is_up
    supervisor.close()


def supervisor_of_restarted(process, host, port, notes, said) -> Supervisor:
    """Of a Flow with this one process, which has been started again and has had all the time that it may take."""
    pod = SimpleNamespace(worker=process, args=SimpleNamespace(host=host, port=[port], replica_id=0))
    deployment = SimpleNamespace(shards={0: SimpleNamespace(_pods=[pod])})
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
        supervisor._watched[0].probe.close()
    assert process.is_alive()
    [state] = supervisor.states()
    assert state.is_up and said[0].startswith("gateway is back after 1.")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_does_not_listen_in_time_is_ended(process, tmp_path):
    said = []
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        supervisor = supervisor_of_restarted(process, "127.0.0.2", elsewhere.getsockname()[1], tmp_path, said)
        supervisor.check_processes()
        supervisor._watched[0].probe.close()
    process.join()
    assert process.exitcode == -9
    assert not supervisor.states()[0].is_up and said == []


def test_an_address_that_stands_for_all_is_reached_at_this_machines_own():
    addresses = ("0.0.0.0", "::", "192.0.2.1", "localhost")
    assert [local_address(bind) for bind in addresses] == ["127.0.0.1", "::1", "192.0.2.1", "localhost"]
