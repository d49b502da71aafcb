"""How a library is divided into shards: each video lives on one of them, told by its id.

The folder of a library that is not divided holds `index.db`. One that is divided into N shards holds `shards-N/0` to
`shards-N/N-1`, each with an `index.db` of its own. So the count is known from the names, and no start mistakes one
division for another.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from clipseek.api.errors import StoreError
from clipseek.config.libraries import libraries_below, library_folder

MAKING = ".making"  # ends the name of a folder that `clipseek reshard` has not finished
RETIRED = ".retired"  # ends the name of what it has taken the place of
_DIVIDED = re.compile(r"shards-([0-9]+)")


def shard_of(video_id: str, shards: int) -> int:
    """The shard that a video lives on, the same on every machine and for ever."""
    return zlib.crc32(video_id.encode()) % shards


def divided_folder(folder: Path, shards: int) -> Path:
    """Where the shards of the library in `folder` are kept."""
    return folder / f"shards-{shards}"


def shard_folder(folder: Path, shard: int, shards: int) -> Path:
    """Where a shard of the library in `folder` is kept: the folder itself where it is not divided."""
    return folder if shards == 1 else divided_folder(folder, shards) / str(shard)


def shard_folders(folder: Path, shards: int) -> list[Path]:
    """Those of all shards, in their order."""
    return [shard_folder(folder, shard, shards) for shard in range(shards)]


def divisions(folder: Path) -> list[int]:
    """The counts of shards that there are stores for in a library's folder: one; none before the first start; two
    where `clipseek reshard` was broken off."""
    file = folder / "index.db"
    found = [1] if file.exists() and file.stat().st_size else []  # whoever opens none with SQLite makes an empty one
    named = (_DIVIDED.fullmatch(each.name) for each in sorted(folder.glob("shards-*")))
    return [*found, *(int(match[1]) for match in named if match)]


def store_folders(folder: Path) -> list[Path]:
    """The folders of all stores of a library."""
    return [each for shards in divisions(folder) for each in shard_folders(folder, shards)]


def locks_of(home: Path, shards: Iterable[int]) -> list[Path]:
    """The files that the processes of these shards lock while they use the stores below `home`."""
    return [home / ("server.lock" if shard == 0 else f"server-{shard}.lock") for shard in shards]


@contextmanager
def out_of_use(home: Path, shards: Iterable[int] = ()) -> Iterator[None]:
    """Keep servers away from the store in `home`: hold the locks that there are, and those of these shards.

    Raises:
        StoreError: a server is using it.
    """
    with ExitStack() as locks:
        for file in sorted({*home.glob("server*.lock"), *locks_of(home, shards)}):
            try:
                locks.enter_context(FileLock(file).acquire(timeout=0))
            except Timeout as error:
                raise StoreError(f"The store {home} is in use by a server. Stop it, then repeat.") from error
        yield


def check_whole(folder: Path, shards: int | str = "N") -> None:
    """Raises: StoreError: `clipseek reshard`, into so many shards, was broken off in a library's folder."""
    if len(divisions(folder)) > 1:
        raise StoreError(
            f"`clipseek reshard` was broken off in {folder}. Run it again before anything else: clipseek reshard "
            f"{shards}. Nothing is lost."
        )


def check_division(home: Path, shards: int) -> None:
    """Check that every library below `home` is divided into so many shards, or is yet to be made.

    Raises:
        StoreError: one is not; the message says what to do.
    """
    for name in libraries_below(home):
        folder = library_folder(home, name)
        check_whole(folder, shards)
        found = divisions(folder)
        if found not in ([], [shards]):
            raise StoreError(
                f"The store {folder} was made for CLIPSEEK_SHARDS={found[0]}, but that is {shards}: videos would not "
                f"be found. Set it back, or divide the store anew: clipseek reshard {shards}"
            )
