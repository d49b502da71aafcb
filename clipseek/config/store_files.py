"""The files of stores in SQLite: an `index.db` in each library's folder, and the lock of the server that uses them; for
a store in PostgreSQL, the file with its password.

Earlier versions could divide a library into several files, `shards-N/0/index.db` to `shards-N/N-1/index.db`. Servers
refuse such a store; `clipseek store copy` joins it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from clipseek.api.errors import InvalidSetting, StoreError
from clipseek.config.libraries import libraries_below, library_folder
from clipseek.config.settings import Settings

JOINED = ".joined"  # suffix of the files of a divided library that were joined


def read_store_password(settings: Settings) -> str:
    """The password for CLIPSEEK_STORE; empty if PostgreSQL's own ways have it. Raises: InvalidSetting."""
    if settings.store_password or not settings.store_password_file:
        return settings.store_password
    try:
        return Path(settings.store_password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"CLIPSEEK_STORE_PASSWORD_FILE, {settings.store_password_file}, cannot be read ({error})."
        ) from error


def has_store(folder: Path) -> bool:
    """Whether a library's folder has a store, divided or not."""
    file = folder / "index.db"
    is_whole = file.exists() and file.stat().st_size > 0  # SQLite creates an empty file when it opens none
    return is_whole or bool(list_parts(folder))


def list_parts(folder: Path) -> list[Path]:
    """The folders with the files of a divided library, in order; none where it is not divided.

    Two divisions, left by a command of an earlier version that was interrupted, are the same videos twice: one of them.
    """
    parts = [path.parent for path in folder.glob("shards-*/*/index.db") if path.parent.parent.name[7:].isdigit()]
    parts.sort(key=lambda path: (int(path.parent.name[7:]), int(path.name)))
    return [path for path in parts if path.parent == parts[0].parent]


def lock_of(home: Path) -> Path:
    """The file that a server locks while it uses the stores below `home`."""
    return home / "server.lock"


@contextmanager
def out_of_use(home: Path, *, is_store: bool = True) -> Iterator[None]:
    """Keep servers away from the stores below `home`. Where none may be (`is_store`), no lock is made.

    Raises: StoreError: a server is using them.
    """
    with ExitStack() as locks:
        for file in sorted({*home.glob("server*.lock"), *([lock_of(home)] if is_store else [])}):
            try:
                locks.enter_context(FileLock(file).acquire(timeout=0))
            except Timeout as error:
                raise StoreError(f"The store {home} is in use by a server. Stop it, then repeat.") from error
        yield


def check_undivided(home: Path) -> None:
    """Raises: StoreError: an earlier version has divided a library below `home`; the message says how to join it."""
    for name in libraries_below(home):
        folder = library_folder(home, name)
        if parts := list_parts(folder):
            raise StoreError(
                f"The store {folder} is divided into {len(parts)} files, which this version does not use. Join them: "
                f"clipseek store copy {home} {home}"
            )
