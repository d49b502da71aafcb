"""Libraries of any size without videos: embeddings that behave like those of sampled videos, and queries for them.

A video has a topic, its topic a few scenes, each shot shows one of its video's scenes, and the frames of a shot drift.
All frames share a large part, as those of real models do, and the rest has a falling spectrum: few directions tell
most. As with CLIP, neighbours have a cosine of .93, frames of one video .66, of different ones .50; a query has -.02
with frames in general and .15 with the nearest. Queries lie as texts do: near one
scene, far from all pictures.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipseek.api.model_ids import model_name
from executors.faiss_indexer.store.spans import plan_spans
from executors.faiss_indexer.store.records import VideoRecord
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
    """Videos of `frames` frames in all, at one a second; the same for the same seed."""

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
        """One video after the other."""
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
        return _normalised(vectors)

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
        return _normalised(vectors).astype(np.float16)

    def _content(self, count: int) -> Vectors:
        """Directions of about unit length in the falling spectrum."""
        drawn: Vectors = self._random.standard_normal((count, len(self._spectrum)), np.float32) * self._spectrum
        return drawn

    def _unit(self, count: int) -> Vectors:
        return _normalised(self._random.standard_normal((count, len(self._spectrum)), np.float32))


def fill(folder: Path, frames: SyntheticFrames, model_id: str = "synthetic@0") -> int:
    """Write a store of these videos in one transaction, as a model's. Returns: how many videos there are."""
    count = 0
    with Store(folder) as store:
        path = store.path
    with closing(sqlite3.connect(path)) as db:
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
            values = vars(record) | {"added_at": float(count)}
            db.execute(
                f"INSERT INTO videos ({', '.join(values)}) VALUES ({', '.join(':' + name for name in values)})", values
            )
            db.executemany(
                "INSERT INTO spans (video_id, start_seconds, end_seconds, frames, pts_seconds, vectors, cut_seconds, "
                "blank) VALUES (?, ?, ?, ?, ?, ?, x'', ?)",
                (_row(video, start, end) for start, end in plan_spans(seconds)),
            )
            count += 1
        db.execute("UPDATE meta SET value = '1' WHERE key = 'revision'")
        db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("model_id", model_id), ("model_name", model_name(model_id))]
        )
        db.commit()
    return count


def _row(video: Video, start: float, end: float) -> tuple[object, ...]:
    first, last = int(start), int(end)
    pts_seconds = np.arange(first, last, dtype=np.float64)
    vectors = video.vectors[first:last]
    return video.video_id, start, end, last - first, pts_seconds.tobytes(), vectors.tobytes(), bytes(last - first)


def _normalised(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled
