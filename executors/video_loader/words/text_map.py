"""Tells where the text in a picture may have changed, from small grey copies of a few frames a second.

Letters are dense strong edges that stay exactly where they are. So a place changed if edges that two samples share are
not in the picture that was taken last, or if edges of that picture are in neither of the two. What moves shares few
edges from sample to sample, and noise has none in a small copy. That finds lines over moving pictures. Where nothing
moves, a place with edges changed if its levels did: that finds a single digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

Edges = NDArray[np.uint8]  # [height, width]: 1 where the brightness changes, 2 where it changes strongly, else 0
Mask = NDArray[np.uint8]  # [height, width], 0 or 1

_WIDTH = 640  # of the small copy: a line of text of 2 % of the picture's height has 7 pixels
# Levels over two pixels: grain and compression stay below the first, grey letters on white are above. Letters over
# leaves and stones are told from these by the second.
_LEAST_STEP, _STRONG_STEP = 24, 80
_CELL = 16  # pixels
_LEAST_IN_CELL = 26  # edges of letters fill a tenth of a cell at least
_LEAST_CELLS = 2  # beside one another: a short word
_STAYS = 0.7  # of the edges in a cell: letters share more from sample to sample, what moves a pixel shares less
_NEW_LEVELS, _MOVING_LEVELS = 48, 24
_LEAST_NEW, _MOST_MOVING = 12, 2  # pixels of a cell
_NEAR = np.ones((5, 5), np.uint8)
_LEAST_EDGES = 40  # of a picture that may hold a word
_OTHER_PICTURE, _SOME_MOTION = 0.6, 0.25  # share of edges that the last picture does not have


@dataclass(frozen=True)
class Sample:
    """The small copy of a frame, as it is stored: not turned. `levels`: 0 to 255."""

    levels: NDArray[np.int16]
    edges: Edges


def take_sample(frame: VideoFrame, scaler: VideoReformatter) -> Sample:
    height = max(_CELL, round(frame.height * _WIDTH / frame.width))
    small = scaler.reformat(frame, _WIDTH, height, "gray", interpolation=Interpolation.AREA, threads=1)
    levels = small.to_ndarray().astype(np.int16)
    step = np.zeros(levels.shape, np.int16)
    step[:, 1:-1] = np.abs(levels[:, 2:] - levels[:, :-2])
    step[1:-1] = np.maximum(step[1:-1], np.abs(levels[2:] - levels[:-2]))
    return Sample(levels, (step > _LEAST_STEP).astype(np.uint8) + (step > _STRONG_STEP))


@dataclass(frozen=True)
class TextMap:
    """Two samples one after another, the second of which a picture was taken of."""

    first: Sample
    second: Sample

    @property
    def before(self) -> Edges:
        return self.first.edges

    @property
    def now(self) -> Edges:
        return self.second.edges

    @property
    def may_hold_text(self) -> bool:
        return bool(np.count_nonzero(self.now) >= _LEAST_EDGES)

    def differs_from(self, last: TextMap) -> bool:
        """Whether text may have come or gone since the last picture."""
        if self.now.shape != last.now.shape:
            return True
        return any(
            _has_text(_without(_shared(self, level), _grow(_any(last, level))), self.now >= level)
            or _has_text(_without(_shared(last, level), _grow(_any(self, level))), last.now >= level)
            for level in (1, 2)
        ) or _has_new_levels(self, last)

    def motion_since(self, last: TextMap) -> int:
        """0: the same picture; 1: much of it moved; 2: it is another, in both samples."""
        if self.now.shape != last.now.shape:
            return 2
        known = _grow(_any(last, 1))
        share = min(_share_beside(known, edges >= 1) for edges in (self.before, self.now))
        return (share > _SOME_MOTION) + (share > _OTHER_PICTURE)


def _shared(pair: TextMap, level: int) -> Mask:
    return ((pair.before >= level) & (pair.now >= level)).astype(np.uint8)


def _any(pair: TextMap, level: int) -> Mask:
    return ((pair.before >= level) | (pair.now >= level)).astype(np.uint8)


def _has_new_levels(pair: TextMap, last: TextMap) -> bool:
    """Whether a place with edges, in which nothing moves now or then, looks different."""
    changed = np.abs(pair.second.levels - last.second.levels) > _NEW_LEVELS
    moving = _moves(pair) | _moves(last)
    cells = (_sum_cells(changed) >= _LEAST_NEW) & (_sum_cells(moving) <= _MOST_MOVING)
    return bool((cells & (_sum_cells((pair.now > 0) | (last.now > 0)) >= _LEAST_IN_CELL)).any())


def _moves(pair: TextMap) -> NDArray[np.bool_]:
    return np.asarray(np.abs(pair.second.levels - pair.first.levels) > _MOVING_LEVELS)


def _without(edges: Mask, known: Mask) -> Mask:
    return np.where(known, np.uint8(0), edges)


def _share_beside(known: Mask, edges: NDArray[np.bool_]) -> float:
    total = np.count_nonzero(edges)
    return np.count_nonzero(edges & (known == 0)) / total if total >= _LEAST_EDGES else 0.0


def _grow(edges: Mask) -> Mask:
    return np.asarray(cv2.dilate(edges, _NEAR), np.uint8)


def _has_text(changed: Mask, present: NDArray[np.bool_]) -> bool:
    """Whether changed edges lie as those of letters do: most of what is in some neighbouring cells."""
    count, total = _sum_cells(changed), _sum_cells(present)
    cells = ((count >= _LEAST_IN_CELL) & (count >= _STAYS * total)).astype(np.uint8)
    if int(cells.sum()) < _LEAST_CELLS:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    return bool((stats[1:, cv2.CC_STAT_AREA] >= _LEAST_CELLS).any())


def _sum_cells(edges: Mask | NDArray[np.bool_]) -> NDArray[np.int64]:
    rows, columns = (size // _CELL for size in edges.shape)
    whole = edges[: rows * _CELL, : columns * _CELL]
    counts: NDArray[np.int64] = whole.reshape(rows, _CELL, columns, _CELL).sum(axis=(1, 3), dtype=np.int64)
    return counts
