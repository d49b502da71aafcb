"""The arrows of the house go one way, and the cores outlive the framework."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("video_loader", "clip_encoder", "faiss_indexer")
EDGES = {
    "executor.py",
    "documents.py",
    "sharded.py",
    "head.py",
    "base.py",
    "gateway.py",
    "heads.py",
    "kubernetes.py",
    "pod.py",
}  # the files that speak jina


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found.add(node.module or "")
    return found


def sources(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return files


@pytest.mark.parametrize("path", sources("clipseek"), ids=lambda path: path.name)
def test_what_all_share_imports_none_of_the_heavy_libraries_and_no_executor(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"torch", "faiss", "cv2", "av", "streamlit", "executors", "frontend", "open_clip"}


@pytest.mark.parametrize("path", sources("executors"), ids=lambda path: "/".join(path.parts[-2:]))
def test_executors_do_not_import_one_another_and_their_cores_no_framework(path):
    names = imports(path)
    own = path.relative_to(ROOT / "executors").parts[0]
    others = {f"executors.{package}" for package in PACKAGES if package != own}
    assert not {name for name in names if any(name == o or name.startswith(o + ".") for o in others)}
    if path.name not in EDGES:
        assert not {name for name in names if name.split(".")[0] in {"jina", "docarray", "streamlit"}}
        assert not {"executors.flow.executor", "clipseek.schema", "clipseek.client"} & names


@pytest.mark.parametrize("path", sources("frontend"), ids=lambda path: "/".join(path.parts[-2:]))
def test_the_page_reaches_the_service_through_the_client_only(path):
    names = imports(path)
    assert not {
        name for name in names if name.split(".")[0] in {"executors", "jina", "docarray", "grpc", "torch", "av"}
    }
    assert not {"clipseek.client.transport", "clipseek.server", "clipseek.api.base_document"} & names


EDGES_OF_THE_PAGE = {"app.py", "services.py", "__main__.py", "uploads.py"}  # the files that speak streamlit


@pytest.mark.parametrize("path", sorted((ROOT / "frontend").glob("*.py")), ids=lambda path: path.name)
def test_the_logic_of_the_page_is_reached_without_streamlit(path):
    if path.name not in EDGES_OF_THE_PAGE:
        assert "streamlit" not in imports(path)
