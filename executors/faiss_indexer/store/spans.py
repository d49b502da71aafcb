"""How a video is divided into spans, the unit of work, and how the saved index numbers their frames."""

import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

SPAN_SECONDS = 30.0  # about 6 MB of pictures at one frame a second: small on the wire, large beside a seek
MAX_SPAN_FRAMES = 1 << 16  # a frame's number holds its span and its place in it, see `number_frames`


def plan_spans(duration_seconds: float, span_seconds: float = SPAN_SECONDS) -> list[tuple[float, float]]:
    """Divide `[0, duration_seconds)` into `[start, end)` spans: whole multiples of `span_seconds`, then the rest."""
    starts = [index * span_seconds for index in range(int(duration_seconds // span_seconds) + 1)]
    return [(start, min(start + span_seconds, duration_seconds)) for start in starts if start < duration_seconds]


def count_spans(duration_seconds: float, span_seconds: float = SPAN_SECONDS) -> int:
    """How many spans `plan_spans` has, also of a damaged duration, whose list no memory holds. Raises: ValueError."""
    if not 0 <= duration_seconds < math.inf:
        raise ValueError(f"{duration_seconds} s is no duration of a video")
    whole = duration_seconds // span_seconds
    return int(whole) + (whole * span_seconds < duration_seconds)


def is_planned(span: tuple[float, float], duration_seconds: float, span_seconds: float = SPAN_SECONDS) -> bool:
    """Whether `plan_spans` has a span."""
    start, end = span
    return not start % span_seconds and start < duration_seconds and end == min(start + span_seconds, duration_seconds)


def missing_spans(duration_seconds: float, stored: Collection[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans of the plan that are not among the stored ones, in order of time."""
    stored = set(stored)
    return [span for span in plan_spans(duration_seconds) if span not in stored]


def covers(stored: Collection[tuple[float, float]], start: float, end: float) -> bool:
    """Whether the stored `[start, end)` spans leave no gap in this one."""
    reached = start
    for first, last in sorted(stored):
        if first <= reached:
            reached = max(reached, last)
    return reached >= end


def number_frames(span_id: int, count: int) -> Ids:
    """The numbers of a span's frames, int64 [count]: the span id times MAX_SPAN_FRAMES, plus the place in the span."""
    return span_id * MAX_SPAN_FRAMES + np.arange(count, dtype=np.int64)
