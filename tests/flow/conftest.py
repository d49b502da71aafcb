"""Real servers for the tests: `clipseek serve` from the real flow.yml, each on a free port with a store of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from benchmarks.synthetic import videos
from benchmarks.synthetic.models import write_folder
from benchmarks.synthetic.processes import flow_processes
from clipseek.client import Client
from clipseek.machine.ports import free_port
from tests.pictures import make_photographs_video

ROOT = Path(__file__).parents[2]
READY_LINE = "Ctrl-C stops it."
READY_SECONDS = 240


@dataclass
class Server:
    """A running `clipseek serve`."""

    process: subprocess.Popen[str]
    port: int
    home: Path
    lines: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a line with this text has come; fail with all that came when the server ends first."""

        def came() -> bool:
            return sum(text in line for line in self.lines) >= times

        with self._changed:
            self._changed.wait_for(lambda: came() or self.process.poll() is not None, READY_SECONDS)
        if not came():
            raise AssertionError(f"no line with '{text}' came:\n" + "\n".join(self.lines))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def host(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def client(self, **options: float) -> Client:
        return Client(self.host, **{"timeout_seconds": 120, **options})

    def wait_until_healthy(self) -> None:
        """Wait until all executors answer."""
        deadline = time.monotonic() + READY_SECONDS
        with self.client() as client:
            while not all(component.ok for component in client.health()):
                assert time.monotonic() < deadline, self.output
                time.sleep(0.1)

    def children(self) -> dict[str, psutil.Process]:
        """The processes of the executors, told apart by the ports and files they hold open."""
        return {str(child.pid): child for child in psutil.Process(self.process.pid).children(recursive=True)}

    def processes(self) -> list[psutil.Process]:
        """The executors in the order of the chain, then the gateway, as long as none was started anew."""
        return flow_processes(psutil.Process(self.process.pid))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end of the server and of all its children; returns its exit code."""
        family = list(self.children().values()) if self.process.poll() is None else []
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"left behind: {alive}"
        return code


def index_meanwhile(client: Client, folder: Path, work: Callable[[], object]) -> None:
    """Index one video after another, each whole, until `work` is done in a thread beside this one."""
    with ThreadPoolExecutor(1) as thread:
        working, count = thread.submit(work), 0
        while not working.done():
            video = videos.make(folder / f"long {count}.mp4", frames=600 + count, fps=10, size=(320, 240), gop=50)
            done = client.index(video.path).video
            assert (done.status, done.missing_start_seconds) == ("ready", [])
            count += 1
        working.result()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, built_models: Path) -> Path:
    """The cache of all servers of this process, with the models of all processes."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "models").symlink_to(built_models)
    converted = built_models.with_name("openvino")
    converted.mkdir(exist_ok=True)
    (folder / "openvino").symlink_to(converted)
    return folder


@pytest.fixture(scope="module")
def launch(cache: Path) -> Iterator[Callable[..., Server]]:
    """Start servers that end with the module at the latest: several at once would fill a small machine's memory."""
    servers: list[Server] = []

    def start(home: Path, *options: str, ready: bool = True, **environ: str) -> Server:
        port = int(environ.pop("CLIPSEEK_PORT", 0)) or free_port(
            "127.0.0.1", [int(environ.get("CLIPSEEK_PAGE_PORT", 0))]
        )
        values = {
            "CLIPSEEK_HOME": str(home),
            "CLIPSEEK_CACHE": str(cache),
            "CLIPSEEK_PORT": str(port),
            "CLIPSEEK_MODEL": "starter",
            "CLIPSEEK_WORDS": "off",  # reading takes longer than the rest: tests of words turn it on
            "COLUMNS": "500",
        } | environ
        process = subprocess.Popen(
            [sys.executable, "-m", "clipseek", "serve", *options],
            env={**os.environ, **values},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        server = Server(process, port, home)
        servers.append(server)
        if ready:
            server.wait_for(READY_LINE)
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
        server.reader.join()
        server.process.stdout.close()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip folder with random weights, small enough to make in a moment."""
    return write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def server(launch: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One server for the tests of a module."""
    return launch(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def library(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The sample library, and a video of photographs with exact cuts."""
    photographs = make_photographs_video(tmp_path_factory.mktemp("videos") / "photographs.mp4")
    with server.client() as client:
        client.add_samples()
        client.index(photographs)
        yield client


def run(server: Server, *arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "clipseek", *arguments],
        check=False,
        env={**os.environ, "CLIPSEEK_HOST": server.host, "COLUMNS": "200", **environ},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
