"""Which videos are below a folder now, and what shows that a file is unchanged without reading it."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clipseek.api.errors import NoVideosFound
from clipseek.watch.video_formats import VIDEO_SUFFIXES

# Folders in which systems and disk stations keep deleted files, previews and snapshots, in lower case. Most others
# have a dot in front.
_SYSTEM_FOLDERS = frozenset(
    {
        *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "lost+found"),
        *("#recycle", "#snapshot", "@eadir", "@recycle", "@recently-snapshot", "@tmp", "__macosx"),
        *("network trash folder", "temporary items"),
    }
)
# Of links that lead nowhere, or in a circle: there is no video behind them.
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


def videos_below(path: Path) -> Iterator[Path]:
    """A file itself, or the videos below a folder, sorted by name (see `scan_folder`). Raises: NoVideosFound."""
    if not path.is_dir():
        yield path
        return
    videos = scan_folder(path).videos
    if not videos:
        raise NoVideosFound(
            f"There are no videos in or below the folder '{path}'. Videos end in {', '.join(sorted(VIDEO_SUFFIXES))}. "
            "Hidden files and trash are skipped."
        )
    yield from sorted(path / video for video in videos)


@dataclass(frozen=True)
class FileState:
    """A file at one moment. Two states are equal if nothing was written in between."""

    size_bytes: int
    mtime_ns: int
    inode: int
    # The file system of its folder; the file's own differs on overlays. A new mount may change this number.
    device: int = field(compare=False)

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """The state of a file now. Raises: OSError."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ino, path.parent.stat().st_dev)


@dataclass(frozen=True)
class FolderScan:
    videos: dict[str, FileState]  # by their relative paths
    devices: dict[str, int]  # the file system of each folder that was read; "" is the folder itself
    unread: dict[str, str]  # paths that could not be read, with the reason. They may hold videos

    def has_lost(self, path: str, device: int) -> bool:
        """Whether a video that was at `path`, on this file system, is certainly gone.

        That is uncertain if something could not be read, if no video is left, and if its folder, or the nearest
        folder above it that still exists, is on another file system than before: an unmounted share looks like that.
        """
        if path in self.videos or self.unread or not self.videos:
            return False
        folder = os.path.dirname(path)  # noqa: PTH120 (as in the keys: "" is the folder itself)
        while folder not in self.devices:
            folder = os.path.dirname(folder)  # noqa: PTH120
        return self.devices[folder] == device


def scan_folder(root: Path) -> FolderScan:
    """Find the videos below a folder, but no hidden ones (`.name`), and none in trash and folders of the system.

    Copying programs, desktops, disk stations and snapshots use those. Links to files are followed. Links to folders
    are not, so there are no loops.
    """
    scan = FolderScan({}, {}, {})
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            scan.devices[folder] = (root / folder).stat().st_dev
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = os.path.join(folder, entry.name)  # noqa: PTH118 (bytes that are not UTF-8 stay as they are)
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name.lower() not in _SYSTEM_FOLDERS:
                            folders.append(path)
                    elif os.path.splitext(entry.name)[1].lower() in VIDEO_SUFFIXES:  # noqa: PTH122
                        _add_video(scan, folder, path, entry)
        except OSError as error:
            scan.unread[folder] = error.strerror or str(error)
    return scan


def _add_video(scan: FolderScan, folder: str, path: str, entry: "os.DirEntry[str]") -> None:
    try:
        info = entry.stat()
    except OSError as error:  # or it was removed in between
        if error.errno not in _LEADS_NOWHERE:
            scan.unread[path] = error.strerror or str(error)
        return
    if stat.S_ISREG(info.st_mode):
        scan.videos[path] = FileState(info.st_size, info.st_mtime_ns, info.st_ino, scan.devices[folder])
