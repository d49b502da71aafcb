"""Clips on the page's machine: cut when first needed, kept in a temporary folder while there is room."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from cachetools import LRUCache, cached

from clipseek import Client
from clipseek.client import SavedClip

_MAX_BYTES = 1_000_000_000


@dataclass(frozen=True)
class ClipKey:
    """Which clip: `[start_seconds, end_seconds)` of a video; see `Client.clip` for the modes."""

    video_id: str
    start_seconds: float
    end_seconds: float
    mode: str = "exact"


class ClipCache:
    """Clip files, the last used up to `max_bytes`. Safe for threads.

    The folder is deleted with the object, or when the process ends.
    """

    def __init__(self, client: Client, max_bytes: int = _MAX_BYTES) -> None:
        self._client = client
        self._folder = Path(tempfile.mkdtemp(prefix="clipseek-page-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        cache = cached(_ClipFiles(max_bytes), condition=threading.Condition())
        self._cut: Callable[[ClipKey], SavedClip] = cache(partial(_cut, client, self._folder))

    def path(self, key: ClipKey) -> Path:
        """The file of a clip: `.mp4`, or `.mkv` for a copy whose codecs do not fit MP4.

        Two callers that need one clip at the same time get the same file; it is cut once.

        Raises: as `Client.clip`.
        """
        return self._cut(key).path

    def content(self, key: ClipKey) -> bytes:
        """The clip as bytes, for a download."""
        return self.path(key).read_bytes()

    def join(self, keys: Sequence[ClipKey], mode: str) -> bytes:
        """The clips in their order as one video, all cut in this mode. Raises: as `Client.join`."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            moments = [(key.video_id, key.start_seconds, key.end_seconds) for key in keys]
            return self._client.join(moments, Path(folder) / "video.mp4", mode=mode).path.read_bytes()


def _cut(client: Client, folder: Path, key: ClipKey) -> SavedClip:
    name = sha256(repr(key).encode()).hexdigest()[:24]
    return client.clip(key.video_id, key.start_seconds, key.end_seconds, folder / f"{name}.mp4", mode=key.mode)


class _ClipFiles(LRUCache[ClipKey, SavedClip]):
    """Deletes the file of a clip that it drops. One clip larger than the cache is kept alone."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, getsizeof=lambda clip: min(clip.size_bytes, max_bytes))

    def popitem(self) -> tuple[ClipKey, SavedClip]:
        key, clip = super().popitem()
        clip.path.unlink(missing_ok=True)
        return key, clip
