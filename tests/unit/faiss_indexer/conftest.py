"""The indexer's executor imports jina, which warns: here once, where it is let be."""

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # docarray declares its fields as pydantic 1 wanted; jina uses pkg_resources
    import docarray  # noqa: F401
    import jina  # noqa: F401


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request, tmp_path) -> tuple[str, str]:
    """The kind of a database, and where it is."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "index.db")
    return "postgres", request.getfixturevalue("postgres")
