"""Files that only their owner may read: the store, which has people's videos, and the cache with clips of them."""

import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

_OTHERS = 0o077  # the rights of group and others
_STORE = (
    r"index(-.*)?|index\.db.*|(media|uploads)(\.locks)?|libraries|shards-[0-9].*|server.*\.lock|access\..*|audit\..*"
)
_PAGE = r"clients|page|other-pages"
_CACHE = r"models|clips|clips\.locks|videos|videos\.locks|samples|int8|opened|auto\.json.*|hashes.*"
_NAMES = re.compile(f"{_STORE}|{_PAGE}|{_CACHE}|backup\\.unfinished")


def make_private_from_now_on() -> int:
    """Let this process, and those it starts, create files for their owner only. Returns: the umask before."""
    return os.umask(_OTHERS)


def protect(*folders: Path) -> None:
    """Take the rights of others from what ClipSeek keeps in these folders; versions before 0.2 left them to the umask.

    Files that ClipSeek did not name stay as they are, and so does a folder with such files: its owner may share it.
    Links are not followed. What cannot be changed is logged.
    """
    for folder in folders:
        open_paths = [path for path in _own_paths(folder) if not _restrict(path)]
        if open_paths:
            logger.warning(
                "Other users of this machine may read %d files and folders in %s, for example %s: they belong to "
                "another user, or the disk keeps no rights. Change their owner, or the rights of a folder above.",
                len(open_paths),
                folder,
                open_paths[0],
            )


def _own_paths(folder: Path) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:  # not there yet, or unreadable: then the one that needs it says so
        return
    own = [path for path in paths if _NAMES.fullmatch(path.name)]
    for path in own:
        yield path
        if not path.is_symlink():
            for below, folders, files in os.walk(path):
                yield from (Path(below) / name for name in (*folders, *files))
    if own == paths and not folder.stat().st_mode & stat.S_ISVTX:  # such as /tmp
        yield folder


def _restrict(path: Path) -> bool:
    """Take the rights of others from a file or folder. Returns: False if they keep some."""
    try:
        state = path.lstat()
        if state.st_mode & _OTHERS and (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
            if state.st_uid != os.geteuid():  # the superuser could, but it is not ours
                return False
            path.chmod(stat.S_IMODE(state.st_mode) & ~_OTHERS)
    except FileNotFoundError:  # removed meanwhile
        return True
    except OSError:
        return False
    return True
