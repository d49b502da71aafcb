"""Whether a store is still the one whose copy a folder has. Another store, or a disk that is not mounted, is refused.

Each database has an identity, which its copies share (executors/faiss_indexer/store). Those of version 0.1 have none:
two of them are of one store if they share a video.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipseek.api.errors import StoreError
from clipseek.api.formats import counted
from clipseek.config.libraries import MAIN, libraries_below, library_folder
from clipseek.machine.module_call import call_module


@dataclass(frozen=True)
class Holdings:
    """What a library has: the totals of its database, and how many files of videos. Without a database: no totals."""

    home: Path
    library: str
    totals: Mapping[str, Any]
    files: int

    @property
    def videos(self) -> int:
        return int(self.totals.get("videos", 0))

    @property
    def store_id(self) -> str:
        return str(self.totals.get("store_id", ""))

    def read_video_ids(self) -> set[str]:
        [titles] = _report(self.home, "titles", [self.library]) if self.totals else [{}]
        return set(titles)

    @property
    def is_unreadable(self) -> bool:
        return bool(self.totals.get("problem"))


def read_holdings(home: Path, files: Mapping[str, int], *, has_databases: bool = True) -> dict[str, Holdings]:
    """What each library with files in `home` has; `files` are the counts of their videos. Raises: StoreError."""
    names = sorted({*libraries_below(home), *files})
    stored = [name for name in names if has_databases and (library_folder(home, name) / "index.db").exists()]
    totals = dict(zip(stored, _report(home, "totals", stored), strict=True))
    return {name: Holdings(home, name, totals.get(name, {}), files.get(name, 0)) for name in names}


def _report(home: Path, command: str, libraries: Sequence[str]) -> list[dict[str, Any]]:
    if not libraries:
        return []
    environ = {"CLIPSEEK_HOME": str(home), "CLIPSEEK_STORE": ""}
    report = "executors.faiss_indexer.store.report"
    answers: list[dict[str, Any]] = call_module(report, command, *libraries, failure=StoreError, environ=environ)
    return answers


def check_same_store(home: Path, here: Mapping[str, Holdings], copy: Path, there: Mapping[str, Holdings]) -> None:
    """Compare the store `home` with a copy. Raises: StoreError: it is another store, or has lost everything."""
    for name, copied in there.items():
        own = here.get(name) or Holdings(home, name, {}, 0)
        library = "" if name == MAIN else f" library '{name}' of"
        if own.is_unreadable or copied.is_unreadable:
            continue  # copying it fails with the reason, or the copy is of no use
        if _is_other(own, copied):
            raise StoreError(
                f"The newest copy, {copy}, is not of{library} the store {home}, but of another store. Back up into "
                "another folder, or set CLIPSEEK_HOME to the store of the copy. If both are right, add --anyway."
            )
        if lost := "; ".join(_list_losses(own, copied)):
            raise StoreError(
                f"The newest copy, {copy}, has what{library} the store {home} has lost: {lost}. Is the disk of the "
                "store mounted? If you deleted this yourself, add --anyway."
            )


def _is_other(own: Holdings, copied: Holdings) -> bool:
    if not (own.store_id and copied.store_id):
        return bool(own.videos and copied.videos) and not own.read_video_ids() & copied.read_video_ids()
    return own.store_id != copied.store_id


def _list_losses(own: Holdings, copied: Holdings) -> Iterable[str]:
    if copied.videos and not own.videos:
        yield f"{counted(copied.videos, 'video')} in the index, of which none is left"
    if copied.files and not own.files:
        yield f"{counted(copied.files, 'video file')}, of which none is left"
