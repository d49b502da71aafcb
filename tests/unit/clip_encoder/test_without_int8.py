"""int8 is an extra: without its room everything else works, and CLIPSEEK_ENGINE=int8 says what to install."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path

import executors
from clipseek.api.errors import ClipSeekError
from clipseek.config.settings import Settings
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.towers import ImageTower, TextTower

folder, model, *engines = sys.argv[1:]
assert Path(executors.__file__).is_relative_to(folder)
for engine in engines:
    settings = Settings(home=Path(folder), cache=Path(folder) / "cache", model=model, device="cpu", engine=engine)
    try:
        encoders = Encoder(settings, "image", ImageTower), Encoder(settings, "text", TextTower)
    except ClipSeekError as error:
        print(engine, error)
    else:
        print(engine, *(encoder.facts["engine"] for encoder in encoders))
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory, model_folder) -> list[str]:
    """What each engine says in an installation without the room."""
    folder = tmp_path_factory.mktemp("installation")
    for package in ("clipseek", "executors"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("int8", "__pycache__"))
    engines = ("auto", "torch", "openvino", "int8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder), str(model_folder), *engines],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_other_engines_work(lines):
    if find_spec("openvino"):
        assert lines[:3] == ["auto openvino openvino", "torch torch torch", "openvino openvino openvino"]
    else:
        assert lines[:2] == ["auto torch torch", "torch torch torch"]


def test_int8_says_what_to_install(lines):
    assert lines[3].startswith("int8 CLIPSEEK_ENGINE is 'int8', ")
    assert "Install ClipSeek with its extra `int8`" in lines[3] and "or set CLIPSEEK_ENGINE=auto" in lines[3]


def test_no_other_room_names_a_module_of_it():
    for path in (ROOT / "executors").rglob("*.py"):
        if "int8" not in path.parts:
            assert "clip_encoder.int8" not in path.read_text(encoding="utf-8"), path
