"""Ports that stay free until a server listens on them."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import Settings
from clipseek.machine import ports
from clipseek.service import run
from clipseek.service.page import Page
from clipseek.service.run import serve


@pytest.fixture
def outgoing(tmp_path, monkeypatch):
    file = tmp_path / "ip_local_port_range"
    monkeypatch.setattr(ports, "_OUTGOING", file)
    return file


def test_an_address_that_is_not_this_machines_is_named():
    with pytest.raises(InvalidSetting, match=r"cannot listen on '198\.51\.100\.1'.* CLIPSEEK_BIND \(--bind\) takes"):
        ports.is_port_free("198.51.100.1", 45679)


def test_an_address_for_metrics_that_is_not_this_machines_is_that_settings(tmp_path):
    port = ports.free_port("127.0.0.1")
    settings = Settings(tmp_path, tmp_path, port=port, metrics_port=port, metrics_bind="198.51.100.1")
    with pytest.raises(InvalidSetting, match=r"'198\.51\.100\.1'.*\)\. CLIPSEEK_METRICS_BIND takes"):
        serve(settings, lambda _: False)


def test_a_reserved_port_is_not_given(monkeypatch):
    last = ports.free_port("127.0.0.1")
    monkeypatch.setattr(ports, "_quiet_ports", lambda: range(last - 7, last + 1))
    assert ports.free_port("127.0.0.1", range(last - 7, last)) == last


def test_the_page_keeps_off_the_ports_of_its_service(tmp_path):
    """They are still free when the page gets its own."""
    port = ports.free_port("127.0.0.1")
    metrics_port = ports.free_port("127.0.0.1", [port])
    for named in (port, metrics_port):
        settings = Settings(tmp_path, tmp_path, port=port, metrics_port=metrics_port, page_port=named)
        assert Page(settings, f"grpc://127.0.0.1:{port}").port not in (port, metrics_port)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, if this is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_port_that_takes_rights_is_not_taken_for_a_wrong_address():
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not first.exists() or int(first.read_text()) <= 1:
        pytest.skip("anyone may listen on any port here")
    with as_nobody(), pytest.raises(InvalidSetting, match=r"port 1 \(Permission denied\)") as raised:
        ports.is_port_free("127.0.0.1", 1)
    assert "choose a port from 1024 on" in str(raised.value)
    assert "CLIPSEEK_BIND" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("32768\t60999\n", 20000, 32767),
        ("1024 60000", 60001, 65535),
        ("20500 65000", 20000, 65535),
        ("?", 20000, 49151),
    ],
)
def test_no_port_is_one_that_an_outgoing_connection_may_be_given(outgoing, text, low, high):
    outgoing.write_text(text)
    of_executors = ports.executor_ports()
    assert of_executors[0] == low
    for _ in range(50):
        port = ports.free_port("127.0.0.1")
        assert low <= port <= high
        assert port not in of_executors
    told = ports.environment_for_jina()
    assert told == {"JINA_RANDOM_PORT_MIN": str(of_executors[0]), "JINA_RANDOM_PORT_MAX": str(of_executors[-1])}


def test_a_taken_port_is_not_given(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_quiet_ports", lambda: range(port, port + 1))
        assert ports.free_port("127.0.0.1") != port


def test_executors_listen_on_this_machine_whatever_the_servers_address():
    flow = yaml.safe_load((Path(__file__).parents[3] / "flow.yml").read_text(encoding="utf-8"))
    assert {executor["host"] for executor in flow["executors"]} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, resource.RLIM_INFINITY, 65_536),
        (1024, 1_000_000, 65_536),
        (1024, 4096, 4096),
        (100_000, 1_000_000, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_the_server_may_open_as_many_files_as_the_system_allows(soft, hard, raised, monkeypatch):
    told = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: told.append(limits))
    run._raise_open_files()
    assert told == ([(raised, hard)] if raised else [])
