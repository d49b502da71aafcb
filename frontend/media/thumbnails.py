"""Thumbnails, fetched once: pages draw the same ones again and again."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from cachetools import LRUCache, cached

from clipseek import Client
from clipseek.api.errors import ClipSeekError

_MAX_BYTES = 64 * 1024 * 1024
_THREADS = 4  # the server makes two at a time; the other requests are on their way


@dataclass(frozen=True)
class ThumbnailKey:
    """Which thumbnail: a time of a video, and a width in pixels."""

    video_id: str
    at_seconds: float
    width: int = 480


class ThumbnailCache:
    """Thumbnails as JPEG, the last used up to `max_bytes`. Safe for threads."""

    def __init__(self, client: Client, max_bytes: int = _MAX_BYTES) -> None:
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
