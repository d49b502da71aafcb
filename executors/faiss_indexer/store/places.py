"""Where the settings put the stores: an SQLite file in each library's folder, or a schema of a PostgreSQL database."""

from clipseek.config.libraries import libraries_below, library_folder
from clipseek.config.settings import Settings
from clipseek.config.store_files import read_store_password
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.sqlite import SqliteDatabase


def open_database(settings: Settings, library: str, mode: str = "rwc") -> Database:
    """The database of a library. `mode` is SQLite's, see `SqliteDatabase`. Raises: InvalidRequest: a wrong name."""
    folder = library_folder(settings.home, library)
    if not settings.store:
        return SqliteDatabase(folder / "index.db", mode)
    from executors.faiss_indexer.store.postgres import PostgresDatabase

    return PostgresDatabase(settings.store, library, read_store_password(settings))


def list_libraries(settings: Settings) -> list[str]:
    """The libraries that have a store. Raises: StoreUnreachable, StoreError."""
    if settings.store:
        from executors.faiss_indexer.store.postgres import list_schemas

        return list_schemas(settings.store, read_store_password(settings))
    names = libraries_below(settings.home)
    return [name for name in names if (library_folder(settings.home, name) / "index.db").exists()]
