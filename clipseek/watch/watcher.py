"""Keeps a library up to date with folders: what appears below them is indexed, what changes is exchanged."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from clipseek.api.documents import Video
from clipseek.api.errors import (
    AccessDenied,
    ClipSeekError,
    DeadlineExceeded,
    DecoderCrashed,
    InvalidRequest,
    InvalidSetting,
    ModelError,
    RequestLost,
    ServerNotReady,
    ServerUnreachable,
    StoreError,
    TooManyRequests,
    UnreadableVideo,
    VideoNotFound,
)
from clipseek.api.query_parts import sendable
from clipseek.client import Client, Indexed, OnProgress, Progress
from clipseek.client.upload_source import sha256, upload_source
from clipseek.watch.folder_scan import FileState, FolderScan, scan_folder
from clipseek.watch.state import WatchedVideo, WatchState

# What is wrong with a video, until it is written anew.
_OF_THE_VIDEO = (UnreadableVideo, DecoderCrashed, DeadlineExceeded, InvalidRequest)
# What is wrong with the server, for all videos alike, and passes.
AWAY = (ServerUnreachable, ServerNotReady, StoreError, TooManyRequests)
# What no waiting mends. Everything else may be different the next time a video is tried.
_FOR_GOOD = (AccessDenied, ModelError, InvalidSetting)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 30.0, 3600.0  # until a video is tried again that failed


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: "added", "known" (the library had it), "changed", "moved", "missing" (its video stays), "deleted" (the
            video), "dropped" (others deleted its video), "failed" (this video, until it changes), "later" (this video,
            for now), "folder" (it cannot be read) or "away" (the server).
        path: the file or folder; of a video that is deleted, its title; of the server, its address.
        message: the rest of the sentence that begins with the path.
    """

    kind: str
    path: str
    message: str
    video_id: str = ""


@dataclass(frozen=True)
class Differences:
    """What a folder has, and the state has not: paths relative to the folder, and what is there now."""

    videos: dict[str, FileState]  # new, changed, or not done with
    lost: dict[str, FileState]  # where there is no file any more; as it was


def differences(known: Mapping[str, WatchedVideo], scan: FolderScan) -> Differences:
    """Compare what is remembered of a folder with what is there. Videos that are broken as they are make none."""
    videos = {
        path: state
        for path, state in scan.videos.items()
        if path not in known or known[path].state != state or not known[path].is_settled
    }
    lost = {path: video.state for path, video in known.items() if scan.has_lost(path, video.state.device)}
    return Differences(videos, lost)


def moves(found: Differences) -> dict[str, str]:
    """The old path of each file that has another one and is the same otherwise."""
    old_paths = {state: path for path, state in found.lost.items()}
    return {path: old_paths.pop(state) for path, state in found.videos.items() if state in old_paths}


class StandingStill:
    """Knows since when things have been as they are.

    Args:
        seconds: from when on a thing is taken to stand still: a video that is being copied changes in between.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._since: dict[object, dict[str, tuple[FileState, float]]] = {}

    def of(self, group: object, things: Mapping[str, FileState]) -> dict[str, FileState]:
        """Those of all the things of a group, by their names, that stand still."""
        now, before = self._clock(), self._since.get(group, {})
        since: dict[str, tuple[FileState, float]] = {}
        for name, state in things.items():
            was, when = before.get(name, (state, now))
            since[name] = (state, when if was == state else now)
        self._since[group] = since
        return {name: state for name, (state, when) in since.items() if now - when >= self._seconds}


class Watcher:
    """Brings what is below folders into the library of `client`.

    Args:
        roots: the folders.
        state: what earlier watchers did.
        delete: also delete the videos of files that are gone, if a watcher brought them and no other file is the same.
        settle_seconds: how long a file must stand still before it is taken.
        frames_per_second, sampling: as of `Client.index`.
        tell: is given each event.
        show: makes for a video's name what its progress is given to.
    """

    def __init__(
        self,
        client: Client,
        roots: Sequence[Path],
        state: WatchState,
        *,
        tell: Callable[[Event], None],
        show: Callable[[str], AbstractContextManager[OnProgress]],
        delete: bool = False,
        settle_seconds: float = 10.0,
        frames_per_second: float | None = None,
        sampling: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._roots, self._state, self._delete = client, roots, state, delete
        self._frames_per_second, self._sampling = frames_per_second, sampling
        self._tell, self._show, self._clock = tell, show, clock
        self._still = StandingStill(settle_seconds, clock)
        self._later: dict[Path, tuple[FileState, float, float]] = {}  # when to try again, and the pause after that
        self._troubles: dict[Path, str] = {}  # as told
        self.address = client.address
        self.moving = 0  # files that differed at the last look, for which it was too early to do something
        self.watched = 0  # videos that were there then

    def begin(self, *, again: bool = False) -> None:
        """Compare with the library. What others deleted from it stays out until its file changes, what failed, too.

        Args:
            again: take both up again instead.

        Raises: as `Client.videos`.
        """
        there = {video.video_id for video in self._client.videos()}
        for video_id in self._state.brought() - there:
            self._state.disown(video_id)
        for root in self._roots:
            for path, video in self._state.videos(root).items():
                if video.video_id and video.video_id not in there:
                    why = "its video was deleted by others"
                    self._state.keep(root, {path: replace(video, video_id="", error=video.error or why)})
                    if not again:
                        self._event("dropped", root / path, f"{why}. It stays out until it changes, or with --again.")
        if again:
            for root in self._roots:
                videos = self._state.videos(root)
                self._state.keep(root, {path: replace(f, error="") for path, f in videos.items() if f.error})

    def look(self) -> None:
        """Look through the folders once and do what there is to do.

        Raises:
            AWAY, AccessDenied, ModelError: nothing more can be done now. What was done is kept.
        """
        self.moving = self.watched = 0
        for root in self._roots:
            self._look_below(root)
        for video_id in self._state.left_over():
            try:
                video = self._client.delete(video_id)
                self._event("deleted", video.title, f"its video ({video_id[:12]}) is deleted.", video_id)
            except VideoNotFound:
                pass
            self._state.disown(video_id)

    def _look_below(self, root: Path) -> None:
        scan, known = scan_folder(root), self._state.videos(root)
        self._tell_trouble(root, scan, known)
        self.watched += len(scan.videos)
        self._refresh(root, scan, known)
        found = differences(known, scan)
        still = Differences(self._still.of((root, "videos"), found.videos), self._still.of((root, "lost"), found.lost))
        told = {path for path in found.lost if known[path].is_missing and not self._delete}
        self.moving += len(found.videos) - len(still.videos) + len(found.lost.keys() - still.lost.keys() - told)
        moved = moves(still)
        for path, old_path in moved.items():
            video = known[old_path]
            self._follow_title(video.video_id, root / old_path, root / path)
            self._state.keep(root, {path: replace(video, state=still.videos[path], is_missing=False)}, was=old_path)
            self._event("moved", root / path, f"was {old_path}, nothing is indexed anew.", video.video_id)
        for path in sorted(still.videos.keys() - moved.keys()):
            self._take(root, path, still.videos[path], known.get(path))
        for path in sorted(still.lost.keys() - moved.values()):
            self._lose(root, path, known[path])

    def _tell_trouble(self, root: Path, scan: FolderScan, known: Mapping[str, WatchedVideo]) -> None:
        """Tell once what of a folder cannot be read."""
        trouble = ""
        if scan.unread:
            path, why = min(scan.unread.items())
            others = f", nor can {len(scan.unread) - 1} others" if len(scan.unread) > 1 else ""
            trouble = f"{path or 'the folder'} cannot be read ({why}){others}"
        elif known and not scan.videos:
            trouble = "no video is left in it, perhaps because it is not mounted"
        if trouble and self._troubles.get(root) != trouble:
            self._event("folder", root, f"{trouble}. Until this is over no video below it is taken to be gone.")
        self._troubles[root] = trouble

    def _refresh(self, root: Path, scan: FolderScan, known: Mapping[str, WatchedVideo]) -> None:
        """Note what is back, and what is the same on a file system with another number."""
        same = {
            path: replace(video, state=scan.videos[path], is_missing=False)
            for path, video in known.items()
            if video.state == scan.videos.get(path)
            and (video.is_missing or video.state.device != scan.videos[path].device)
        }
        if same:
            self._state.keep(root, same)

    def _take(self, root: Path, path: str, seen: FileState, known: WatchedVideo | None) -> None:
        """Bring a video in, or tell why not."""
        file = root / path
        before, not_before, pause = self._later.get(file, (seen, 0.0, _FIRST_PAUSE_SECONDS))
        if before != seen:
            pause = _FIRST_PAUSE_SECONDS
        elif self._clock() < not_before:
            return
        if not _is_still(file, seen):
            return
        try:
            self._bring(root, path, seen, known or WatchedVideo(seen))
            self._later.pop(file, None)
        except _FOR_GOOD:
            raise
        except _OF_THE_VIDEO as error:
            now = self._state.videos(root).get(path, known or WatchedVideo(seen))
            self._state.keep(root, {path: replace(now, state=seen, error=str(error))})
            self._event("failed", file, f"{error} It is tried again when it changes.")
        except (ClipSeekError, OSError) as error:
            if isinstance(error, AWAY) and not isinstance(error, RequestLost):
                raise
            self._later[file] = (seen, self._clock() + pause, min(2 * pause, _LONGEST_PAUSE_SECONDS))
            if pause == _FIRST_PAUSE_SECONDS:  # the first time
                self._event("later", file, f"{error} It is tried again later.")

    def _bring(self, root: Path, path: str, seen: FileState, known: WatchedVideo) -> None:
        """Index a video, if it is not known under another name."""
        file = root / path
        with self._show(file.name) as progress:
            video_id = known.coming_id if known.state == seen else ""
            if not video_id:
                source = upload_source(file)
                video_id = sha256(source, lambda done: progress(Progress("hash", done, source.size_bytes)))
            if video_id == known.video_id or self._is_known_elsewhere(file, video_id):
                self._state.keep(root, {path: WatchedVideo(seen, video_id)})
                return
            brought = video_id in self._state.brought() or self._video(video_id) is None
            coming = replace(known, state=seen, coming_id=video_id, error="", is_missing=False)
            self._state.keep(root, {path: coming}, brings=video_id if brought else "")
            is_replaced = known.video_id in self._state.brought() and set(self._state.files_of(known.video_id)) == {
                file
            }
            before = self._video(known.video_id) if brought and is_replaced else None
            done = self._client.index(
                file,
                title=before.title if before else None,  # which people may have chosen
                frames_per_second=self._frames_per_second,
                sampling=self._sampling,
                content_sha256=video_id,
                progress=progress,
            )
        self._state.keep(root, {path: WatchedVideo(seen, video_id)})
        kind = "changed" if known.video_id else "added" if brought else "known"
        self._event(kind, file, _sentence(done), video_id)

    def _is_known_elsewhere(self, file: Path, video_id: str) -> bool:
        """Whether another watched file is, or was, the same, and so there is nothing to index. If it is gone, this one
        is that one under another name."""
        others = self._state.files_of(video_id)
        gone = [other for other in others if not other.exists()]
        if gone:
            self._follow_title(video_id, gone[0], file)
        if others:
            what = f"was {gone[0]}" if gone else f"is the same as {others[0]}"
            self._event("moved" if gone else "known", file, f"{what}, nothing is indexed anew.", video_id)
        return bool(others)

    def _follow_title(self, video_id: str, old_file: Path, file: Path) -> None:
        """Give the video of a file that has another name now that name, unless it has a title that people chose."""
        video = self._video(video_id) if video_id in self._state.brought() else None
        if video and video.title == sendable(old_file.name) and old_file.name != file.name:
            self._client.rename(video_id, file.name)

    def _lose(self, root: Path, path: str, video: WatchedVideo) -> None:
        """Do what is to be done for a file that is gone."""
        video_id = video.video_id or video.coming_id
        is_elsewhere = any(other != root / path for other in self._state.files_of(video_id))
        if not video_id or is_elsewhere or self._delete:
            self._state.forget(root, path)  # its video is left over then, if it was brought
        elif not video.is_missing:
            self._state.keep(root, {path: replace(video, is_missing=True)})
            self._event("missing", root / path, "is gone, its video stays (--delete would delete it).", video_id)

    def _video(self, video_id: str) -> Video | None:
        try:
            return self._client.video(video_id)
        except VideoNotFound:
            return None

    def _event(self, kind: str, path: Path | str, message: str, video_id: str = "") -> None:
        self._tell(Event(kind, str(path), message, video_id))


def _is_still(file: Path, seen: FileState) -> bool:
    """Whether a file is as it was seen. Else it is gone, or is written again and stands still another time."""
    try:
        return FileState.of(file) == seen
    except OSError:
        return False


def _sentence(done: Indexed) -> str:
    if not done.frames_added:
        return f"was in the library already, {done.video.frames} frames."
    seconds, took = done.video.duration_seconds, done.elapsed_seconds
    return f"{done.frames_added} frames, {seconds:.1f} s of video in {took:.1f} s."
