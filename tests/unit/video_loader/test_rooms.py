"""The loader's rooms: imports between them go one way."""

import ast
from pathlib import Path

import pytest

LOADER = Path(__file__).parents[3] / "executors" / "video_loader"
# Each room, and the rooms it may import.
ROOMS = {
    "decode": set(),
    "media": set(),
    "sample": {"decode"},
    "clips": {"decode"},
    "workers": {"decode", "media", "sample", "clips"},
}


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_every_room_is_listed():
    assert {folder.parent.name for folder in LOADER.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room):
    prefix = "executors.video_loader."
    modules = {module for path in (LOADER / room).rglob("*.py") for module in imported_modules(path)}
    rooms = {module.removeprefix(prefix).split(".")[0] for module in modules if module.startswith(prefix)}
    assert rooms - {room} <= ROOMS[room]
