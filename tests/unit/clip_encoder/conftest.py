"""Models for the tests of the encoders, and a hub that serves on loopback."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic.models import write_folder
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.starter.starter import build_starter


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def starter(built_models: Path) -> ModelSpec:
    return build_starter(built_models)


@pytest.fixture(scope="session")
def pictures() -> Any:
    """uint8 [5, 32, 32, 3]."""
    return np.random.default_rng(7).integers(0, 256, (5, 32, 32, 3), np.uint8)


@dataclass
class FakeHub:
    """The few answers of a model hub that huggingface_hub asks for. `files` are by repository and name."""

    files: dict[tuple[str, str], bytes]
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)  # of the contents that were asked for
    cuts: list[int] = field(default_factory=list)  # bytes after which each of the next contents breaks off
    status: int = 200  # what it answers instead of anything it has
    damages: bool = False  # the contents, not their checksums
    endpoint: str = ""


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub({})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            if hub.status != 200:
                return self.answer(hub.status, b"", "")
            path = self.path.split("?")[0].strip("/")
            if path.startswith("api/models/"):
                repository = path.removeprefix("api/models/").split("/revision/")[0]
                known = any(r == repository for r, _ in hub.files)
                body = json.dumps({"id": repository, "modelId": repository, "sha": "a" * 40, "siblings": []}).encode()
                return self.answer(200 if known else 404, body, "" if known else "RepoNotFound")
            repository, _, name = path.partition("/resolve/main/")
            found = hub.files.get((repository, name))
            return self.answer(404 if found is None else 200, found or b"", "EntryNotFound" if found is None else "")

        def answer(self, status: int, body: bytes, error: str) -> None:
            checksum = hashlib.sha256(body).hexdigest()
            if hub.damages and "/resolve/" in self.path:
                body = body[::-1]
            start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            if self.command == "GET" and "/resolve/" in self.path:
                hub.ranges.append(self.headers["Range"] or "")
            self.send_response(206 if start and status == 200 else status)
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("ETag", f'"{checksum}"')
            self.send_header("Content-Length", str(len(body) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                end = hub.cuts.pop(0) if hub.cuts and "/resolve/" in self.path else len(body)
                self.wfile.write(body[start:end])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()
