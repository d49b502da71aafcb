"""Cut clips, kept a while: the answer of `/clip` goes out in pieces, and people play a moment more than once."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from executors.video_loader.clips.cut import ClipFile
from executors.video_loader.media.folder_locks import FolderLocks

_MAKING = "making-"  # begins the names of the folders in which clips are made
_ABANDONED_SECONDS = 86_400  # servers may share a cache: a younger one may be at work in it


@dataclass(frozen=True)
class ClipKey:
    """Which clip: of which video, from when to when (seconds, as asked for), cut how."""

    video_id: str
    start_seconds: float
    end_seconds: float
    mode: str

    @property
    def name(self) -> str:
        """A file's name for the clip. It begins with the video's id."""
        what = repr((self.start_seconds, self.end_seconds, self.mode))
        return f"{self.video_id}-{hashlib.sha256(what.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class CachedClip:
    """A clip in the cache: what is in it, in seconds of the video, and its file."""

    start_seconds: float
    end_seconds: float
    size_bytes: int
    sha256: str
    suffix: str


class ClipCache:
    """Clips in a folder, the least recently used removed when they exceed `max_bytes`. Safe for
    several threads and processes.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._locks = FolderLocks(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_MAKING}*"):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)

    def read(
        self,
        key: ClipKey,
        offset: int,
        length: int,
        make: Callable[[Path], ClipFile],
        check: Callable[[], object] = lambda: None,
    ) -> tuple[CachedClip, bytes]:
        """Up to `length` bytes of the clip from `offset` on; cut by `make(path without suffix)` if it is not here.

        Args:
            check: raises if the clip, once made, may not be kept: its video was deleted, and its clips forgotten, while
                this one was cut.

        Raises: what `make` and `check` do.
        """
        with self._locks[key.name]:
            clip = self._found(key) or self._made_and_checked(key, make, check)
            with self._file(key, clip.suffix).open("rb") as file:
                file.seek(min(offset, clip.size_bytes))  # no file system takes every number
                data = file.read(length)
        self._evict(key)
        return clip, data

    def forget(self, video_id: str) -> None:
        """Remove a video's clips."""
        for file in self._folder.glob(f"{video_id}-*"):
            file.unlink(missing_ok=True)

    def _file(self, key: ClipKey, suffix: str) -> Path:
        return self._folder / (key.name + suffix)

    def _found(self, key: ClipKey) -> CachedClip | None:
        try:
            record = self._file(key, ".json").read_text()
            clip = CachedClip(**json.loads(record))
            os.utime(self._file(key, clip.suffix))  # used now; also proves that the file is there
            size_bytes = self._file(key, clip.suffix).stat().st_size
        except (FileNotFoundError, ValueError, TypeError):  # not here, or torn by a power cut: made again
            return None
        return clip if size_bytes == clip.size_bytes else None

    def _made_and_checked(
        self, key: ClipKey, make: Callable[[Path], ClipFile], check: Callable[[], object]
    ) -> CachedClip:
        clip = self._made(key, make)
        try:
            check()
        except BaseException:
            self._file(key, clip.suffix).unlink(missing_ok=True)
            self._file(key, ".json").unlink(missing_ok=True)
            raise
        return clip

    def _made(self, key: ClipKey, make: Callable[[Path], ClipFile]) -> CachedClip:
        with TemporaryDirectory(dir=self._folder, prefix=_MAKING) as folder:  # what a killed maker leaves goes with it
            cut = make(Path(folder) / "clip")
            with cut.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            clip = CachedClip(cut.start_seconds, cut.end_seconds, cut.path.stat().st_size, digest, cut.suffix)
            cut.path.replace(self._file(key, cut.suffix))
        draft = self._file(key, ".json-part")
        draft.write_text(json.dumps(asdict(clip)))
        draft.replace(self._file(key, ".json"))
        return clip

    def _evict(self, keep: ClipKey) -> None:
        clips = []
        for file in self._folder.iterdir():
            if file.suffix in {".mp4", ".mkv"}:
                try:
                    clips.append((file.stat().st_mtime, file.stat().st_size, file))
                except FileNotFoundError:
                    continue
        size = sum(clip_bytes for _, clip_bytes, _ in clips)
        for _, clip_bytes, file in sorted(clips):
            if size <= self._max_bytes:
                return
            if file.stem != keep.name:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                size -= clip_bytes
