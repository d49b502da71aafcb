"""The library: the store and its index together, and the search over them."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from clipseek.errors import InvalidTopK, ModelMismatch
from clipseek.settings import MAX_TOP_K
from executors.faiss_indexer.segments import ScoreCurve, Segment, SegmentOptions, find_segments
from executors.faiss_indexer.store import Frames, Store, VideoRecord, shots_between
from executors.faiss_indexer.vector_index import VectorIndex

logger = logging.getLogger(__name__)

_CANDIDATES_PER_MATCH = 3  # videos whose curves are computed for each match asked for
_LEAST_CANDIDATES = 16
# Far less than moments differ by, and yet enough that a still picture and the black around it are no flat curve.
_BELOW_ALL = 1e-3
_FRAME_CACHE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Found:
    """A segment with the video it lies in."""

    video: VideoRecord
    segment: Segment


@dataclass(frozen=True)
class SearchAnswer:
    """Segments, best first, and how much was looked at."""

    found: list[Found]
    videos_searched: int
    frames_searched: int


class Library:
    """What is stored below `folder`, searchable. Any thread may search while another one stores.

    Writes are one at a time by the store's own lock; the index follows each of them.
    """

    def __init__(self, folder: Path, options: SegmentOptions | None = None) -> None:
        self.store = Store(folder)
        self._index = VectorIndex(folder / "index", self.store)
        self._options = options or SegmentOptions()
        self._cache = FrameCache(self.store.frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Save the index and close the store."""
        self._index.save()
        self.store.close()

    def put_span(self, video_id: str, span: tuple[float, float], frames: Frames, model_id: str) -> None:
        """Store the frames of `[start, end)` of a registered video and make them findable; see `Store.put_span`."""
        span_id, replaced = self.store.put_span(video_id, span, frames, model_id)
        self._index.remove(replaced)
        self._index.add(span_id, video_id, frames)
        self._cache.drop(video_id)

    def register(self, video: VideoRecord, model_id: str) -> VideoRecord:
        """Put a video into the store; see `Store.register`. Returns: the video as stored."""
        dropped = self.store.register(video, model_id)
        if dropped:
            self._index.remove(dropped)
            self._cache.drop(video.video_id)
        return self.store.video(video.video_id)

    def delete(self, video_id: str) -> None:
        """Forget a video and its frames, if there are any."""
        self._index.remove(self.store.delete(video_id))
        self._cache.drop(video_id)

    def search(
        self, vector: npt.NDArray[np.float32], model_id: str, top_k: int, video_ids: list[str] | None = None
    ) -> SearchAnswer:
        """Find the segments that fit a query best.

        Args:
            vector: float32 [D], unit length.
            model_id: the identity of the model that made it.
            top_k: how many segments at most.
            video_ids: look in these videos only.

        Raises:
            InvalidTopK, VideoNotFound, ModelMismatch.
        """
        if not 1 <= top_k <= MAX_TOP_K:
            raise InvalidTopK(f"top_k is {top_k}, but must be from 1 to {MAX_TOP_K}")
        self.store.check_model(model_id)
        if video_ids:
            candidates = [self.store.video(video_id) for video_id in dict.fromkeys(video_ids)]
        else:
            nearest = self._index.nearest_videos(vector, max(_LEAST_CANDIDATES, _CANDIDATES_PER_MATCH * top_k))
            candidates = self.store.known_videos(nearest)
        found, frames = [], 0
        for video in candidates:
            curve = self.curve(video, vector)
            frames += len(curve.scores)
            found += [Found(video, segment) for segment in find_segments(curve, self._options, self._shots(video))]
        found.sort(key=lambda f: (-f.segment.score, f.video.video_id, f.segment.start_seconds))
        return SearchAnswer(found[:top_k], len(candidates), frames)

    def _shots(self, video: VideoRecord) -> list[tuple[float, float]]:
        return shots_between(self._cache.get(video.video_id).cut_seconds, video.duration_seconds)

    def curve(self, video: VideoRecord, vector: npt.NDArray[np.float32]) -> ScoreCurve:
        """The exact cosine of every frame of a video with a unit vector [D].

        Frames in which nothing is to be seen match no description: they score less than all others.
        """
        frames = self._cache.get(video.video_id)
        if len(frames.vectors) and frames.vectors.shape[1] != len(vector):
            raise ModelMismatch(
                f"The query's embedding has {len(vector)} dimensions, the frames of video {video.video_id} "
                f"{frames.vectors.shape[1]}: another model made them. Delete the video and index it again."
            )
        scores = (frames.vectors.astype(np.float32) @ vector).astype(np.float64) if len(frames.vectors) else np.empty(0)
        if frames.blank.any() and not frames.blank.all():
            scores[frames.blank] = scores[~frames.blank].min() - _BELOW_ALL
        return ScoreCurve(frames.pts_seconds, scores, video.duration_seconds)


class FrameCache:
    """The frames of the videos that were asked for last, up to a number of bytes. Safe for threads."""

    def __init__(self, load: Callable[[str], Frames], most_bytes: int = _FRAME_CACHE_BYTES) -> None:
        self._load = load
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changes = 0
        self._frames: OrderedDict[str, Frames] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, video_id: str) -> Frames:
        """The frames of a video, loaded if need be."""
        with self._lock:
            if video_id in self._frames:
                self._frames.move_to_end(video_id)
                return self._frames[video_id]
            changes = self._changes
        frames = self._load(video_id)
        with self._lock:
            if changes == self._changes:  # else what was loaded may be older than the change
                self._keep(video_id, frames)
        return frames

    def drop(self, video_id: str) -> None:
        """Forget a video whose frames have changed."""
        with self._lock:
            self._changes += 1
            self._discard(video_id)

    def _keep(self, video_id: str, frames: Frames) -> None:
        self._discard(video_id)
        self._frames[video_id] = frames
        self._bytes += _bytes(frames)
        while self._bytes > self._most_bytes:
            self._discard(next(iter(self._frames)))

    def _discard(self, video_id: str) -> None:
        frames = self._frames.pop(video_id, None)
        if frames is not None:
            self._bytes -= _bytes(frames)


def _bytes(frames: Frames) -> int:
    return frames.vectors.nbytes + frames.pts_seconds.nbytes + frames.cut_seconds.nbytes
