"""What has changed in a folder since the last look, and what has settled since."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clipseek.watch.folder_scan import FileState, FolderScan
from clipseek.watch.state import WatchedVideo


@dataclass(frozen=True)
class Changes:
    """How a folder differs from what is remembered. Paths are relative to the folder."""

    videos: dict[str, FileState]  # new, changed or unfinished files, as they are now
    lost: dict[str, FileState]  # files that are gone, as they were


def find_changes(known: Mapping[str, WatchedVideo], scan: FolderScan) -> Changes:
    """Compare what is remembered of a folder with what is there. Unchanged files that failed do not count."""
    videos = {
        path: state
        for path, state in scan.videos.items()
        if path not in known or known[path].state != state or not known[path].is_settled
    }
    lost = {path: video.state for path, video in known.items() if scan.has_lost(path, video.state.device)}
    return Changes(videos, lost)


def find_moves(changes: Changes) -> dict[str, str]:
    """The old path of each file that has a new path and is otherwise unchanged."""
    old_paths = {state: path for path, state in changes.lost.items()}
    return {path: old_paths.pop(state) for path, state in changes.videos.items() if state in old_paths}


class SettleTimer:
    """Tells which files have not changed for some time.

    Args:
        seconds: that time. A video that is being copied changes more often.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._since: dict[object, dict[str, tuple[FileState, float]]] = {}

    def settled(self, group: object, files: Mapping[str, FileState]) -> dict[str, FileState]:
        """The settled files of a group. `files` are all of the group, by name; absent ones start over."""
        now, before = self._clock(), self._since.get(group, {})
        since: dict[str, tuple[FileState, float]] = {}
        for name, state in files.items():
            old_state, time = before.get(name, (state, now))
            since[name] = (state, time if old_state == state else now)
        self._since[group] = since
        return {name: state for name, (state, time) in since.items() if now - time >= self._seconds}
