"""The shots of a video beside its score curve: where they cut it, and edges that move to a nearby cut."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
TimeRange = tuple[float, float]  # `[start_seconds, end_seconds)`
Shots = Sequence[TimeRange]  # all of a video, in order of time, each starting where the one before ends; empty: unknown


def list_cuts(shots: Shots) -> Floats:
    """Where one shot ends and the next begins, ascending, float64 [number of shots - 1]."""
    return np.sort(np.array([start for start, _ in shots], dtype=np.float64))[1:]


def find_nearest_cuts(cuts: Floats, seconds: Floats) -> Floats:
    """The cut nearest to each time, of the shape of `seconds`; infinity where there are no cuts."""
    fenced = np.concatenate(([-np.inf], cuts, [np.inf]))
    after = np.searchsorted(cuts, seconds) + 1
    earlier, later = fenced[after - 1], fenced[after]
    nearest: Floats = np.where(seconds - earlier <= later - seconds, earlier, later)
    return nearest


def find_cuts_for_edges(cuts: Floats, edges: Floats, snap_seconds: float, pts_seconds: Floats) -> Floats:
    """The cut that each edge belongs to, of the shape of `edges`; infinity where there is none.

    That is the nearest one at most `snap_seconds` away, else the first between the two samples around the edge, however
    far they are apart.
    """
    nearest = find_nearest_cuts(cuts, edges)
    fenced = np.concatenate(([np.inf], pts_seconds, [-np.inf]))  # nothing lies before the first or after the last
    after = np.searchsorted(pts_seconds, edges, "right") + 1
    between = np.append(cuts, np.inf)[np.searchsorted(cuts, fenced[after - 1], "right")]
    between = np.where(between <= fenced[after], between, np.inf)
    found: Floats = np.where(np.abs(nearest - edges) <= snap_seconds, nearest, between)
    return found


def snap_to_cuts(
    ranges: Sequence[TimeRange],
    peaks: Sequence[float],
    cuts: Floats,
    snap_seconds: float,
    minimum_seconds: float,
    duration_seconds: float,
    pts_seconds: Floats,
) -> list[TimeRange]:
    """Move each edge to its cut, see `find_cuts_for_edges`.

    An edge stays where it is if its range would lose its peak, overlap a neighbour, or become shorter than both
    `minimum_seconds` and its present length.

    Args:
        ranges: in order of time, not overlapping, inside the video.
        peaks: for each range a time inside it that it must keep.
        cuts: ascending.
        pts_seconds: of the samples, ascending.
    """
    if not len(ranges) or not len(cuts) or snap_seconds <= 0:
        return list(ranges)
    snapped: list[TimeRange] = []
    following_starts = [start for start, _ in ranges[1:]] + [duration_seconds]
    nearest = find_cuts_for_edges(cuts, np.array(ranges), snap_seconds, pts_seconds).tolist()
    for (start, end), (cut_at_start, cut_at_end), peak, next_start in zip(
        ranges, nearest, peaks, following_starts, strict=True
    ):
        earliest = snapped[-1][1] if snapped else 0.0
        start_fits = earliest <= cut_at_start <= peak
        end_fits = peak < cut_at_end <= next_start
        new_start, new_end = cut_at_start if start_fits else start, cut_at_end if end_fits else end
        is_long_enough = new_end - new_start >= min(minimum_seconds, end - start)
        snapped.append((new_start, new_end) if is_long_enough else (start, end))
    return snapped
