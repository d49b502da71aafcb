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
    for (start, end), peak, next_start in zip(spans, peaks, following_starts, strict=True):
        earliest = made[-1][1] if made else 0.0
        new_start, new_end = _nearest(cuts, start), _nearest(cuts, end)
        if abs(new_start - start) > snap_seconds or not earliest <= new_start <= peak:
            new_start = start
        if abs(new_end - end) > snap_seconds or not peak < new_end <= next_start:
            new_end = end
        long_enough = new_end - new_start >= min(least_seconds, end - start)
        made.append((new_start, new_end) if long_enough else (start, end))
    return made


def _nearest(cuts: Floats, seconds: float) -> float:
    after = int(np.searchsorted(cuts, seconds))
    near = cuts[max(0, after - 1) : after + 1]
    return float(near[np.abs(near - seconds).argmin()])
