"""The commands of the images: the service, whose health check needs no token, and the page without standard input."""

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from clipseek.config.access import AccessFile
from clipseek.machine.ports import free_port
from tests.flow.conftest import READY_LINE, ROOT, Server, run

COMMAND = ROOT / "docker" / "clipseek-container"
START_SECONDS = 120


@pytest.fixture(scope="module")
def environment(tmp_path_factory, cache, tiny_model) -> dict[str, str]:
    """The environment of the service's container: with tokens, and with the command on the path."""
    folder = tmp_path_factory.mktemp("container")
    for name in ("bin", "store", "tmp"):
        (folder / name).mkdir()
    command = folder / "bin" / "clipseek"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m clipseek "$@"\n')
    command.chmod(0o755)
    (folder / "bin" / "python").symlink_to(sys.executable)
    AccessFile(folder / "store").add("alice")
    settings = {
        "CLIPSEEK_HOME": str(folder / "store"),
        "CLIPSEEK_CACHE": str(cache),
        "CLIPSEEK_PORT": str(free_port("127.0.0.1")),
        "CLIPSEEK_MODEL": str(tiny_model),
        "CLIPSEEK_LIBRARY": "press",  # for other clients; the health check must ignore it
        "TMPDIR": str(folder / "tmp"),
    }
    return {**os.environ, **settings, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def health(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(COMMAND), "health"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_health_needs_no_token_and_sees_what_does_not_answer(environment):
    started = subprocess.Popen(
        ["sh", str(COMMAND), "serve"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(started, int(environment["CLIPSEEK_PORT"]), Path(environment["CLIPSEEK_HOME"]))
    try:
        server.wait_for(READY_LINE)
        token = Path(environment["TMPDIR"]) / "service-token"
        assert token.stat().st_mode & 0o777 == 0o600 and len(token.read_text().strip()) == 64
        assert psutil.Process(started.pid).environ()["CLIPSEEK_FLOW_SECRET"] not in token.read_text()
        done = health(environment)
        assert (done.returncode, done.stdout.split().count("ok")) == (0, 5), done.stdout + done.stderr
        assert "requires a token" in run(server, "health", code=1).stderr
        encoder, supervisor = server.processes()[3], psutil.Process(started.pid)
        supervisor.suspend()  # else it would restart the encoder
        encoder.kill()
        done = health(environment)
        assert (done.returncode, done.stdout.split().count("ok")) == (1, 4), done.stdout + done.stderr
        supervisor.resume()
        server.stop()
        assert health(environment).returncode == 1
    finally:
        if started.poll() is None:
            server.stop()
        started.stdout.close()


def test_the_page_goes_on_without_standard_input(tmp_path):
    port = free_port("127.0.0.1")
    page = subprocess.Popen(
        [sys.executable, "-m", "frontend", "--address", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "CLIPSEEK_HOME": str(tmp_path)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert page.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        page.terminate()
        page.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
