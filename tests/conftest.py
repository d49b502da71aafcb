"""For all tests: property tests try the same examples at every run of CI, and new ones at every run elsewhere."""

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # docarray declares its fields as pydantic 1 wanted; jina uses pkg_resources
    import clipseek.schema  # noqa: F401 (before jina: it keeps torch out of docarray)

    # isort: split
    import jina  # noqa: F401

# Before torch reads it: its threads wait by working, which takes the cores from the other processes of the tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _same_main() -> Iterator[None]:
    """A page that was tested leaves itself as `__main__`, and every process started later would run it first."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def built_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of built models, which all processes of a run share: whoever comes first builds."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "built").mkdir(exist_ok=True)
    return folder / "built"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: one for each process of a run that needs it, started in a second."""
    from tests.postgres import running_server

    with running_server() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database."""
    from tests.postgres import new_database

    with new_database(postgres_server) as url:
        yield url
