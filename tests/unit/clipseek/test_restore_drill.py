"""A store is damaged in every way, the damage is found, and the commands of docs/operations.md restore everything."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from clipseek.cli.main import main
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from tests.markdown import ROOT, Document
from tests.unit.clipseek.test_store_check import ID, MODEL, SPAN_FAULT, VIDEO, frames, make_settings

VIDEO_FILE = f"media/{ID}.film.mp4"


def documented_commands(first_words: str) -> list[str]:
    """The commands of the block of docs/operations.md in which one begins with these words."""
    for block in Document.read(ROOT / "docs" / "operations.md").blocks:
        lines = [line.removeprefix("$ ") for line in block.without_comments().splitlines()]
        if any(line.startswith(first_words) for line in lines):
            return lines
    raise AssertionError(f"docs/operations.md has no command '{first_words}'")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A store with a backup, made as documented."""
    home = make_settings(tmp_path).home
    shim = tmp_path / "bin" / "clipseek"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m clipseek "$@"\n')
    shim.chmod(0o755)
    for name, value in {
        "HOME": str(tmp_path),
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CLIPSEEK_HOME": str(home),
        "CLIPSEEK_MEDIA": "",
    }.items():
        monkeypatch.setenv(name, value)
    for command in documented_commands("clipseek backup"):
        assert run(command).exit_code == 0, command
    return home


def run(command: str) -> Result:
    """Run a documented command: `clipseek` in this process, all else in a shell."""
    if command.startswith("clipseek "):
        arguments = [str(Path(word).expanduser()) if word[0] == "~" else word for word in command.split()[1:]]
        return CliRunner().invoke(main, arguments, env={"COLUMNS": "300"})
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Result(CliRunner(), done.stdout.encode(), b"", b"", None, 0, None)


def ask(home: Path) -> tuple[list[tuple[float, float, float]], str]:
    """What a search finds, and the title of the video."""
    with Library(home) as library:
        part = Part(frames(30).vectors[7].astype(np.float32), 1.0, MODEL)
        matches = library.search([part], SearchOptions(top_k=5, all_matches=True)).matches
        found = [(match.segment.start_seconds, match.segment.end_seconds, match.score) for match in matches]
        return found, library.store.video(ID).title


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0x80
    file.write_bytes(data)


def flip_in_video(home: Path) -> None:
    flip(home / VIDEO_FILE, len(VIDEO) // 2)


def flip_in_stored_vector(home: Path) -> None:
    vectors = frames(10, 30.0).vectors.tobytes()
    flip(home / "index.db", (home / "index.db").read_bytes().index(vectors) + 7)


def wipe_database(home: Path) -> None:
    data = (home / "index.db").read_bytes()
    (home / "index.db").write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def flip_in_saved_index(home: Path) -> None:
    [file] = (home / "index").glob("*.faiss")
    flip(file, file.stat().st_size // 2)


def lose_video(home: Path) -> None:
    (home / VIDEO_FILE).unlink()


def unmount(home: Path) -> None:
    shutil.rmtree(home)
    home.mkdir()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (flip_in_video, rf"{ID}\.film\.mp4: its content has the SHA-256"),
        (flip_in_stored_vector, re.escape(SPAN_FAULT)),
        (wipe_database, "malformed|disk image"),
        (flip_in_saved_index, r"frames-2\.faiss does not fit the store"),
        (lose_video, rf"'holiday\.mp4' \({ID[:12]}\)"),
        (unmount, "there is no store"),
    ],
)
def test_each_damage_is_found_and_the_documented_commands_restore_the_store(
    home: Path, damage: Callable[[Path], None], found: str
) -> None:
    expected = ask(home)
    assert expected[0] and expected[0][0][2] > 0.5
    damage(home)
    check = run("clipseek doctor --check")
    assert check.exit_code == 1 and re.search(found, check.stdout), check.output
    if damage is unmount:
        refused = run("clipseek backup ~/clipseek-backup")
        assert refused.exit_code == 1 and "Is its disk mounted?" in refused.output
    for command in documented_commands("mv "):
        assert run(command).exit_code == 0, command
    assert ask(home) == expected
    assert (home / VIDEO_FILE).read_bytes() == VIDEO
    assert Path(f"{home}.damaged").is_dir()
