"""Ports that stay free until a server listens on them."""

import socket

import pytest

from clipseek import ports
from clipseek.errors import InvalidSetting


@pytest.fixture
def outgoing(tmp_path, monkeypatch):
    file = tmp_path / "ip_local_port_range"
    monkeypatch.setattr(ports, "_OUTGOING", file)
    return file


def test_an_address_that_is_not_this_machines_is_named():
    with pytest.raises(InvalidSetting, match=r"cannot listen on '198\.51\.100\.1'"):
        ports.is_port_free("198.51.100.1", 45679)


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
