"""Keeps a library up to date with folders: new files are indexed, changed ones replaced."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from clipseek.api.bounds import check_language
from clipseek.api.errors import VideoNotFound
from clipseek.client import Client
from clipseek.client.indexing import IndexOptions
from clipseek.watch.folder_scan import FileState, FolderScan, scan_folder
from clipseek.watch.intake import Event, Intake, Show, Tell
from clipseek.watch.state import WatchedVideo, WatchState


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
    """Tells which files have not changed for some seconds. A video that is being copied changes more often."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._since: dict[object, dict[str, tuple[FileState, float]]] = {}

    def settled(self, group: object, files: Mapping[str, FileState]) -> dict[str, FileState]:
        """The settled files of a group. `files` are all of the group, by name; absent ones start over."""
        now, before = self._clock(), self._since.get(group, {})
        since: dict[str, tuple[FileState, float]] = {}
        for name, state in files.items():
            old_state, since_time = before.get(name, (state, now))
            since[name] = (state, since_time if old_state == state else now)
        self._since[group] = since
        return {name: state for name, (state, since_time) in since.items() if now - since_time >= self._seconds}


class Watcher:
    """Brings the videos below folders into the library of `client`.

    Args:
        roots: the folders.
        state: what earlier watchers did.
        delete: also delete the videos of files that are gone, if a watcher added them and no other file is the same.
        settle_seconds: how long a file must be unchanged before it is indexed.
        tell: called with each event.
        show: makes the context in which a video's progress is shown, given the file's name.
        options: how each video is indexed.

    Raises: InvalidRequest: the language is no code.
    """

    def __init__(
        self,
        client: Client,
        roots: Sequence[Path],
        state: WatchState,
        *,
        tell: Tell,
        show: Show,
        delete: bool = False,
        settle_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        **options: Unpack[IndexOptions],
    ) -> None:
        check_language(options.get("language", ""))  # no fault of the videos
        self._client, self._roots, self._state, self._tell, self._delete = client, roots, state, tell, delete
        self._timer = SettleTimer(settle_seconds, clock)
        self._intake = Intake(client, state, tell=tell, show=show, options=options, clock=clock)
        self._problems: dict[Path, str] = {}  # of folders, as reported
        self.address = client.address
        self.moving = 0  # changed files that had not settled at the last look
        self.watched = 0  # videos that were there then

    def begin(self, *, again: bool = False) -> None:
        """Compare with the library. Videos that failed, or that others deleted, are left out until the file changes.

        With `again` they are indexed again. Raises: as `Client.videos`.
        """
        library = {video.video_id for video in self._client.videos()}
        for video_id in self._state.added_ids() - library:
            self._state.forget_added(video_id)
        for root in self._roots:
            for path, video in self._state.videos(root).items():
                if video.video_id and video.video_id not in library:
                    self._drop(root, path, video, again)
        if again:
            for root in self._roots:
                failed = {path: video for path, video in self._state.videos(root).items() if video.error}
                self._state.save(root, {path: replace(video, error="") for path, video in failed.items()})

    def look(self) -> None:
        """Look through the folders once, and index, move or delete what changed.

        Raises: AWAY, AccessDenied, ModelError, InvalidSetting: the rest cannot be done now. What is done is saved.
        """
        self.moving = self.watched = 0
        for root in self._roots:
            self._look_below(root)
        for video_id in self._state.orphans():
            try:
                video = self._client.delete(video_id)
                self._event("deleted", video.title, f"its video ({video_id[:12]}) is deleted.", video_id)
            except VideoNotFound:
                pass
            self._state.forget_added(video_id)

    def _drop(self, root: Path, path: str, video: WatchedVideo, again: bool) -> None:
        reason = "someone else deleted its video"
        self._state.save(root, {path: replace(video, video_id="", error=video.error or reason)})
        if not again:
            self._event("dropped", root / path, f"{reason}. It is indexed again when it changes, or with --again.")

    def _look_below(self, root: Path) -> None:
        scan, known = scan_folder(root), self._state.videos(root)
        self._report_problem(root, scan, known)
        self.watched += len(scan.videos)
        self._refresh(root, scan, known)
        changes = find_changes(known, scan)
        settled = Changes(
            self._timer.settled((root, "videos"), changes.videos), self._timer.settled((root, "lost"), changes.lost)
        )
        reported = {path for path in changes.lost if known[path].is_missing and not self._delete}
        self.moving += (
            len(changes.videos) - len(settled.videos) + len(changes.lost.keys() - settled.lost.keys() - reported)
        )
        moves = find_moves(settled)
        for path, old_path in moves.items():
            video = replace(known[old_path], state=settled.videos[path], is_missing=False)
            self._intake.follow_title(video.video_id, root / old_path, root / path)
            self._state.save(root, {path: video}, old_path=old_path)
            self._event("moved", root / path, f"was {old_path}; it is not indexed again.", video.video_id)
        for path in sorted(settled.videos.keys() - moves.keys()):
            self._intake.take(root, path, settled.videos[path], known.get(path))
        for path in sorted(settled.lost.keys() - moves.values()):
            self._lose(root, path, known[path])

    def _report_problem(self, root: Path, scan: FolderScan, known: Mapping[str, WatchedVideo]) -> None:
        problem = ""
        if scan.unread:
            path, reason = min(scan.unread.items())
            others = f", and {len(scan.unread) - 1} others cannot either" if len(scan.unread) > 1 else ""
            problem = f"{path or 'the folder'} cannot be read ({reason}){others}"
        elif known and not scan.videos:
            problem = "it has no videos any more, perhaps because it is not mounted"
        if problem and self._problems.get(root) != problem:
            self._event("folder", root, f"{problem}. Its videos are kept until the folder is readable.")
        self._problems[root] = problem

    def _refresh(self, root: Path, scan: FolderScan, known: Mapping[str, WatchedVideo]) -> None:
        """Save which files are back, and which have only another number of their file system."""
        same = {
            path: replace(video, state=scan.videos[path], is_missing=False)
            for path, video in known.items()
            if video.state == scan.videos.get(path)
            and (video.is_missing or video.state.device != scan.videos[path].device)
        }
        if same:
            self._state.save(root, same)

    def _lose(self, root: Path, path: str, video: WatchedVideo) -> None:
        video_id = video.video_id or video.coming_id
        is_elsewhere = any(other != root / path for other in self._state.files_of(video_id))
        if not video_id or is_elsewhere or self._delete:
            self._state.forget(root, path)  # its video is then an orphan, if a watcher added it
        elif not video.is_missing:
            self._state.save(root, {path: replace(video, is_missing=True)})
            self._event("missing", root / path, "is gone; its video stays (--delete deletes it).", video_id)

    def _event(self, kind: str, path: Path | str, message: str, video_id: str = "") -> None:
        self._tell(Event(kind, str(path), message, video_id))
