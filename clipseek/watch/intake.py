"""Brings one watched file into the library, and tries again what failed."""

from collections.abc import Callable
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
from clipseek.api.formats import is_same_name, plain_title, sendable
from clipseek.client import Client, Indexed, OnProgress, Progress
from clipseek.client.indexing import IndexOptions
from clipseek.client.upload_source import sha256, upload_source
from clipseek.watch.folder_scan import FileState
from clipseek.watch.state import WatchedVideo, WatchState


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Its kind is "added", "known" (the library had it), "changed", "moved", "missing" (the file; its video stays),
    "deleted" (the video), "dropped" (someone else deleted its video), "failed" (until the file changes), "later" (it is
    tried again), "folder" (it cannot be read) or "away" (the server).
    """

    kind: str
    path: str  # the file or folder; the title of a deleted video; the address of the server
    message: str  # the rest of the sentence that begins with the path
    video_id: str = ""


Tell = Callable[[Event], None]


# The video is at fault, until its file changes.
_VIDEO_FAULTS = (UnreadableVideo, DecoderCrashed, DeadlineExceeded, InvalidRequest)
# The server is at fault, for all videos alike, and recovers.
AWAY = (ServerUnreachable, ServerNotReady, StoreError, TooManyRequests)
# Waiting does not help. All other errors may be gone the next time.
_PERMANENT = (AccessDenied, ModelError, InvalidSetting)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 30.0, 3600.0  # before a video that failed is tried again

Show = Callable[[str], AbstractContextManager[OnProgress]]


@dataclass(frozen=True)
class _Retry:
    state: FileState
    at: float
    pause_seconds: float


class Intake:
    """Indexes watched files in the library of `client`. For the arguments see `Watcher`."""

    def __init__(
        self,
        client: Client,
        state: WatchState,
        *,
        tell: Tell,
        show: Show,
        options: IndexOptions,
        clock: Callable[[], float],
    ) -> None:
        self._client, self._state, self._tell, self._show, self._clock = client, state, tell, show, clock
        self._options = options
        self._retries: dict[Path, _Retry] = {}

    def take(self, root: Path, path: str, seen: FileState, known: WatchedVideo | None) -> None:
        """Index a file as it was seen, or tell why not.

        Raises: AWAY, AccessDenied, ModelError, InvalidSetting: no video can be indexed now.
        """
        file = root / path
        retry = self._retries.get(file)
        if retry and retry.state == seen and self._clock() < retry.at:
            return
        if not _is_unchanged(file, seen):
            return
        try:
            self._index(root, path, seen, known or WatchedVideo(seen))
            self._retries.pop(file, None)
        except _PERMANENT:
            raise
        except _VIDEO_FAULTS as error:
            video = self._state.videos(root).get(path, known or WatchedVideo(seen))
            self._state.save(root, {path: replace(video, state=seen, error=str(error))})
            self._event("failed", file, f"{error} It is tried again when it changes.")
        except (ClipSeekError, OSError) as error:
            if isinstance(error, AWAY) and not isinstance(error, RequestLost):
                raise
            self._postpone(file, seen, error)

    def follow_title(self, video_id: str, old_file: Path, file: Path) -> None:
        """Rename the video of a renamed file, unless somebody chose its title."""
        video = self._video(video_id) if video_id in self._state.added_ids() else None
        old_title = plain_title(sendable(old_file.name))
        if video and is_same_name(video.title, old_title) and old_file.name != file.name:
            self._client.rename(video_id, file.name)

    def _postpone(self, file: Path, seen: FileState, error: Exception) -> None:
        retry = self._retries.get(file)
        pause = retry.pause_seconds if retry and retry.state == seen else _FIRST_PAUSE_SECONDS
        self._retries[file] = _Retry(seen, self._clock() + pause, min(2 * pause, _LONGEST_PAUSE_SECONDS))
        if pause == _FIRST_PAUSE_SECONDS:
            self._event("later", file, f"{error} It is tried again later.")

    def _index(self, root: Path, path: str, seen: FileState, known: WatchedVideo) -> None:
        file = root / path
        with self._show(file.name) as progress:
            video_id = self._video_id(file, seen, known, progress)
            if video_id == known.video_id or self._is_known_elsewhere(file, video_id):
                self._state.save(root, {path: WatchedVideo(seen, video_id)})
                return
            added_ids = self._state.added_ids()
            is_new = video_id in added_ids or self._video(video_id) is None
            coming = replace(known, state=seen, coming_id=video_id, error="", is_missing=False)
            self._state.save(root, {path: coming}, adds=video_id if is_new else "")
            is_replacement = known.video_id in added_ids and set(self._state.files_of(known.video_id)) == {file}
            replaced = self._video(known.video_id) if is_new and is_replacement else None
            title = replaced.title if replaced else None  # somebody may have chosen it
            own: IndexOptions = {"title": title, "content_sha256": video_id, "progress": progress}
            options: IndexOptions = {**self._options, **own}
            result = self._client.index(file, **options)
        self._state.save(root, {path: WatchedVideo(seen, video_id)})
        kind = "changed" if known.video_id else "added" if is_new else "known"
        self._event(kind, file, _sentence(result), video_id)

    def _video_id(self, file: Path, seen: FileState, known: WatchedVideo, progress: OnProgress) -> str:
        if known.coming_id and known.state == seen:
            return known.coming_id
        source = upload_source(file)
        return sha256(source, lambda done: progress(Progress("hash", done, source.size_bytes)))

    def _is_known_elsewhere(self, file: Path, video_id: str) -> bool:
        """Whether another watched file has the same content, or had it and is gone: then it was renamed to this one."""
        others = self._state.files_of(video_id)
        gone = [other for other in others if not other.exists()]
        if gone:
            self.follow_title(video_id, gone[0], file)
            self._event("moved", file, f"was {gone[0]}; it is not indexed again.", video_id)
        elif others:
            self._event("known", file, f"is the same video as {others[0]}; it is not indexed again.", video_id)
        return bool(others)

    def _video(self, video_id: str) -> Video | None:
        try:
            return self._client.video(video_id)
        except VideoNotFound:
            return None

    def _event(self, kind: str, file: Path, message: str, video_id: str = "") -> None:
        self._tell(Event(kind, str(file), message, video_id))


def _is_unchanged(file: Path, seen: FileState) -> bool:
    """Whether a file still is as it was seen. If not, it is gone or being written, and settles another time."""
    try:
        return FileState.of(file) == seen
    except OSError:
        return False


def _sentence(result: Indexed) -> str:
    if not result.frames_added:
        return f"was in the library already, {result.video.frames} frames."
    seconds, elapsed = result.video.duration_seconds, result.elapsed_seconds
    return " ".join([f"{result.frames_added} frames, {seconds:.1f} s of video in {elapsed:.1f} s.", *result.notes])
