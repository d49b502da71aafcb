"""A real service to be tortured: `clipseek serve` with a tiny model and a store of its own, and tiny videos for it."""

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks.synthetic import videos
from benchmarks.synthetic.models import write_folder
from benchmarks.synthetic.processes import flow_processes
from clipseek.api.errors import ServerError
from clipseek.client import Client
from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port

_ROOT = Path(__file__).parents[2]
_POLL_SECONDS = 0.2
_CACHE_OF_SHARING_GB = 0.03  # three of the large videos: copies come and go
_CHUNKS_OF_LARGE = 9_000_000  # bytes: an upload of three chunks


@dataclass(frozen=True)
class VideoFile:
    """A video to be put into the library, and what the library knows of it then."""

    path: Path
    video_id: str
    spans: int


def make_videos(folder: Path, count: int, seed: int) -> list[VideoFile]:
    """Videos of two and of four spans, every third of them several chunks large, no two with the same bytes."""
    dice = random.Random(seed)
    bases = [
        (videos.make(folder / f"base-{spans}.mp4", frames=2 * 28 * spans, fps=2, gop=8).path.read_bytes(), spans)
        for spans in (2, 4)
    ]
    made = []
    for number in range(count):
        content, spans = bases[number % len(bases)]
        filler = dice.randbytes(_CHUNKS_OF_LARGE if number % 3 == 2 else 1000)
        data = content + (8 + len(filler)).to_bytes(4, "big") + b"free" + filler  # a box that players skip
        path = folder / f"video-{number}.mp4"
        path.write_bytes(data)
        made.append(VideoFile(path, hashlib.sha256(data).hexdigest(), spans))
    return made


class Service:
    """`clipseek serve` on a free port, which it keeps when it is started again.

    Args:
        folder: of all that it has.
        dimensions: of the vectors of its model.
        is_sharing: keep the videos in an object store, with room for copies of a few.
    """

    def __init__(self, folder: Path, dimensions: int = 24, *, is_sharing: bool = False) -> None:
        model = write_folder(folder / "model", dimensions=dimensions)
        defaults = Settings.from_env({})
        self.settings = replace(
            defaults,
            home=folder / "home",
            cache=folder / "cache",
            port=free_port("127.0.0.1"),
            model=f"local-dir:{model}",
            words="off",
            most_restarts=1000,
        )
        if is_sharing:
            objects = folder / "objects"
            objects.mkdir()
            self.settings = replace(self.settings, media=f"local://{objects}", media_cache_gb=_CACHE_OF_SHARING_GB)
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def client(self, token: str = "") -> Client:
        """A client that waits for a service that is started again."""
        return Client(f"grpc://127.0.0.1:{self.settings.port}", timeout_seconds=240, retry_seconds=120, token=token)

    def start(self) -> None:
        """Start it; `wait_until_ready` says when it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clipseek", "serve"],
                env={**os.environ, **self.settings.to_env()},
                cwd=_ROOT,
                stderr=log,
                stdout=log,
            )

    def wait_until_ready(self, seconds: float, token: str = "") -> float:
        """Returns: how long it took until every executor answered.

        Args:
            token: to ask with, where the service wants one.

        Raises:
            TimeoutError: they did not within that time.
        """
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            if self._process is None or self._process.poll() is not None:
                raise TimeoutError("the server ended")
            try:
                address = f"grpc://127.0.0.1:{self.settings.port}"
                with Client(address, timeout_seconds=5, retry_seconds=0, token=token) as client:
                    if all(component.ok for component in client.health()):
                        return time.monotonic() - begun
            except ServerError:
                pass
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"not ready after {seconds:.0f} s")

    def processes(self) -> list[psutil.Process]:
        """The executors and the gateway, as far as they run."""
        return flow_processes(psutil.Process(self._pid))

    def kill(self) -> None:
        """SIGKILL to the whole family at once, as a power cut would."""
        family = self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=30)
        self._ended()

    def family(self) -> list[psutil.Process]:
        """The server and all its children, the decoders among them; none if it has ended."""
        try:
            main = psutil.Process(self._pid)
            return [main, *main.children(recursive=True)]  # first the one that would start the others again
        except psutil.NoSuchProcess:  # it has stopped by itself
            return []

    def terminate(self) -> None:
        """SIGTERM, as an operator stops it; does not wait."""
        psutil.Process(self._pid).terminate()

    def stop(self) -> int:
        """Stop it cleanly. Returns: its exit code."""
        self.terminate()
        return self._ended()

    @property
    def _pid(self) -> int:
        if self._process is None:
            raise ValueError("the service was not started")
        return self._process.pid

    def _ended(self) -> int:
        if self._process is None:
            raise ValueError("the service was not started")
        return self._process.wait(60)
