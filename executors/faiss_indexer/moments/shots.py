"""Shots beside a score curve: where they cut it, and edges that move to the cut they are near."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Span = tuple[float, float]  # `[start_seconds, end_seconds)`
Shots = Sequence[Span]  # all of a video, in order of time, each beginning where the one before ends; none: not known


def cuts_of(shots: Shots) -> Floats:
    """Where one shot ends and the next begins, ascending, float64 [number of shots - 1]."""
    return np.sort(np.array([start for start, _ in shots], dtype=np.float64))[1:]


def snapped(
    spans: Sequence[Span],
    peaks: Sequence[float],
    cuts: Floats,
    snap_seconds: float,
    least_seconds: float,
    duration_seconds: float,
) -> list[Span]:
    """Move each edge to the nearest cut, if that is no further away than `snap_seconds`.

    An edge stays where it is if its span would lose its peak, run into a neighbour, or become shorter than
    `least_seconds` and shorter than it was.

    Args:
        spans: in order of time, not overlapping, inside the video.
        peaks: of each span a time in it, which it has to keep.
        cuts: ascending.
    """
    if not len(cuts) or snap_seconds <= 0:
        return list(spans)
    made: list[Span] = []
    following_starts = [start for start, _ in spans[1:]] + [duration_seconds]
    nearest = nearest_cuts(cuts, np.array(spans)).tolist()
    for (start, end), near, peak, next_start in zip(spans, nearest, peaks, following_starts, strict=True):
        earliest = made[-1][1] if made else 0.0
        start_fits = abs(near[0] - start) <= snap_seconds and earliest <= near[0] <= peak
        end_fits = abs(near[1] - end) <= snap_seconds and peak < near[1] <= next_start
        new_start, new_end = near[0] if start_fits else start, near[1] if end_fits else end
        long_enough = new_end - new_start >= min(least_seconds, end - start)
        made.append((new_start, new_end) if long_enough else (start, end))
    return made


def nearest_cuts(cuts: Floats, seconds: Floats) -> Floats:
    """The cut that is nearest to each time, of the shape of `seconds`; infinity where there are no cuts."""
    fenced = np.concatenate(([-np.inf], cuts, [np.inf]))
    after = np.searchsorted(cuts, seconds) + 1
    earlier, later = fenced[after - 1], fenced[after]
    nearest: Floats = np.where(seconds - earlier <= later - seconds, earlier, later)
    return nearest
