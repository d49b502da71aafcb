"""What videos there are below a folder at one moment, and by what a file is known to be unchanged without reading it."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from clipseek.watch.video_files import VIDEO_SUFFIXES


@dataclass(frozen=True)
class FileState:
    """A file at one moment. Two are equal if nothing was written between them."""

    size_bytes: int
    mtime_ns: int
    inode: int
    # The file system of its folder (not its own, which differs from it on overlays): a number that a mount may change.
    device: int = field(compare=False)

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """The state of a file now. Raises: OSError."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, path.parent.stat().st_dev)


@dataclass(frozen=True)
class FolderScan:
    """The videos below a folder.

    Attributes:
        videos: by their paths, relative to the folder.
        devices: the file system of each folder that was read, "" the folder itself.
        unread: what could not be read, with the reason: there may be videos in it.
    """

    videos: dict[str, FileState]
    devices: dict[str, int]
    unread: dict[str, str]

    def has_lost(self, path: str, device: int) -> bool:
        """Whether a video that was at `path`, on this file system, is there no more.

        It is not sure where something could not be read, where no video is left at all, and where its folder, or what
        is left of the way to it, lies on another file system than it did: a share that is not mounted looks so.
        """
        if path in self.videos or self.unread or not self.videos:
            return False
        folder = os.path.dirname(path)  # noqa: PTH120 (as in the keys: "" is the folder itself)
        while folder not in self.devices:
            folder = os.path.dirname(folder)  # noqa: PTH120
        return self.devices[folder] == device


def scan_folder(root: Path) -> FolderScan:
    """Look for videos as `clipseek index FOLDER` does, but leave out what is hidden (`.name`): what copying programs,
    desktops and snapshots keep. Links to files are followed, links to folders are not, so there are no loops."""
    scan = FolderScan({}, {}, {})
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            scan.devices[folder] = (root / folder).stat().st_dev
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = os.path.join(folder, entry.name)  # noqa: PTH118 (bytes that are no UTF-8 stay as they are)
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif os.path.splitext(entry.name)[1].lower() in VIDEO_SUFFIXES:  # noqa: PTH122
                        _note_video(scan, folder, path, entry)
        except OSError as error:
            scan.unread[folder] = error.strerror or str(error)
    return scan


def _note_video(scan: FolderScan, folder: str, path: str, entry: "os.DirEntry[str]") -> None:
    try:
        found = entry.stat()
    except FileNotFoundError:  # it went meanwhile, or is a link to nothing
        return
    except OSError as error:
        scan.unread[path] = error.strerror or str(error)
        return
    if stat.S_ISREG(found.st_mode):
        scan.videos[path] = FileState(found.st_size, found.st_mtime_ns, found.st_ino, scan.devices[folder])
