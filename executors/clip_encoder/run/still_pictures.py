"""Encodes pictures that stand still once: a picture that looks like one just encoded gets that one's embedding.

A video's spans come one by one, perhaps out of order, so the last few encoded pictures of each video are remembered.
Two pictures look alike if their levels differ little on average, and little in every block of the picture: a small
thing that appears changes few pixels, but it changes its block. A picture is compared with encoded ones only, never
with one that got another's embedding, so a slow change cannot go unnoticed.
"""

import threading
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from executors.clip_encoder.model.spec import Pictures, Vectors

# Measured by `python -m benchmarks.still_pictures`, see docs/sampling.md: a still photograph with grain differs from
# itself by up to 1.4 and 2.3 levels after lossy coding, and at these limits no result on real videos changes.
MOST_MEAN_DIFFERENCE = 1.5  # levels, 0 to 255
MOST_BLOCK_DIFFERENCE = 2.5  # levels, of the mean of one colour in one block
BLOCKS = 26  # along each side of the picture, 10 of 260 pixels: grain and coding noise average out in them
PICTURES_PER_VIDEO = 8  # a still video alternates between few: its keyframes and the pictures coded between them
VIDEOS = 8  # remembered at once: 8 x 8 pictures of 260 pixels are 13 MB


@dataclass(frozen=True)
class StillEncoded:
    """vectors float32 [N, D], one for each picture, and how many pictures the model encoded for them."""

    vectors: Vectors
    encoded: int


@dataclass(frozen=True)
class _Look:
    """A picture uint8 [H, W, 3], copied, and the mean colours of its blocks, float32 [rows, cols, 3]."""

    picture: NDArray[np.uint8]
    blocks: NDArray[np.float32]

    @classmethod
    def of(cls, picture: NDArray[np.uint8]) -> "_Look":
        rows, columns = (np.arange(min(BLOCKS, side)) * side // min(BLOCKS, side) for side in picture.shape[:2])
        sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0, dtype=np.float32), columns, axis=1)
        heights, widths = np.diff([*rows, picture.shape[0]]), np.diff([*columns, picture.shape[1]])
        means = sums / np.multiply.outer(heights, widths)[..., np.newaxis]
        return cls(picture.copy(), means.astype(np.float32))

    def is_like(self, other: "_Look", most_mean: float, most_block: float) -> bool:
        if self.picture.shape != other.picture.shape or np.abs(self.blocks - other.blocks).max() > most_block:
            return False
        return bool(np.abs(self.picture.astype(np.int16) - other.picture).mean() <= most_mean)


_Memory = list[tuple[_Look, NDArray[np.float32]]]  # of one video: encoded pictures with their vectors, latest last


class StillPictures:
    """Encodes pictures with `encode`, those that look alike once. Safe for threads; its memory is bounded.

    Args:
        encode: uint8 [N, H, W, 3] to float32 [N, D].
        most_mean: pictures look alike if their levels differ on average by at most this,
        most_block: and the mean of every block by at most this.
    """

    def __init__(
        self,
        encode: Callable[[Pictures], Vectors],
        most_mean: float = MOST_MEAN_DIFFERENCE,
        most_block: float = MOST_BLOCK_DIFFERENCE,
    ) -> None:
        self._encode, self._most_mean, self._most_block = encode, most_mean, most_block
        self._videos: MutableMapping[str, _Memory] = LRUCache(VIDEOS)
        self._lock = threading.Lock()

    def encode(self, video_id: str, pictures: Pictures) -> StillEncoded:
        """Encode pictures of one video, uint8 [N, H, W, 3] in order of time; for no pictures vectors is [0, 0]."""
        if not len(pictures):
            return StillEncoded(np.empty((0, 0), np.float32), 0)
        with self._lock:
            known = list(self._videos.get(video_id, ()))
        fresh: list[_Look] = []
        places: list[int] = []  # of each picture's vector, in the known ones followed by the fresh ones
        for look in map(_Look.of, pictures):
            place = self._find_like(look, [*(look for look, _ in known), *fresh])
            places.append(len(known) + len(fresh) if place is None else place)
            if place is None:
                fresh.append(look)
        vectors = self._encode(np.stack([look.picture for look in fresh])) if fresh else ()
        memory = [*known, *zip(fresh, vectors, strict=True)]
        self._remember(video_id, memory, places)
        return StillEncoded(np.stack([memory[place][1] for place in places]), len(fresh))

    def _find_like(self, look: _Look, looks: list[_Look]) -> int | None:
        places = (
            place
            for place in reversed(range(max(0, len(looks) - PICTURES_PER_VIDEO), len(looks)))
            if look.is_like(looks[place], self._most_mean, self._most_block)
        )
        return next(places, None)

    def _remember(self, video_id: str, memory: _Memory, places: Iterable[int]) -> None:
        latest = list(dict.fromkeys([*range(len(memory)), *places][::-1]))[:PICTURES_PER_VIDEO]
        with self._lock:
            self._videos[video_id] = [memory[place] for place in reversed(latest)]
