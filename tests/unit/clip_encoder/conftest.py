"""A model small enough to build in a moment, in both of open_clip's layouts, and a hub that serves on loopback."""

import json
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from executors.clip_encoder.model_spec import ModelSpec
from executors.clip_encoder.starter import build_starter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # docarray declares its fields as pydantic 1 wanted; jina uses pkg_resources
    import docarray  # noqa: F401
    import jina  # noqa: F401

CONTEXT = 16
MODEL_CFG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS_CFG = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic", "resize_mode": "squash"}


def write_folder(folder: Path, *, custom_text: bool = False, torch_file: bool = False, seed: int = 0) -> Path:
    """A model folder with random weights, as open_clip would write it."""
    folder.mkdir(parents=True)
    model_cfg = MODEL_CFG | ({"custom_text": True} if custom_text else {})
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model_cfg, "preprocess_cfg": PREPROCESS_CFG})
    )
    torch.manual_seed(seed)
    model = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**MODEL_CFG)
    if torch_file:
        state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save({"epoch": 1, "state_dict": state}, folder / "open_clip_pytorch_model.bin")
    else:
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return build_starter(tmp_path_factory.mktemp("starter"))


@pytest.fixture(scope="session")
def pictures() -> Any:
    """uint8 [5, 32, 32, 3]."""
    return np.random.default_rng(7).integers(0, 256, (5, 32, 32, 3), np.uint8)


@dataclass
class FakeHub:
    """The few answers of a model hub that huggingface_hub asks for. `files` are by repository and name."""

    files: dict[tuple[str, str], bytes]
    asked: list[str] = field(default_factory=list)
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
            self.send_response(status)
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("ETag", f'"{hash(body) & 0xFFFFFFFF:040x}"')
            self.send_header("Content-Length", str(len(body)))
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()
