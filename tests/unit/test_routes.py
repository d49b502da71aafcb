"""Who gets a request: those who answer it, and nobody else."""

import re
from pathlib import Path

from clipseek.api.endpoints import EXECUTORS
from executors.flow.gateway.routes import ROUTES

ROOT = Path(__file__).parents[2] / "executors"
FOLDERS = ("video_loader", "clip_encoder/image", "clip_encoder/text", "faiss_indexer")


def endpoints(file: Path) -> set[str]:
    """The endpoints that are declared in a module."""
    return set(re.findall(r'@endpoint\("(/\w+)"\)', file.read_text(encoding="utf-8")))


def test_a_route_has_the_executors_that_do_something_and_no_others():
    answered = {name: endpoints(ROOT / folder / "executor.py") for name, folder in zip(EXECUTORS, FOLDERS, strict=True)}
    offered = set.union(*answered.values())
    by_whom = {path: tuple(name for name in EXECUTORS if path in answered[name]) for path in offered}
    assert dict(ROUTES) == {path: names for path, names in by_whom.items() if len(names) > 1}
