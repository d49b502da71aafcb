"""The databases that the store can be in."""

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request, tmp_path) -> tuple[str, str]:
    """The kind of a database, and where it is."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "index.db")
    return "postgres", request.getfixturevalue("postgres")
