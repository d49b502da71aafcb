"""Pictures that stand still are encoded once: what looks like a picture just encoded takes over its embedding.

A video's spans come one by one, perhaps not in order, so the last few encoded pictures of each video are remembered. Two
pictures are the same if their levels differ by little on average, and by little in every block of the picture: a small
thing that appears changes few pixels, but it changes its block. A picture is compared with encoded ones only, never
with one that took over an embedding, so a slow change cannot creep through.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executors.clip_encoder.run.preprocessing import Pictures
from executors.clip_encoder.run.towers import Vectors

# Measured by `python -m benchmarks.still_pictures`, see docs/sampling.md: a still photograph with grain differs from
# itself by up to 1.4 and 2.3 levels after lossy coding, and of real videos no result changes at these limits.
MOST_MEAN_DIFFERENCE = 1.5  # levels, 0 to 255
MOST_BLOCK_DIFFERENCE = 2.5  # levels, of the mean of one colour in one block
BLOCKS = 26  # to each side of the picture, 10 of 260 pixels: grain and coding noise average out in them
PICTURES_PER_VIDEO = 8  # a still video alternates between few: its keyframes and what is coded between them
VIDEOS = 8  # remembered at once: 8 x 8 pictures of 260 pixels are 13 MB


@dataclass(frozen=True)
class StillEncoded:
    """vectors float32 [N, D], one for each picture, and how many pictures the model had to look at."""

    vectors: Vectors
    encoded: int


@dataclass(frozen=True)
class _Look:
    """A picture uint8 [H, W, 3], no part of a larger array; the mean colours of its blocks, float32 [rows, cols, 3]."""

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


class StillPictures:
    """Encodes pictures by `encode`, those that stand still once. Safe for threads; what it remembers is bounded.

    Args:
        encode: uint8 [N, H, W, 3] to float32 [N, D].
        most_mean: pictures are the same whose levels differ by no more on average,
        most_block: and by no more in the mean of any block.
    """

    def __init__(
        self,
        encode: Callable[[Pictures], Vectors],
        most_mean: float = MOST_MEAN_DIFFERENCE,
        most_block: float = MOST_BLOCK_DIFFERENCE,
    ) -> None:
        self._encode, self._most_mean, self._most_block = encode, most_mean, most_block
        self._videos: OrderedDict[str, list[tuple[_Look, NDArray[np.float32]]]] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, video_id: str, pictures: Pictures) -> StillEncoded:
        """Encode pictures of one video, uint8 [N, H, W, 3] in order of time; for none vectors is [0, 0]."""
        if not len(pictures):
            return StillEncoded(np.empty((0, 0), np.float32), 0)
        with self._lock:
            known = list(self._videos.get(video_id, ()))
        fresh: list[_Look] = []
        places: list[int] = []  # of each picture's vector among those known, then those encoded now
        for look in map(_Look.of, pictures):
            place = self._place_of(look, [*(seen for seen, _ in known), *fresh])
            places.append(len(known) + len(fresh) if place is None else place)
            if place is None:
                fresh.append(look)
        made = self._encode(np.stack([look.picture for look in fresh])) if fresh else ()
        seen = [*known, *zip(fresh, made, strict=True)]
        self._remember(video_id, seen, places)
        return StillEncoded(np.stack([seen[place][1] for place in places]), len(fresh))

    def _place_of(self, look: _Look, seen: list[_Look]) -> int | None:
        """Where the picture's like is, the latest if there are several."""
        places = (
            place
            for place in reversed(range(max(0, len(seen) - PICTURES_PER_VIDEO), len(seen)))
            if look.is_like(seen[place], self._most_mean, self._most_block)
        )
        return next(places, None)

    def _remember(self, video_id: str, seen: list[tuple[_Look, NDArray[np.float32]]], places: Iterable[int]) -> None:
        """Keep the pictures that were looked like last."""
        last = list(dict.fromkeys([*range(len(seen)), *places][::-1]))[:PICTURES_PER_VIDEO]
        with self._lock:
            self._videos[video_id] = [seen[place] for place in reversed(last)]
            self._videos.move_to_end(video_id)
            while len(self._videos) > VIDEOS:
                self._videos.popitem(last=False)
