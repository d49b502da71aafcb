"""Clips and thumbnails, fetched when first needed and kept: pages draw the same ones again and again."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from cachetools import LRUCache, cached

from clipseek import Client
from clipseek.api.errors import ClipSeekError
from clipseek.client import SavedClip

_MAX_CLIP_BYTES = 1_000_000_000
_MAX_THUMBNAIL_BYTES = 64 * 1024 * 1024
_THREADS = 4  # the server makes two at a time; the other requests are on their way


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

    def __init__(self, client: Client, max_bytes: int = _MAX_CLIP_BYTES) -> None:
        self._client = client
        self._folder = Path(tempfile.mkdtemp(prefix="clipseek-page-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        cache = cached(_ClipFiles(max_bytes), condition=threading.Condition())
        self._cut: Callable[[ClipKey], SavedClip] = cache(partial(_cut, client, self._folder))

    def path(self, key: ClipKey) -> Path:
        """The file of a clip: `.mp4`, or `.mkv` for a copy whose codecs do not fit MP4.

        Two callers that need one clip at the same time get the same file; it is cut once. Raises: as `Client.clip`.
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


@dataclass(frozen=True)
class ThumbnailKey:
    """Which thumbnail: a time of a video, and a width in pixels."""

    video_id: str
    at_seconds: float
    width: int = 480


class ThumbnailCache:
    """Thumbnails as JPEG, the last used up to `max_bytes`. Safe for threads."""

    def __init__(self, client: Client, max_bytes: int = _MAX_THUMBNAIL_BYTES) -> None:
        self._jpegs: LRUCache[ThumbnailKey, bytes] = LRUCache(max_bytes, getsizeof=len)
        cache = cached(self._jpegs, key=lambda key: key, condition=threading.Condition())
        self._fetch: Callable[[ThumbnailKey], bytes] = cache(partial(_fetch, client))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="thumbnails")

    def get(self, key: ThumbnailKey) -> bytes | None:
        """The thumbnail, or None if the server cannot make it: a card without one is still useful."""
        try:
            return self._fetch(key)
        except ClipSeekError:
            return None

    def prefetch(self, keys: Iterable[ThumbnailKey]) -> None:
        """Start to fetch thumbnails that will be needed in a moment."""
        for key in keys:
            if key not in self._jpegs:
                self._threads.submit(self.get, key)

    def get_all(self, keys: Sequence[ThumbnailKey]) -> list[bytes | None]:
        """Several thumbnails, in their order."""
        return list(self._threads.map(self.get, keys))


def _fetch(client: Client, key: ThumbnailKey) -> bytes:
    return client.thumbnail(key.video_id, key.at_seconds, width=key.width)
