"""The rooms of the indexer: arrows between them go down, and SQL on a store is written in one of them."""

import ast
from pathlib import Path

import pytest

WING = Path(__file__).parents[3] / "executors" / "faiss_indexer"
# Each room, and the rooms and files that it may import.
ROOMS = {
    "store": set(),
    "moments": set(),
    "index": {"store"},
    "ranking": {"moments", "store"},
    "shards": {"ranking", "store", "documents"},
}


def list_imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_every_room_is_listed():
    assert {path.name for path in WING.iterdir() if (path / "__init__.py").exists()} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room):
    for path in (WING / room).glob("*.py"):
        modules = [name.split(".") for name in list_imports(path) if name.startswith("executors.faiss_indexer.")]
        assert {parts[2] for parts in modules} <= {*ROOMS[room], room}, path.name


def test_sql_is_written_in_the_store_room_except_for_resharding():
    writers = {path.relative_to(WING).as_posix() for path in WING.rglob("*.py") if "sqlite3" in list_imports(path)}
    assert {name for name in writers if not name.startswith("store/")} == {"shards/resharding.py"}
