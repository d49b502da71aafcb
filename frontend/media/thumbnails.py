"""Thumbnails, asked for once and kept: pages draw the same ones again and again."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from clipseek import Client
from clipseek.api.errors import ClipSeekError

_MOST_BYTES = 64 * 1024 * 1024
_AT_ONCE = 4  # the server makes two at a time; the others are on their way


@dataclass(frozen=True)
class Still:
    """A time of a video, and how wide its picture shall be in pixels."""

    video_id: str
    at_seconds: float
    width: int = 480


class Pictures:
    """Pictures of moments as JPEG. Safe for threads."""

    def __init__(self, client: Client, most_bytes: int = _MOST_BYTES) -> None:
        self._client = client
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Still, bytes] = OrderedDict()
        self._coming: dict[Still, Future[bytes | None]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pictures")

    def get(self, still: Still) -> bytes | None:
        """The picture, or None where the video cannot be seen any more: a card without a picture is still of use."""
        with self._lock:
            if still in self._kept:
                self._kept.move_to_end(still)
                return self._kept[still]
            future = self._coming.get(still) or self._ask(still)
        return future.result()

    def prefetch(self, stills: Iterable[Still]) -> None:
        """Begin to fetch pictures that will be asked for in a moment."""
        with self._lock:
            for still in stills:
                if still not in self._kept and still not in self._coming:
                    self._ask(still)

    def all(self, stills: Sequence[Still]) -> list[bytes | None]:
        """Several pictures at once, in their order."""
        self.prefetch(stills)
        return [self.get(still) for still in stills]

    def _ask(self, still: Still) -> "Future[bytes | None]":
        future = self._threads.submit(self._fetch, still)
        self._coming[still] = future
        return future

    def _fetch(self, still: Still) -> bytes | None:
        try:
            jpeg = self._client.thumbnail(still.video_id, still.at_seconds, width=still.width)
        except ClipSeekError:
            return None
        else:
            self._keep(still, jpeg)
            return jpeg
        finally:
            with self._lock:
                self._coming.pop(still, None)

    def _keep(self, still: Still, jpeg: bytes) -> None:
        with self._lock:
            if still not in self._kept:
                self._kept[still] = jpeg
                self._bytes += len(jpeg)
            while self._bytes > self._most_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped)
