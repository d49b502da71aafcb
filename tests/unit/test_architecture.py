"""The arrows of the house go one way, and the cores outlive the framework."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WINGS = ("video_loader", "word_reader", "clip_encoder", "faiss_indexer")
# Rooms of `clipseek`, and the rooms that each may import: all of them lie below it.
ROOMS = {
    "api": set(),
    "config": {"api"},
    "exports": {"api"},
    "machine": {"api", "config"},
    "wire": {"api"},
    "client": {"api", "config", "machine", "wire"},
    "service": {"api", "config", "machine", "client", "upkeep"},
    "watch": {"api", "config", "machine", "client"},
    "evaluation": {"api", "config", "client"},
    "upkeep": {"api", "config", "machine", "client"},
    "vced": {"api", "config", "machine", "client"},
    "cli": {"api", "config", "exports", "machine", "client", "service", "watch", "evaluation", "upkeep", "vced"},
}
HEAVY = {"torch", "faiss", "cv2", "av", "streamlit", "open_clip"}
FRAMEWORK = {"jina", "docarray"}
# Files of the executors that speak jina; all others are cores, which outlive it.
SPEAK_JINA = {"executor.py", "job_executor.py", "model_executor.py", "documents.py", "word_documents.py"}
ROOMS_THAT_SPEAK_JINA = {"executors/flow"}
# Files of the page that speak streamlit outside of its views and components.
SPEAK_STREAMLIT = {
    "frontend/app.py",
    "frontend/services.py",
    "frontend/__main__.py",
    "frontend/server/quirks.py",
    "frontend/uploads/quirks.py",
}
MOST_FILES = 12  # of a room; about eight is the aim


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def sources(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return files


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lies_in(path: Path, rooms: set[str]) -> bool:
    return any(named(path).startswith(f"{room}/") for room in rooms)


@pytest.mark.parametrize("path", sources("clipseek"), ids=named)
def test_what_all_share_imports_none_of_the_heavy_libraries_and_no_executor(path):
    assert not roots(path) & (HEAVY | {"executors", "frontend"})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room):
    for path in sources(f"clipseek/{room}"):
        rooms = {name.split(".")[1] for name in imports(path) if name.startswith("clipseek.")} & set(ROOMS)
        assert rooms <= {*ROOMS[room], room}, named(path)


def test_no_room_is_missing_and_none_lies_above_itself():
    assert {path.name for path in (ROOT / "clipseek").iterdir() if (path / "__init__.py").exists()} == set(ROOMS)
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert not {other for other in below if other in ROOMS[room] and room in ROOMS[other]}, room
    assert order[0] == "api"


def test_the_tables_of_the_store_are_known_in_its_room_only():
    """`backup` copies databases whole, `watch` has one of its own: no others do."""
    opening = {named(path) for path in sources("clipseek") if "sqlite3" in roots(path)}
    assert opening == {"clipseek/upkeep/backup.py", "clipseek/watch/state.py"}
    assert " FROM " not in (ROOT / "clipseek/upkeep/backup.py").read_text(encoding="utf-8")


# Rooms of the wings and of the page, each from the bottom up: a room imports those before it, never those behind.
FLOORS = {
    "executors/video_loader": ("containers", "decode", "media", "sample", "clips", "words", "workers"),
    "executors/word_reader": ("subtitles", "screen", "speech"),
    "executors/clip_encoder": ("model", "pytorch", "relevance", "run", "starter", "int8", "image", "text"),
    "executors/faiss_indexer": ("store", "moments", "index", "ranking", "words"),
    "frontend": ("texts", "logic", "media", "uploads", "server", "services.py", "components", "views"),
    "frontend/components": (
        "messages.py",
        "elements.py",
        "visitor.py",
        "clip_editor.py",
        "transcript.py",
        "video_timeline.py",
        "search",
        "library",
    ),
}
# A model that is built by its own room is asked for by name: the import waits until it is wanted.
BY_NAME = {"executors/clip_encoder/model/registry.py"}


@pytest.mark.parametrize("wing", FLOORS)
def test_the_rooms_of_a_wing_import_those_below_them(wing):
    floors = {f"{wing}/{room}".removesuffix(".py").replace("/", "."): floor for floor, room in enumerate(FLOORS[wing])}

    def floor_of(module: str) -> int:
        return next((floor for room, floor in floors.items() if f"{module}.".startswith(f"{room}.")), -1)

    for path in sources(wing):
        own = floor_of(named(path).removesuffix(".py").replace("/", "."))
        if own >= 0 and named(path) not in BY_NAME:
            assert not {name for name in imports(path) if floor_of(name) > own}, named(path)


@pytest.mark.parametrize("wing", [wing for wing in FLOORS if wing.startswith("executors")])
def test_every_room_of_a_wing_has_its_floor(wing):
    assert {init.parent.name for init in (ROOT / wing).glob("*/__init__.py")} == set(FLOORS[wing])


def test_each_engine_of_the_store_is_known_to_one_file():
    for library, file in (("sqlite3", "sqlite.py"), ("psycopg", "postgres.py")):
        users = {named(path) for path in sources("executors") if library in roots(path)}
        assert users == {f"executors/faiss_indexer/store/{file}"}


@pytest.mark.parametrize("path", sources("executors"), ids=named)
def test_executors_do_not_import_one_another_and_their_cores_no_framework(path):
    names = imports(path)
    own = path.relative_to(ROOT / "executors").parts[0]
    others = {f"executors.{wing}" for wing in WINGS if wing != own}
    assert not {name for name in names if any(name == other or name.startswith(f"{other}.") for other in others)}
    if path.name not in SPEAK_JINA and not lies_in(path, ROOMS_THAT_SPEAK_JINA):
        assert not roots(path) & (FRAMEWORK | {"streamlit"})
        assert not {name for name in names if name.startswith(("executors.flow.executor", "clipseek.api.documents"))}
        assert not {name for name in names if name.startswith("clipseek.client")}


@pytest.mark.parametrize("path", sources("frontend"), ids=named)
def test_the_page_reaches_the_service_through_the_client_only(path):
    assert not roots(path) & {"executors", "jina", "docarray", "grpc", "torch", "av"}
    reached = {name for name in imports(path) if name.startswith(("clipseek.service", "clipseek.client.transport"))}
    assert not reached


@pytest.mark.parametrize("path", sources("frontend"), ids=named)
def test_the_logic_of_the_page_is_reached_without_streamlit(path):
    if named(path) not in SPEAK_STREAMLIT and not lies_in(path, {"frontend/views", "frontend/components"}):
        assert "streamlit" not in roots(path)


@pytest.mark.parametrize("path", sources("benchmarks"), ids=named)
def test_benchmarks_import_no_tests(path):
    assert "tests" not in roots(path)


@pytest.mark.parametrize("folder", ["clipseek", "executors", "frontend"])
def test_a_room_is_small_enough_to_know(folder):
    for room in {path.parent for path in sources(folder)}:
        files = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
        most = MOST_FILES + 4 if room.name == "commands" else MOST_FILES
        assert len(files) <= most, named(room)
