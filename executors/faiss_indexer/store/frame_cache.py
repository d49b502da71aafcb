"""The frames that searches read again and again, kept in memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.store.store import Frames

_FRAME_CACHE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class CachedFrames:
    """As `Frames`, but with vectors float32 [N, D]: each search would spend longer on making these than on the rest."""

    pts_seconds: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float32]
    cut_seconds: npt.NDArray[np.float64]
    blank: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, frames: Frames) -> "CachedFrames":
        return cls(frames.pts_seconds, frames.vectors.astype(np.float32), frames.cut_seconds, frames.blank)


class FrameCache:
    """The frames of the videos that were asked for last, up to a number of bytes. Safe for threads."""

    def __init__(self, load: Callable[[str], Frames], most_bytes: int = _FRAME_CACHE_BYTES) -> None:
        self._load = load
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changes = 0
        self._frames: OrderedDict[str, CachedFrames] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, video_id: str) -> CachedFrames:
        """The frames of a video, loaded if need be."""
        with self._lock:
            if video_id in self._frames:
                self._frames.move_to_end(video_id)
                return self._frames[video_id]
            changes = self._changes
        frames = CachedFrames.of(self._load(video_id))
        with self._lock:
            if changes == self._changes:  # else what was loaded may be older than the change
                self._keep(video_id, frames)
        return frames

    def drop(self, video_id: str) -> None:
        """Forget a video whose frames have changed."""
        with self._lock:
            self._changes += 1
            self._discard(video_id)

    def _keep(self, video_id: str, frames: CachedFrames) -> None:
        self._discard(video_id)
        self._frames[video_id] = frames
        self._bytes += _bytes(frames)
        while self._bytes > self._most_bytes:
            self._discard(next(iter(self._frames)))

    def _discard(self, video_id: str) -> None:
        frames = self._frames.pop(video_id, None)
        if frames is not None:
            self._bytes -= _bytes(frames)


def _bytes(frames: CachedFrames) -> int:
    return frames.vectors.nbytes + frames.pts_seconds.nbytes + frames.cut_seconds.nbytes
