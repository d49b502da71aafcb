"""The frames that searches read again and again, kept in memory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from executors.faiss_indexer.store.records import Frames

_FRAME_CACHE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class CachedFrames:
    """As `Frames`, but with vectors float32 [N, D]: converting them takes longer than the rest of a search."""

    pts_seconds: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float32]
    cut_seconds: npt.NDArray[np.float64]
    blank: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, frames: Frames) -> "CachedFrames":
        return cls(frames.pts_seconds, frames.vectors.astype(np.float32), frames.cut_seconds, frames.blank)

    @property
    def size_bytes(self) -> int:
        return self.vectors.nbytes + self.pts_seconds.nbytes + self.cut_seconds.nbytes


class FrameCache:
    """The frames of the videos that were read last, up to a number of bytes. Safe for threads."""

    def __init__(self, load: Callable[[str], Frames], most_bytes: int = _FRAME_CACHE_BYTES) -> None:
        self._load = load
        self._changes = 0
        self._frames: LRUCache[str, CachedFrames] = LRUCache(most_bytes, getsizeof=lambda frames: frames.size_bytes)
        self._lock = threading.Lock()

    def get(self, video_id: str) -> CachedFrames:
        """The frames of a video; they are loaded if they are not in the cache."""
        with self._lock:
            cached: CachedFrames | None = self._frames.get(video_id)
            changes = self._changes
        if cached is not None:
            return cached
        frames = CachedFrames.of(self._load(video_id))
        with self._lock:
            # After a change the loaded frames may be stale. A video larger than the whole cache is never kept.
            if changes == self._changes and frames.size_bytes <= self._frames.maxsize:
                self._frames[video_id] = frames
        return frames

    def drop(self, video_id: str) -> None:
        """Forget a video whose frames have changed."""
        with self._lock:
            self._changes += 1
            self._frames.pop(video_id, None)
