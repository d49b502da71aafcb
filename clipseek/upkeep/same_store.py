"""Whether a store is still the one whose copy a folder has. Another store, or a disk that is not mounted, is refused.

Each database has an identity, which its copies share (executors/faiss_indexer/store). Those of version 0.1 have none:
two of them are of one store if they share a video.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipseek.api.errors import StoreError
from clipseek.api.formats import counted
from clipseek.config.libraries import MAIN, libraries_below, library_folder
from clipseek.config.shards import store_folders
from clipseek.machine.module_call import call_module

_REPORT = "executors.faiss_indexer.store.report"


@dataclass(frozen=True)
class Holdings:
    """What a library has: its databases by their place in `folder`, and how many files of videos."""

    folder: Path
    databases: Mapping[str, Mapping[str, Any]]
    files: int

    @property
    def videos(self) -> int:
        return sum(totals["videos"] for totals in self.databases.values())

    @property
    def identities(self) -> set[str]:
        return {totals["store_id"] for totals in self.databases.values()} - {""}

    def read_video_ids(self) -> set[str]:
        paths = [str(self.folder / name) for name in self.databases]
        titles = call_module(_REPORT, "titles", *paths, failure=StoreError) if paths else []
        return {video_id for store in titles for video_id in store}

    @property
    def is_unreadable(self) -> bool:
        return any(totals["problem"] for totals in self.databases.values())


def read_holdings(home: Path, files: Mapping[str, int]) -> dict[str, Holdings]:
    """What each library below `home` has; `files` are the counts of their files. Raises: StoreError."""
    names = sorted({*libraries_below(home), *files})
    folders = [(name, folder) for name in names for folder in store_folders(library_folder(home, name))]
    folders = [(name, folder) for name, folder in folders if (folder / "index.db").exists()]
    paths = [str(folder) for _, folder in folders]
    totals = call_module(_REPORT, "totals", *paths, failure=StoreError) if paths else []
    roots = {name: library_folder(home, name) for name in names}
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for (name, folder), values in zip(folders, totals, strict=True):
        found[name][str(folder.relative_to(roots[name]))] = values
    return {name: Holdings(roots[name], found[name], files.get(name, 0)) for name in names}


def check_same_store(home: Path, here: Mapping[str, Holdings], copy: Path, there: Mapping[str, Holdings]) -> None:
    """Compare the store `home` with a copy. Raises: StoreError: it is another store, or has lost everything."""
    for name, copied in there.items():
        own = here.get(name) or Holdings(library_folder(home, name), {}, 0)
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
    if not (own.identities and copied.identities):
        return bool(own.videos and copied.videos) and not own.read_video_ids() & copied.read_video_ids()
    common = own.databases.keys() & copied.databases.keys()
    if not common:
        return not own.identities & copied.identities
    # A store that was divided again has the identity of its first database everywhere: places alone tell nothing.
    known = own.identities & copied.identities
    pairs = [(own.databases[name]["store_id"], copied.databases[name]["store_id"]) for name in common]
    return any(first and second and not known & {first, second} for first, second in pairs)


def _list_losses(own: Holdings, copied: Holdings) -> Iterable[str]:
    if copied.videos and not own.videos:
        yield f"{counted(copied.videos, 'video')} in the index, of which none is left"
    elif own.databases.keys() < copied.databases.keys():
        yield f"the databases in {', '.join(sorted(copied.databases.keys() - own.databases.keys()))}"
    if copied.files and not own.files:
        yield f"{counted(copied.files, 'video file')}, of which none is left"
