"""The score curves of stored videos for a query, and what is seen at a time of a video, as a part of a query.

The frames that searches read again and again are kept in memory.
"""

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from clipseek.api.errors import InvalidTimeRange, ModelMismatch, MomentNotIndexed
from executors.faiss_indexer.moments.curves import ScoreCurve
from executors.faiss_indexer.moments.shots import Floats, TimeRange
from executors.faiss_indexer.ranking.queries import Part
from executors.faiss_indexer.ranking.relevance import Relevance
from executors.faiss_indexer.store.records import Frames, VideoRecord, list_shots
from executors.faiss_indexer.store.store import Store

# By how much blank frames score less than all others: more than `SegmentOptions.least_contrast`, so that the curve of a
# still picture with black around it is not flat.
_BLANK_DROP = 0.5
_FRAME_CACHE_BYTES = 256 * 1024 * 1024
_LIKE_SECONDS = 2.0  # how far from a time its picture reaches: frames further away often show something else


@dataclass(frozen=True)
class CachedFrames:
    """As `Frames`, but with vectors float32 [N, D]: converting them takes longer than the rest of a search."""

    pts_seconds: Floats
    vectors: npt.NDArray[np.float32]
    cut_seconds: Floats
    blank: npt.NDArray[np.bool_]

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
        loaded = self._load(video_id)
        vectors = loaded.vectors.astype(np.float32)
        frames = CachedFrames(loaded.pts_seconds, vectors, loaded.cut_seconds, loaded.blank)
        with self._lock:
            # After a change the loaded frames may be stale. A video larger than the whole cache is never kept.
            if changes == self._changes and frames.size_bytes <= self._frames.maxsize:
                self._frames[video_id] = frames
        return frames

    def drop(self, video_ids: Iterable[str]) -> None:
        """Forget videos whose frames have changed."""
        with self._lock:
            self._changes += 1
            for video_id in video_ids:
                self._frames.pop(video_id, None)


class CurveSource:
    """Draws the score curves of the videos in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache = FrameCache(store.frames)

    def forget(self, video_ids: Iterable[str]) -> None:
        """Drop what is cached of videos whose frames have changed."""
        self._cache.drop(video_ids)

    def shots(self, video: VideoRecord) -> list[TimeRange]:
        """The `[start, end)` of every shot of a video, in order of time."""
        return list_shots(self._cache.get(video.video_id).cut_seconds, video.duration_seconds)

    def draw(
        self, video: VideoRecord, parts: Sequence[Part], relevance: Relevance, time_range: TimeRange = (0.0, math.inf)
    ) -> ScoreCurve:
        """How well every frame in a range `[start, end)` of a video fits a query; see `Relevance.judge`.

        Blank frames match nothing: they score clearly less than all others, 0 at most.

        Raises: ModelMismatch: another model made the video's frames.
        """
        frames = self._cache.get(video.video_id)
        first, last = np.searchsorted(frames.pts_seconds, time_range)
        pts_seconds, vectors, blank = (
            frames.pts_seconds[first:last],
            frames.vectors[first:last],
            frames.blank[first:last],
        )
        if not len(pts_seconds):
            return ScoreCurve(pts_seconds, np.empty(0), video.duration_seconds)
        for part in parts:
            if vectors.shape[1] != len(part.vector):
                raise ModelMismatch(
                    f"The query's embedding has {len(part.vector)} dimensions, the frames of video {video.video_id} "
                    f"{vectors.shape[1]}: another model made them. Delete the video and index it again."
                )
        scores = relevance.judge(vectors, parts)
        if blank.any() and not blank.all():
            scores[blank] = min(0.0, scores[~blank].min() - _BLANK_DROP)  # 0: nothing to do with the query
        return ScoreCurve(pts_seconds, scores, video.duration_seconds)

    def make_part(self, video: VideoRecord, at_seconds: float, weight: float = 1.0) -> Part:
        """What is seen at a time of a video, as a part of a query: the mean of the frames around it in its shot.

        Raises: InvalidTimeRange: the time is outside the video. MomentNotIndexed: the video is not indexed there yet.
        """
        if not 0 <= at_seconds <= video.duration_seconds:
            raise InvalidTimeRange(
                f"{at_seconds:g} s is outside the video '{video.title}', which is {video.duration_seconds:.1f} s long."
            )
        spans = self._store.stored_spans(video.video_id)
        frames = self._cache.get(video.video_id)
        if not len(frames.vectors) or not any(start <= at_seconds <= end for start, end in spans):
            raise MomentNotIndexed(
                f"The video '{video.title}' is not indexed at {at_seconds:g} s yet. Wait until it is ready, or index "
                f"it again: indexing continues where it stopped."
            )
        shots = self.shots(video)
        shot = next((shot for shot in shots if shot[0] <= at_seconds < shot[1]), shots[-1])
        around, moment = select_frames_around(frames.pts_seconds, shot, at_seconds)
        mean = frames.vectors[around].mean(axis=0)
        return Part(mean / np.linalg.norm(mean), weight, moment=(video.video_id, moment))


def select_frames_around(pts_seconds: Floats, shot: TimeRange, at_seconds: float) -> tuple[slice, TimeRange]:
    """The frames that show what is seen at a time: those of its shot within two seconds, else the nearest one.

    Args:
        pts_seconds: float64 [N] ascending, at least one.
        shot: the `[start, end)` of the shot at that time.

    Returns: the frames, and the `[start, end)` around the time that they stand for.
    """
    start, end = max(shot[0], at_seconds - _LIKE_SECONDS), min(shot[1], at_seconds + _LIKE_SECONDS)
    first, last = (int(index) for index in np.searchsorted(pts_seconds, (start, end)))
    if first == last:
        first = int(np.abs(pts_seconds - at_seconds).argmin())
        last = first + 1
    return slice(first, last), (start, end)
