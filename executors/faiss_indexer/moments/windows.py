"""Window proposals: runs of a score curve that may be moments, and their means over time.

Windows are runs of the curve above many thresholds, at three degrees of smoothing, also with short gaps merged: the
"actionness grouping" of Y. Xiong et al., "Temporal Action Detection with Structured Segment Networks", 2017.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from executors.faiss_indexer.moments.curves import Indices, ScoreCurve, clip, smooth_scores
from executors.faiss_indexer.moments.edges import find_edges_after
from executors.faiss_indexer.moments.options import SegmentOptions
from executors.faiss_indexer.moments.shots import Floats, Shots

# The trees were fitted on windows as these numbers make them: other numbers need another fit.
_SMOOTHINGS = (
    SegmentOptions(smoothing_seconds=0.5, smooth_over_cuts=False),
    SegmentOptions(smoothing_seconds=2.0),
    SegmentOptions(shot_share=1.0),
)
_LEVELS = (np.arange(12) + 0.5) / 12  # of the way from the lowest to the highest score
_MERGED_GAP_SECONDS = 4.0
_SURROUNDINGS_SECONDS = (2.0, 12.0)  # surroundings are as long as the window, within these bounds


@dataclass(frozen=True)
class Means:
    """Means over time of runs of samples, from the integral up to each cell's edge, float64 [N + 1]."""

    edges: Floats
    totals: Floats

    @classmethod
    def of(cls, curve: ScoreCurve, values: Floats) -> "Means":
        """The means of values [N] over the curve's cells."""
        edges = curve.cell_edges
        return cls(edges, np.concatenate(([0.0], np.cumsum(np.diff(edges) * values))))

    def average(self, first: Indices, after: Indices) -> Floats:
        """The mean of each run `[first, after)`, float64 [M]."""
        seconds = np.maximum(self.edges[after] - self.edges[first], 1e-9)
        means: Floats = (self.totals[after] - self.totals[first]) / seconds
        return means


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows `[first, after)` of indices of a curve's samples, int64 [M] each."""

    curve: ScoreCurve
    first: Indices
    after: Indices

    def __len__(self) -> int:
        return len(self.first)

    def select(self, places: Indices) -> "Windows":
        return Windows(self.curve, self.first[places], self.after[places])

    @cached_property
    def seconds(self) -> Floats:
        edges = self.curve.cell_edges
        lengths: Floats = edges[self.after] - edges[self.first]
        return lengths

    @cached_property
    def means(self) -> Means:
        return Means.of(self.curve, self.curve.scores)

    @cached_property
    def inside_and_beside(self) -> tuple[Floats, Floats, Floats]:
        """The mean of each window, and of its surroundings before and after it."""
        before, behind = self.average_beside(clip(self.seconds, *_SURROUNDINGS_SECONDS))
        return self.means.average(self.first, self.after), before, behind

    def average_beside(self, seconds: Floats | float) -> tuple[Floats, Floats]:
        """The means of so many seconds before and after each window, at least of a sample; -inf where there is none."""
        means, first, after, last = self.means, self.first, self.after, len(self.curve.scores)
        edges = means.edges
        low = np.minimum(edges.searchsorted(edges[first] - seconds), np.maximum(first - 1, 0))
        high = clip(edges.searchsorted(edges[after] + seconds), np.minimum(after + 1, last), last)
        before = np.where(first > 0, means.average(low, first), -np.inf)
        return before, np.where(after < last, means.average(after, high), -np.inf)


def propose_windows(curve: ScoreCurve, shots: Shots) -> Windows:
    """Every window that is judged, without duplicates; the whole video is one of them."""
    count, edges = len(curve.scores), curve.cell_edges
    firsts, afters = [np.array([0])], [np.array([count])]
    for smoothing in _SMOOTHINGS:
        values = smooth_scores(curve, shots, smoothing)
        level, first, after = _find_runs_above(values, values.min() + _LEVELS * np.ptp(values))
        apart = (edges[first[1:]] - edges[after[:-1]] > _MERGED_GAP_SECONDS) | (level[1:] != level[:-1])
        firsts += [first, first[np.append(True, apart)]]
        afters += [after, after[np.append(apart, True)]]
    pairs = np.unique(np.concatenate(firsts) * (count + 1) + np.concatenate(afters))
    return Windows(curve, pairs // (count + 1), pairs % (count + 1))


def _find_runs_above(values: Floats, levels: Floats) -> tuple[Indices, Indices, Indices]:
    """The runs of values [N] at or above each level: the level's index, `[first, after)`."""
    width = len(values) + 2
    above = np.zeros((len(levels), width), np.bool_)
    above[:, 1:-1] = values >= levels[:, None]
    flat = above.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return changes[::2] // width, changes[::2] % width, changes[1::2] % width


def find_window_edges(windows: Windows, smooth: Floats) -> Floats:
    """Starts and ends in seconds, float64 [M, 2]: where the curve crosses half-way from a window's mean to that of its
    surroundings."""
    inside, before, behind = windows.inside_and_beside
    curve, first, after = windows.curve, windows.first, windows.after
    starts = np.where(first == 0, 0.0, find_edges_after(curve, smooth, first - 1, (inside + before) / 2))
    ends = find_edges_after(curve, smooth, after - 1, (inside + behind) / 2)
    return np.stack([starts, np.where(after == len(smooth), curve.duration_seconds, ends)], axis=1)
