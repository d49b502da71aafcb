"""Keeps finished clips for a while: `/clip` answers in chunks, and people play a moment more than once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from executors.machine.folder_cache import FolderCache
from executors.video_loader.clips.cut import ClipFile

_RECORD, _RECORD_DRAFT = ".json", ".json-part"


@dataclass(frozen=True)
class ClipKey:
    """Identifies a clip: the video, the range in seconds as requested, and how it is cut."""

    video_id: str
    start_seconds: float
    end_seconds: float
    mode: str

    @property
    def name(self) -> str:
        """The clip's file name without suffix. It begins with the video's id."""
        details = repr((self.start_seconds, self.end_seconds, self.mode))
        return f"{self.video_id}-{hashlib.sha256(details.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class CachedClip:
    """A clip in the cache: its range in seconds of the video, and its file."""

    start_seconds: float
    end_seconds: float
    size_bytes: int
    sha256: str
    suffix: str


class ClipCache(FolderCache):
    """Clips, each with a record beside it."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        super().__init__(folder, max_bytes, ignored=frozenset({_RECORD, _RECORD_DRAFT}))

    def read(
        self,
        key: ClipKey,
        offset: int,
        length: int,
        make: Callable[[Path], ClipFile],
        check: Callable[[], object] = lambda: None,
    ) -> tuple[CachedClip, bytes]:
        """Up to `length` bytes of the clip from `offset`; `make(path without suffix)` cuts it if it is not cached.

        Args:
            check: raises if the new clip may not be kept. Its video may have been deleted, and its clips forgotten,
                while it was being cut.

        Raises: the errors of `make` and `check`.
        """
        with self.locks[key.name]:
            clip = self._find(key) or self._make(key, make, check)
            with self._file(key, clip.suffix).open("rb") as file:
                file.seek(min(offset, clip.size_bytes))  # file systems refuse very large offsets
                data = file.read(length)
        self.make_room(keep=self._file(key, clip.suffix))
        return clip, data

    def remove(self, path: Path) -> bool:
        path.with_suffix(_RECORD).unlink(missing_ok=True)
        return super().remove(path)

    def _file(self, key: ClipKey, suffix: str) -> Path:
        return self.folder / (key.name + suffix)

    def _find(self, key: ClipKey) -> CachedClip | None:
        try:
            clip = CachedClip(**json.loads(self._file(key, _RECORD).read_text()))
            file = self._file(key, clip.suffix)
            self.mark_used(file)
            return clip if file.stat().st_size == clip.size_bytes else None
        except (FileNotFoundError, ValueError, TypeError):  # not cached, or torn by a power cut
            return None

    def _make(self, key: ClipKey, make: Callable[[Path], ClipFile], check: Callable[[], object]) -> CachedClip:
        with self.draft_folder() as folder:
            cut = make(folder / "clip")
            with cut.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            clip = CachedClip(cut.start_seconds, cut.end_seconds, cut.path.stat().st_size, digest, cut.suffix)
            cut.path.replace(self._file(key, cut.suffix))
        draft = self._file(key, _RECORD_DRAFT)
        draft.write_text(json.dumps(asdict(clip)))
        draft.replace(self._file(key, _RECORD))
        try:
            check()
        except BaseException:
            self.remove(self._file(key, clip.suffix))
            raise
        return clip
