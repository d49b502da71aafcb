"""Score curves of real videos. Their vectors are saved in a folder, so that a second run is fast."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.cases import Case, Label, calibrate_curve
from benchmarks.quality.units import Units
from benchmarks.spans import read_span
from clipseek.api.score_scale import ScoreScale
from executors.clip_encoder.model.picture_format import PictureFormat
from executors.faiss_indexer.moments.curves import ScoreCurve
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.sample.span_reader import Cut

logger = logging.getLogger(__name__)
Vectors = NDArray[np.float32]
STORED_RATE = 4.0  # frames per second that are encoded; 1 and 2 are subsets, except for what sampling leaves out there
_PICTURES_AT_ONCE = 16


class ImageEncoder(Protocol):
    """Pictures uint8 [N, H, W, 3] to unit vectors float32 [N, D]."""

    def encode(self, pictures: NDArray[np.uint8]) -> Vectors: ...


@dataclass(frozen=True)
class Video:
    """A video's sampled frames as vectors: pts_seconds float64 [N], vectors float32 [N, D]; its cuts and length."""

    pts_seconds: NDArray[np.float64]
    vectors: Vectors
    cuts: tuple[float, ...]
    duration_seconds: float

    @property
    def shots(self) -> list[tuple[float, float]]:
        return list(zip([0.0, *self.cuts], [*self.cuts, self.duration_seconds], strict=True))

    def curve(self, query: Vectors, frames_per_second: float) -> ScoreCurve:
        """Cosines of the frames with a query vector [D], at a rate that divides STORED_RATE."""
        buckets = np.floor(self.pts_seconds * frames_per_second + 1e-9)
        _, sampled = np.unique(buckets, return_index=True)
        scores = self.vectors[sampled].astype(np.float64) @ query.astype(np.float64)
        return ScoreCurve(self.pts_seconds[sampled], scores, self.duration_seconds)


class VideoVectors:
    """Encodes videos once.

    Args:
        folder: for the vectors.
        model_id: the identity of the encoder; each has vectors of its own.
    """

    def __init__(self, folder: Path, model_id: str, encoder: ImageEncoder, picture_format: PictureFormat) -> None:
        self._folder, self._model_id, self._encoder = folder, model_id, encoder
        form = picture_format
        self.shape = PictureShape(form.width, form.height, form.fit, form.fill)

    @cache  # noqa: B019 - as long as the benchmark runs
    def video(self, path: Path) -> Video:
        """Raises UnreadableVideo."""
        status = path.stat()
        key = f"{self._model_id}|{path.name}|{status.st_size}|{STORED_RATE}|shots"
        file = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if not file.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            video = self._encode(path)
            np.savez(
                file, pts=video.pts_seconds, vectors=video.vectors, cuts=video.cuts, duration=video.duration_seconds
            )
        with np.load(file) as stored:
            return Video(stored["pts"], stored["vectors"], tuple(stored["cuts"].tolist()), float(stored["duration"]))

    def _encode(self, path: Path) -> Video:
        logger.info("encoding %s at %g frames per second", path.name, STORED_RATE)
        duration = probe_video(path).duration_seconds
        times: list[float] = []
        cuts: list[float] = []
        vectors: list[Vectors] = []
        pictures: list[NDArray[np.uint8]] = []
        for item in read_span(path, 0.0, duration, STORED_RATE, self.shape):
            if isinstance(item, Cut):
                cuts.append(item.pts_seconds)
                continue
            times.append(item.pts_seconds)
            pictures.append(item.picture)
            if len(pictures) == _PICTURES_AT_ONCE:
                vectors.append(self._encoder.encode(np.stack(pictures)))
                pictures = []
        if pictures:
            vectors.append(self._encoder.encode(np.stack(pictures)))
        return Video(np.array(times), np.concatenate(vectors), tuple(cuts), duration)


@dataclass(frozen=True)
class Videos:
    """The videos of a folder as a library, and the queries for it.

    Attributes:
        vectors: the source of the videos' vectors.
        folder: of the videos.
        labels: label i has the query vector i.
        queries: float32 [N, D], the vectors to find moments with.
        unknown: the vector [D] of the word "unknown", which VCED sets against every description.
        scales: one for each query, as the text encoder sends it with a search.
        units: of the model.
    """

    vectors: VideoVectors
    folder: Path
    labels: Sequence[Label]
    queries: Vectors
    unknown: Vectors
    scales: Sequence[ScoreScale]
    units: Units

    def cases(self, rate: float, indices: Iterable[int] | None = None) -> list[Case]:
        """The cases of some labels, by default of all that have a moment, at a rate in frames per second."""
        chosen = [i for i, label in enumerate(self.labels) if label.moments] if indices is None else indices
        return [self._case(i, self.folder / str(self.labels[i].video), rate) for i in chosen]

    def cases_of_all_videos(self, index: int, rate: float) -> list[Case]:
        """The cases of one label's query with each video of the folder; only its own video has true moments."""
        return [self._case(index, path, rate) for path in self._paths]

    def calibrated(self, index: int, curve: ScoreCurve) -> ScoreCurve:
        """The relevance of frames to one label's query, from their cosines with it, as a search computes it."""
        scale = self.scales[index]
        zero = scale.zero + (self._backgrounds[index] if scale.above_background else 0.0)
        return calibrate_curve(curve, zero, scale.one - scale.zero)

    def _case(self, index: int, path: Path, rate: float) -> Case:
        label, query, video = self.labels[index], self.queries[index], self.vectors.video(path)
        curve = video.curve(query, rate)
        calibrated = self.calibrated(index, curve)
        moments = label.moments if label.video == path.name else ()
        unknown, name = video.curve(self.unknown, rate).scores, f"{path.name}: {label.query}"
        return Case(name, curve, calibrated, video.shots, moments, label.split, unknown, self.units.logit_scale)

    @cached_property
    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.suffix in {".mp4", ".webm"})

    @cached_property
    def _backgrounds(self) -> list[float]:
        """The median cosine of each query with all frames of all videos, a frame a second."""
        videos = [self.vectors.video(path) for path in self._paths]
        return [
            float(np.median(np.concatenate([video.curve(q, 1.0).scores for video in videos]))) for q in self.queries
        ]
