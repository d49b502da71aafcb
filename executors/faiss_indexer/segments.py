"""From a score curve to segments: the moments `[start, end)` of one video that stand out for one query."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_LEAST_SIGMA_SECONDS = 1e-3  # less than any film's distance between frames: nothing to even out
_LEAST_CONTRAST = 1e-6  # below the precision of float16 vectors: such a curve is flat


@dataclass(frozen=True)
class ScoreCurve:
    """The score of each frame of one video: pts_seconds float64 [N] ascending inside `[0, duration_seconds)`, scores
    float64 [N], finite, higher is better."""

    pts_seconds: Floats
    scores: Floats
    duration_seconds: float

    def __post_init__(self) -> None:
        if self.pts_seconds.ndim != 1 or self.pts_seconds.shape != self.scores.shape:
            shapes = f"pts_seconds {self.pts_seconds.shape} and scores {self.scores.shape}"
            raise ValueError(f"a score curve wants two arrays [N] of one length, but got {shapes}")


@dataclass(frozen=True)
class Segment:
    """A scored `[start_seconds, end_seconds)`; `peak_seconds` is the time of its best frame."""

    start_seconds: float
    end_seconds: float
    score: float
    peak_seconds: float


@dataclass(frozen=True)
class SegmentOptions:
    """How a curve is divided.

    `smoothing_seconds` is the sigma of the Gaussian that evens out single frames. `low_share` is where a segment ends:
    0 at the level of the background, 1 at the Otsu threshold that a segment must rise above to begin.
    """

    smoothing_seconds: float = 0.5
    low_share: float = 1.0
    minimum_seconds: float = 0.5


def find_segments(curve: ScoreCurve, options: SegmentOptions | None = None) -> list[Segment]:
    """Divide a curve into non-overlapping segments, best first.

    The smoothed curve is thresholded by Otsu's method (N. Otsu, "A Threshold Selection Method from Gray-Level
    Histograms", 1979) with hysteresis; an edge lies where the line between the samples on its two sides crosses the
    threshold. A curve without any contrast is one segment, the whole video.

    Returns: segments inside `[0, duration_seconds)`; none for a curve without samples. Linear but for two sorts.
    """
    options = options or SegmentOptions()
    if not len(curve.scores):
        return []
    smooth = smoothed(curve, options.smoothing_seconds)
    if np.ptp(smooth) < _LEAST_CONTRAST:
        return [_segment(curve, smooth, 0.0, 0, len(smooth) - 1)]
    high = otsu_threshold(smooth)
    low = high - (1 - options.low_share) * (high - float(np.median(smooth[smooth <= high])))
    segments = [_segment(curve, smooth, low, first, last) for first, last in _runs(smooth, high, low)]
    long_enough = [s for s in segments if s.end_seconds - s.start_seconds >= options.minimum_seconds]
    return sorted(long_enough or segments, key=lambda s: (-s.score, s.start_seconds))


def smoothed(curve: ScoreCurve, sigma_seconds: float) -> Floats:
    """The scores averaged with Gaussian weights over time, float64 [N]; samples need not be evenly spaced.

    Weights reach three sigmas. A sample's weight does not grow where samples are dense: it is the Gaussian alone.
    """
    if sigma_seconds < _LEAST_SIGMA_SECONDS or len(curve.scores) < 2:
        return curve.scores
    total, weight = curve.scores.copy(), np.ones(len(curve.scores))
    for shift in range(1, len(curve.scores)):
        apart = curve.pts_seconds[shift:] - curve.pts_seconds[:-shift]
        gauss = np.where(apart <= 3 * sigma_seconds, np.exp(-0.5 * (apart / sigma_seconds) ** 2), 0.0)
        if not gauss.any():
            break
        total[shift:] += gauss * curve.scores[:-shift]
        total[:-shift] += gauss * curve.scores[shift:]
        weight[shift:] += gauss
        weight[:-shift] += gauss
    return total / weight


def otsu_threshold(values: Floats) -> float:
    """The threshold between two classes of values [N] that leaves the least variance inside the classes.

    Exact (every cut between two sorted values is tried), so it needs no histogram. A value equal to the threshold
    belongs to the upper class; for values that are all the same it is that value.
    """
    ordered = np.sort(values)
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)[:-1]
    between = below * (len(ordered) - below) * (sums / below - (ordered.sum() - sums) / (len(ordered) - below)) ** 2
    between[ordered[1:] == ordered[:-1]] = -1.0  # no cut between equal values
    if not len(between) or between.max() <= 0:
        return float(ordered[0])
    cut = int(between.argmax())
    return float((ordered[cut] + ordered[cut + 1]) / 2)


def _runs(values: Floats, high: float, low: float) -> list[tuple[int, int]]:
    """First and last index of each run of values >= low that reaches high somewhere."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], values >= low, [False]))))
    pairs = zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
    return [(first, last) for first, last in pairs if values[first : last + 1].max() >= high]


def _segment(curve: ScoreCurve, smooth: Floats, level: float, first: int, last: int) -> Segment:
    start = 0.0 if first == 0 else _crossing(curve.pts_seconds, smooth, level, first - 1)
    end = curve.duration_seconds if last == len(smooth) - 1 else _crossing(curve.pts_seconds, smooth, level, last)
    peak = first + int(smooth[first : last + 1].argmax())
    return Segment(start, end, float(smooth[peak]), float(curve.pts_seconds[peak]))


def _crossing(pts: Floats, values: Floats, level: float, index: int) -> float:
    """Where the line from sample `index` to the next one crosses the level, in seconds."""
    share = (level - values[index]) / (values[index + 1] - values[index])
    return float(pts[index] + share * (pts[index + 1] - pts[index]))
