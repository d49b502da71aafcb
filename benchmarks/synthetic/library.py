"""Libraries of any size without videos: embeddings that behave like those of sampled videos, and queries for them.

A video has a topic, its topic a few scenes, each shot shows one of its video's scenes, and the frames of a shot drift.
All frames share a large component, as those of real models do, and the rest has a falling spectrum: few directions
explain most. As with CLIP, neighbours have a cosine of .93, frames of one video .66, of different ones .50; a query has
-.02 with frames in general and .15 with the nearest. Queries lie as texts do: near one scene, far from all pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.store.spans import plan_spans
from executors.faiss_indexer.store.store import Store

Vectors = npt.NDArray[np.float32]

_TOPICS = 500
_SCENES_OF_TOPIC = 40
_SCENES_OF_VIDEO = 12
_SHOT_SECONDS = 6.0  # on average
_MEDIAN_SECONDS, _SPREAD = 480.0, 1.0  # of videos: lengths are log-normal
_LEAST_SECONDS, _MOST_SECONDS = 20, 4 * 3600
_FALL = 0.4  # of the spectrum: the i-th direction has the deviation i ** -_FALL


@dataclass(frozen=True)
class Video:
    """Frames one second apart: float16 [N, D], unit rows."""

    video_id: str
    vectors: npt.NDArray[np.float16]


class SyntheticFrames:
    """Videos with `frames` frames in all, at one a second; a seed always gives the same ones."""

    def __init__(self, frames: int, dimensions: int = 512, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._spectrum = np.arange(1, dimensions + 1, dtype=np.float32) ** np.float32(-_FALL)
        self._spectrum /= np.linalg.norm(self._spectrum)
        self._common = self._unit(1)[0]
        self._text = self._unit(1)[0]
        topics = self._content(_TOPICS)
        self._scenes = 0.6 * topics[:, None] + 0.8 * self._content(_TOPICS * _SCENES_OF_TOPIC).reshape(
            _TOPICS, _SCENES_OF_TOPIC, -1
        )
        self._frames = frames

    def videos(self) -> Iterator[Video]:
        """The videos, one at a time."""
        left, number = self._frames, 0
        while left:
            drawn = self._random.lognormal(np.log(_MEDIAN_SECONDS), _SPREAD)
            length = min(left, int(np.clip(drawn, _LEAST_SECONDS, _MOST_SECONDS)))
            yield Video(f"{number:064x}", self._video(length))
            left, number = left - length, number + 1

    def queries(self, count: int) -> Vectors:
        """float32 [count, D], unit rows."""
        scenes = self._scenes.reshape(-1, len(self._spectrum))
        content = scenes[self._random.integers(len(scenes), size=count)]
        vectors = 0.5 * content + 0.3 * self._content(count) + 0.8 * self._text
        return _normalise(vectors)

    def _video(self, length: int) -> npt.NDArray[np.float16]:
        topic = self._scenes[self._random.integers(_TOPICS)]
        scenes = topic[self._random.integers(_SCENES_OF_TOPIC, size=_SCENES_OF_VIDEO)]
        scenes = scenes + 0.4 * self._content(_SCENES_OF_VIDEO)
        shot = np.cumsum(self._random.random(length) < 1 / _SHOT_SECONDS)
        shown = self._random.integers(_SCENES_OF_VIDEO, size=shot[-1] + 1)
        views = 0.3 * self._content(shot[-1] + 1)
        drift = np.cumsum(0.06 * self._content(length), axis=0)
        first = np.searchsorted(shot, np.arange(shot[-1] + 1))
        drift -= drift[first][shot]
        vectors = 1.1 * self._common + scenes[shown][shot] + views[shot] + drift + 0.15 * self._content(length)
        return _normalise(vectors).astype(np.float16)

    def _content(self, count: int) -> Vectors:
        """Directions of about unit length in the falling spectrum."""
        drawn: Vectors = self._random.standard_normal((count, len(self._spectrum)), np.float32) * self._spectrum
        return drawn

    def _unit(self, count: int) -> Vectors:
        return _normalise(self._random.standard_normal((count, len(self._spectrum)), np.float32))


def fill(folder: Path, frames: SyntheticFrames, model_id: str = "synthetic@0") -> int:
    """Write a store of these videos, as a model's. Returns: how many videos there are."""
    count = 0
    with Store(folder) as store:
        for video in frames.videos():
            seconds = float(len(video.vectors))
            record = VideoRecord(
                video_id=video.video_id,
                title=f"video {count}",
                size_bytes=1,
                duration_seconds=seconds,
                width=1920,
                height=1080,
                fps=30.0,
                codec="h264",
                container="mp4",
                rotation_degrees=0,
                has_audio=False,
                frames_per_second=1.0,
                sampling="even",
            )
            store.register(record, model_id)
            for start, end in plan_spans(seconds):
                pts_seconds = np.arange(int(start), int(end), dtype=np.float64)
                span = Frames(pts_seconds, video.vectors[int(start) : int(end)])
                store.put_span(video.video_id, (start, end), span, model_id)
            count += 1
    return count


def _normalise(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled
