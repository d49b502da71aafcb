"""From a score curve to segments: the moments `[start, end)` of one video that stand out for one query."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from executors.faiss_indexer.shots import Shots, cuts_of, snapped

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
    """How a curve is divided. The defaults did best on a montage of eleven moments and on labelled films.

    Attributes:
        smoothing_seconds: sigma of the Gaussian that evens out single frames.
        edge_level: where on its way down from a peak a segment ends: 0 at the background, 1 at the peak itself.
        minimum_seconds: shorter segments are left out, unless all are.
        snap_seconds: an edge moves to the nearest cut between two shots, if that is no further away.
        smooth_over_cuts: False keeps the scores of one shot out of the next one's average.
        shot_share: how much of a sample's score is the mean score of its shot, in [0, 1].
    """

    smoothing_seconds: float = 0.7
    edge_level: float = 0.65
    minimum_seconds: float = 0.5
    # The last three were measured on 84 labelled queries of 18 films with the starter model, means of 1, 2 and 4 frames
    # a second, for each half of the queries. mAP without shots: 22.1 and 20.4; with edges that snap over 0.5 s: 24.1
    # and 22.0, over 1 s: 27.5 and 26.4, over 1.5 s: 28.3 and 26.4, over 2 s: 26.6 and 26.5; with all three: 28.1 and
    # 27.8. Montage: the edges, off by 0.61, 0.42 and 0.43 s without shots, are off by 0.18, 0.16 and 0.05 s.
    snap_seconds: float = 1.0
    smooth_over_cuts: bool = False
    shot_share: float = 0.2


def find_segments(curve: ScoreCurve, options: SegmentOptions | None = None, shots: Shots = ()) -> list[Segment]:
    """Divide a curve into non-overlapping segments, best first.

    Every local peak of the smoothed curve that rises above the Otsu threshold (N. Otsu, "A Threshold Selection Method
    from Gray-Level Histograms", 1979) begins a segment. It reaches to both sides down to a level between the
    background, the median of what lies below that threshold, and the peak: so a strong moment is not widened by the
    weaker ones beside it, as it is by one threshold for all. Higher peaks go first and keep what they reached. A curve
    without contrast is one segment, the whole video.

    Args:
        shots: the `[start, end)` of every shot, in order of time; edges near a cut move there. Without them edges lie
            where the line between two samples crosses the level.

    Returns: segments inside `[0, duration_seconds)`; none for a curve without samples. n log n in the samples.
    """
    options = options or SegmentOptions()
    if not len(curve.scores):
        return []
    cuts = cuts_of(shots)
    smooth = evened_out(curve, cuts, options.smoothing_seconds, options.smooth_over_cuts, options.shot_share)
    if np.ptp(smooth) < _LEAST_CONTRAST:
        peak = int(smooth.argmax())
        return [Segment(0.0, curve.duration_seconds, float(smooth[peak]), float(curve.pts_seconds[peak]))]
    segments = _around_peaks(curve, smooth, options.edge_level)
    long_enough = [s for s in segments if s.end_seconds - s.start_seconds >= options.minimum_seconds]
    return _snapped(long_enough or segments, cuts, options, curve.duration_seconds)


def _snapped(segments: list[Segment], cuts: Floats, options: SegmentOptions, duration_seconds: float) -> list[Segment]:
    in_time = sorted(segments, key=lambda s: s.start_seconds)
    spans = [(s.start_seconds, s.end_seconds) for s in in_time]
    peaks = [s.peak_seconds for s in in_time]
    moved = snapped(spans, peaks, cuts, options.snap_seconds, options.minimum_seconds, duration_seconds)
    made = [Segment(start, end, s.score, s.peak_seconds) for s, (start, end) in zip(in_time, moved, strict=True)]
    return sorted(made, key=lambda s: -s.score)


def _around_peaks(curve: ScoreCurve, smooth: Floats, edge_level: float) -> list[Segment]:
    pts, last = curve.pts_seconds, len(smooth) - 1
    threshold = otsu_threshold(smooth)
    background = float(np.median(smooth[smooth < threshold]))
    taken: list[Segment | None] = [None] * len(smooth)
    segments = []
    for peak in _peaks(smooth, threshold):
        if taken[peak]:
            continue
        level = background + edge_level * (float(smooth[peak]) - background)
        left = right = peak
        while left > 0 and not taken[left - 1] and smooth[left - 1] >= level:
            left -= 1
        while right < last and not taken[right + 1] and smooth[right + 1] >= level:
            right += 1
        before, after = taken[left - 1] if left else None, taken[right + 1] if right < last else None
        start = before.end_seconds if before else _crossing(pts, smooth, level, left - 1) if left else 0.0
        end = after.start_seconds if after else _crossing(pts, smooth, level, right) if right < last else None
        segment = Segment(start, curve.duration_seconds if end is None else end, float(smooth[peak]), float(pts[peak]))
        taken[left : right + 1] = [segment] * (right + 1 - left)
        segments.append(segment)
    return segments


def _peaks(smooth: Floats, threshold: float) -> list[int]:
    """Indices of the samples >= threshold that no neighbour exceeds, highest first, earliest first among equals."""
    fenced = np.concatenate(([-np.inf], smooth, [-np.inf]))
    found = np.flatnonzero((smooth >= threshold) & (smooth >= fenced[:-2]) & (smooth >= fenced[2:]))
    return [int(index) for index in found[np.argsort(-smooth[found], kind="stable")]]


def evened_out(
    curve: ScoreCurve, cuts: Floats, smoothing_seconds: float, smooth_over_cuts: bool, shot_share: float
) -> Floats:
    """The scores smoothed and mixed with the mean of their shot, float64 [N]; see `SegmentOptions`."""
    if not len(cuts) or not len(curve.scores):
        return smoothed(curve, smoothing_seconds)
    shot = np.searchsorted(cuts, curve.pts_seconds, side="right")  # the number of each sample's shot
    smooth = smoothed(curve, smoothing_seconds, None if smooth_over_cuts else shot)
    totals, counts = np.bincount(shot, curve.scores), np.bincount(shot)
    mixed: Floats = (1 - shot_share) * smooth + shot_share * totals[shot] / counts[shot]
    return mixed


def smoothed(curve: ScoreCurve, sigma_seconds: float, shot: npt.NDArray[np.intp] | None = None) -> Floats:
    """The scores averaged with Gaussian weights over time, float64 [N]; samples need not be evenly spaced.

    Weights reach three sigmas, and over no change of the number `shot` [N], ascending, where it is given. A sample's
    weight does not grow where samples are dense: it is the Gaussian alone.
    """
    if sigma_seconds < _LEAST_SIGMA_SECONDS or len(curve.scores) < 2:
        return curve.scores
    total, weight = curve.scores.copy(), np.ones(len(curve.scores))
    for shift in range(1, len(curve.scores)):
        apart = curve.pts_seconds[shift:] - curve.pts_seconds[:-shift]
        reached = apart <= 3 * sigma_seconds
        if shot is not None:
            reached &= shot[shift:] == shot[:-shift]
        if not reached.any():
            break
        gauss = np.where(reached, np.exp(-0.5 * (apart / sigma_seconds) ** 2), 0.0)
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


def _crossing(pts: Floats, values: Floats, level: float, index: int) -> float:
    """Where the line from sample `index` to the next one crosses the level, in seconds."""
    share = (level - values[index]) / (values[index + 1] - values[index])
    return float(pts[index] + share * (pts[index + 1] - pts[index]))
