"""Score curves of real films: decoded, encoded and kept in a folder, so that a second run is quick."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Case, Label
from executors.clip_encoder.preprocessing import PictureFormat
from executors.faiss_indexer.segments import ScoreCurve
from executors.video_loader.picture import PictureShape
from executors.video_loader.probing import probe
from executors.video_loader.sampling import Cut, read_span

logger = logging.getLogger(__name__)
Vectors = NDArray[np.float32]
STORED_RATE = 4.0  # frames per second that are encoded; 1 and 2 are subsets by the sampling rule
_PICTURES_AT_ONCE = 16


class ImageEncoder(Protocol):
    """Pictures uint8 [N, H, W, 3] to unit vectors float32 [N, D]."""

    def encode(self, pictures: NDArray[np.uint8]) -> Vectors: ...


@dataclass(frozen=True)
class Film:
    """A film's sampled frames as vectors: pts_seconds float64 [N], vectors float32 [N, D]; its cuts and length."""

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
        _, kept = np.unique(buckets, return_index=True)
        scores = self.vectors[kept].astype(np.float64) @ query.astype(np.float64)
        return ScoreCurve(self.pts_seconds[kept], scores, self.duration_seconds)


class FilmVectors:
    """Encodes films once.

    Args:
        folder: where vectors are kept.
        model_id: the identity of the encoder; another one's vectors are kept apart.
    """

    def __init__(self, folder: Path, model_id: str, encoder: ImageEncoder, picture_format: PictureFormat) -> None:
        self._folder, self._model_id, self._encoder = folder, model_id, encoder
        form = picture_format
        self.shape = PictureShape(form.width, form.height, form.fit, form.fill)

    def film(self, path: Path) -> Film:
        """Raises UnreadableVideo."""
        status = path.stat()
        key = f"{self._model_id}|{path.name}|{status.st_size}|{STORED_RATE}|shots"
        kept = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if not kept.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            film = self._encoded(path)
            np.savez(kept, pts=film.pts_seconds, vectors=film.vectors, cuts=film.cuts, duration=film.duration_seconds)
        with np.load(kept) as stored:
            return Film(stored["pts"], stored["vectors"], tuple(stored["cuts"].tolist()), float(stored["duration"]))

    def _encoded(self, path: Path) -> Film:
        logger.info("encoding %s at %g frames per second", path.name, STORED_RATE)
        duration = probe(path).duration_seconds
        times: list[float] = []
        cuts: list[float] = []
        vectors: list[Vectors] = []
        pictures: list[NDArray[np.uint8]] = []
        for found in read_span(path, 0.0, duration, STORED_RATE, self.shape):
            if isinstance(found, Cut):
                cuts.append(found.pts_seconds)
                continue
            times.append(found.pts_seconds)
            pictures.append(found.picture)
            if len(pictures) == _PICTURES_AT_ONCE:
                vectors.append(self._encoder.encode(np.stack(pictures)))
                pictures = []
        if pictures:
            vectors.append(self._encoder.encode(np.stack(pictures)))
        return Film(np.array(times), np.concatenate(vectors), tuple(cuts), duration)


@dataclass(frozen=True)
class Unknown:
    """What VCED sets against every description: the vector [D] of the word "unknown", and the softmax's logit scale."""

    vector: Vectors
    logit_scale: float


def film_cases(
    films: FilmVectors,
    folder: Path,
    labels: Sequence[Label],
    queries: Vectors,
    unknown: Unknown,
    frames_per_second: float,
) -> Iterator[Case]:
    """A case for each label [N] and its query vector [N, D]; for one without a video a case for each film there is."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".mp4", ".webm"})
    for label, query in zip(labels, queries, strict=True):
        for path in [folder / label.video] if label.video else paths:
            film = films.film(path)
            curve, against = (film.curve(vector, frames_per_second) for vector in (query, unknown.vector))
            name = f"{path.name}: {label.query}"
            yield Case(name, curve, film.shots, label.moments, label.split, against.scores, unknown.logit_scale)
