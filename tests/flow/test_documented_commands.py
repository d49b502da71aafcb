"""Every command and script in the documents runs against a real service, or is listed with the reason why not.

In a `console` block each line that begins with `$ ` runs: `clipseek` in this process, which saves its start, everything
else in a shell. A `python` block runs as a whole. The test makes the videos and pictures that documents name.
Translations have the blocks of their originals (tests/unit/test_docs.py), and references show nothing to run.
"""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.synthetic.models import write_folder
from benchmarks.synthetic.videos import make, slate
from clipseek.cli.main import main
from executors.faiss_indexer.store.store import Store
from tests.markdown import README, ROOT, Block, Document, name_of

DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]

# How commands begin that do not run here, and why.
NOT_RUN = {
    "make ": "installs, serves or takes long; checked to be in the Makefile",
    "python -m benchmarks.": "takes minutes, mostly on videos that are not here; its options are checked",
    ".venv/bin/clipseek": "the same as clipseek; its options are checked",
    "clipseek serve": "a service is already running; its options are checked",
    "source .venv/bin/activate": "the tests have their own environment",
    "pip install": "needs a package registry",
    "hf download": "needs a model hub",
    "clipseek model get": "needs a model hub; tests/unit/clip_encoder/test_hub.py has one",
    "ssh ": "needs another machine",
    "python -m frontend": "does not end; tests/frontend tests the page",
    "docker ": "needs a container engine",
    "kubectl ": "needs a cluster",
    "export CLIPSEEK_HOME=$PWD/access": "goes with kubectl",
    "curl ": "metrics are off here; tests/flow/test_monitoring.py tests them",
    "clipseek watch": "does not end, or needs folders that are not here; its options are checked",
    "clipseek model use": "needs a second model; tests/flow/test_model_use.py has one",
    "clipseek model forget": "the same",
    "clipseek model optimise": "needs real videos; the unit tests of the clip encoder test it",
    "clipseek compat": "does not end; its options are checked",
    "cd ~/vced/code/web": "needs VCED",
    "createdb ": "needs a PostgreSQL server",
    "export CLIPSEEK_STORE=": "needs a PostgreSQL server; tests/flow/test_replicas_in_a_flow.py has one",
    "clipseek store copy": "needs a PostgreSQL server; tests/unit/faiss_indexer/test_store_copy.py has one",
    "pg_dump ": "needs a PostgreSQL server; tests/unit/clipseek/test_database_check.py has one",
    "pg_restore ": "needs a PostgreSQL server; tests/unit/clipseek/test_database_check.py has one",
    "export AWS_ACCESS_KEY_ID=": "needs an object store; tests/flow/test_shared_media.py has one",
}
# These commands would disturb the service, or lock out the commands after them, so they get an empty store.
APART = ("clipseek token", "clipseek doctor --repair", 'mv "$CLIPSEEK_HOME"', "cp -a ")
# Files that documents say they write.
WRITTEN = {"README.md": ("dog.mp4", "dog-*.mp4"), "docs/quickstart.md": ("dog.mp4", "dog-01.mp4", "found.csv")}
TRUTH = '{"video": "holiday.mp4", "query": "a dog", "moments": [[12.0, 17.5]]}\n'


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder with the files that documents name, and those of `~/Videos` and `/srv/videos`."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (("holiday.mp4", 130), ("Videos/lake.mp4", 12), ("server/archive.mkv", 15)):
        (folder / name).parent.mkdir(exist_ok=True)
        make(folder / name, frames=frames, fps=Fraction(1, 5))  # 130 frames reach beyond the 10:00 of the quickstart
    Image.fromarray(slate(5)).save(folder / "dog.jpg")
    (folder / "truth.jsonl").write_text(TRUTH, encoding="utf-8")
    shutil.copy(ROOT / "requirements.lock", folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model with high scores, so that searches find something."""
    folder = write_folder(tmp_path_factory.mktemp("models") / "sure")
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["logit_scale"].fill_(math.log(5000))
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def service(launch, videos, model, tmp_path_factory):
    return launch(
        tmp_path_factory.mktemp("store"),
        CLIPSEEK_MODEL=str(model),
        CLIPSEEK_MEDIA_ROOTS=str(videos / "server"),
        CLIPSEEK_WORDS="subtitles",
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_what_a_document_shows_can_be_done(path, service, videos, tmp_path, monkeypatch):
    shutil.copytree(videos, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    reader = Reader(service.port, service.home, videos / "server", tmp_path)
    for name, value in reader.environ.items():
        monkeypatch.setenv(name, value)
    for block in Document.read(path).blocks:
        with service.client() as client:
            client.index(tmp_path / "holiday.mp4")  # an earlier block may have deleted it
        reader.do(block)
    for name in WRITTEN.get(name_of(path), ()):
        assert all(file.stat().st_size for file in tmp_path.glob(name)) and any(tmp_path.glob(name)), name


class Reader:
    """Runs the commands of blocks, in a folder with their videos, against a service on another port."""

    def __init__(self, port: int, home: Path, server_videos: Path, folder: Path) -> None:
        self._in_place_of = {"45679": str(port), "45680": str(port), "/srv/videos": str(server_videos)}
        self._apart = {"CLIPSEEK_HOME": str(folder / "apart")}
        Store(folder / "apart").close()
        (folder / "bin").mkdir()
        shim = folder / "bin" / "clipseek"
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m clipseek "$@"\n')
        shim.chmod(0o755)
        self.environ = {
            "HOME": str(folder),
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "CLIPSEEK_HOME": str(home),
            "CLIPSEEK_PORT": str(port),
            "CLIPSEEK_HOST": f"grpc://127.0.0.1:{port}",
            "CLIPSEEK_TOKEN": "",
            "CLIPSEEK_LIBRARY": "",
            "COLUMNS": "200",
        }

    def do(self, block: Block) -> None:
        if block.language == "python" and not _listed(block.text):
            exec(compile(self._here(block.text), str(block), "exec"), {"__name__": "__main__"})
        for command in commands(block):
            if _listed(command):
                check_by_reading(command)
            else:
                self._run(block, command)

    def _here(self, text: str) -> str:
        for said, here in self._in_place_of.items():
            text = text.replace(said, here)
        return text

    def _run(self, block: Block, command: str) -> None:
        given, words = _split(self._here(command))
        environ = given | (self._apart if command.startswith(APART) else {})
        if words[0] == "clipseek" and not re.search(r"[|<>$;]|&&", command):
            arguments = [str(Path(word).expanduser()) if word.startswith("~") else word for word in words[1:]]
            if words[1] == "delete":
                arguments.append("--yes")  # nobody is here to confirm
            done = CliRunner().invoke(main, arguments, env=environ)
            code, output = done.exit_code, done.output
        else:
            shell = subprocess.run(
                ["bash", "-c", self._here(command)],
                env=os.environ | environ,
                capture_output=True,
                text=True,
                check=False,
            )
            code, output = shell.returncode, shell.stdout + shell.stderr
        assert code == 0, f"{block}: $ {command}\n{output}\nFix it, or list it in NOT_RUN with the reason."


def commands(block: Block) -> list[str]:
    """The commands of a console block, without comments."""
    if block.language != "console":
        return []
    text = block.without_comments().replace("\\\n", " ")
    return [line.strip().removeprefix("$ ") for line in text.splitlines() if line.strip().startswith("$ ")]


def check_by_reading(command: str) -> None:
    """Check without running it that a command exists, with its options."""
    _, words = _split(command.removesuffix("&"))
    if words[0] in ("clipseek", ".venv/bin/clipseek"):
        whole = click.Context(main, **main.context_settings)  # a command keeps its help option as it first met it
        try:
            main.commands[words[1]].make_context(words[1], words[2:], parent=whole)
        except click.BadParameter as error:
            assert "does not exist" in error.message, command  # a folder that is not here
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets), command
    elif words[:2] == ["python", "-m"]:
        place = ROOT / words[2].replace(".", "/")
        source = (place / "__main__.py" if place.is_dir() else place.with_suffix(".py")).read_text(encoding="utf-8")
        for word in words[3:]:
            assert not word.startswith("--") or f'"{word}"' in source, f"{command}: there is no {word}"


def _listed(text: str) -> bool:
    return _bare(text).startswith(tuple(NOT_RUN))


def _bare(command: str) -> str:
    """A command without the variables in front of it."""
    return re.sub(r"^(\w+=\S+ )+", "", command)


def _split(command: str) -> tuple[dict[str, str], list[str]]:
    """The variables in front of a command, and its words."""
    words = shlex.split(command)
    first = next(place for place, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return dict(word.split("=", 1) for word in words[:first]), words[first:]


def test_nothing_is_listed_that_no_document_shows():
    blocks = [block for path in DOCUMENTS for block in Document.read(path).blocks]
    shown = [_bare(text) for block in blocks for text in (block.text, *commands(block))]
    assert not [start for start in (*NOT_RUN, *APART) if not any(text.startswith(start) for text in shown)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_commands_stand_where_they_are_seen(path):
    """In a `console` block after `$ `, or they would not run."""
    document = Document.read(path)
    for block in document.blocks:
        known = {"", "console", "python", "js", "json", "ini", "yaml", "text"}
        assert block.language in known, f"{block}: {block.language}"
        asked = any(line.strip().startswith("$ ") for line in block.lines)
        assert asked == (block.language == "console"), f"{block}: `$ ` and ```console go together"
    assert not [line for line in document.prose if re.match(r" {4,}(\$ )?(clipseek|make|python|pip|docker) ", line)]
