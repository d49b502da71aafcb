"""A score curve drawn with characters, for terminals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipseek.api.formats import timestamp

if TYPE_CHECKING:
    from clipseek.api.documents import Match

Floats = NDArray[np.float64]
_ROWS = 4
_LEAST_COLUMNS = 20
_LEAST_TICK_COLUMNS = 14  # from one time under the axis to the next: a time and a gap


@dataclass(frozen=True)
class Characters:
    """The characters of a curve; `levels` fill a cell from empty to full."""

    levels: str
    cut_off: str
    match: str
    axis: str
    tick: str


BLOCKS = Characters(" ▁▂▃▄▅▆▇█", "┄", "━", "─", "┬")
ASCII = Characters(" .:|#", "-", "=", "-", "+")


def characters_for(encoding: str | None) -> Characters:
    """BLOCKS if the encoding of the output has them, else ASCII."""
    try:
        "".join(vars(BLOCKS).values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def draw(
    pts_seconds: Sequence[float],
    scores: Sequence[float],
    time_range: tuple[float, float],
    cut_off: float,
    matches: Sequence["Match"],
    width: int,
    characters: Characters = BLOCKS,
) -> list[str]:
    """The lines of a curve over the range `[start, end)` in seconds, at most `width` characters wide.

    The highest line is that of the best score, which is written beside it. A broken line shows the cut-off, unless that
    is 0 or above all scores. Below are the matches, the first nine numbered at their peaks, and the times.
    """
    top = max(scores, default=0.0)
    label = f"{top:.2f} "
    columns = max(_LEAST_COLUMNS, width - len(label))
    heights = column_scores(pts_seconds, scores, time_range, columns)
    rows = _curve_rows(heights, top, cut_off, characters)
    margin = " " * len(label)
    lines = [label + rows[0], *(margin + row for row in rows[1:])]
    if matches:
        lines.append(margin + _match_row(matches, time_range, columns, characters.match))
    lines += [margin + line for line in _axis_rows(time_range, columns, characters)]
    return [line.rstrip() for line in lines]


def column_scores(
    pts_seconds: Sequence[float], scores: Sequence[float], time_range: tuple[float, float], columns: int
) -> Floats:
    """The best score in each of the columns that the range is divided into, float64 [columns].

    A column between two frames shows the one before it, which is on screen then. NaN before the first frame.
    """
    start, end = time_range
    best = np.full(columns, -np.inf)
    pts = np.asarray(pts_seconds, dtype=np.float64)
    column_of = np.clip(((pts - start) / (end - start) * columns).astype(int), 0, columns - 1)
    np.maximum.at(best, column_of, np.asarray(scores, dtype=np.float64))
    seen = np.isfinite(best)
    last = np.maximum.accumulate(np.where(seen, np.arange(columns), -1))
    shown: Floats = np.where(last >= 0, best[np.maximum(last, 0)], np.nan)
    return shown


def _curve_rows(heights: Floats, top: float, cut_off: float, characters: Characters) -> list[str]:
    levels = len(characters.levels) - 1
    filled = np.nan_to_num(heights / top if top > 0 else heights * 0) * _ROWS
    cut_row = int(cut_off / top * _ROWS) if 0 < cut_off < top else -1
    rows = []
    for row in reversed(range(_ROWS)):
        cells = np.rint(np.clip(filled - row, 0, 1) * levels).astype(int).tolist()
        empty = characters.cut_off if row == cut_row else characters.levels[0]
        rows.append("".join(characters.levels[cell] if cell else empty for cell in cells))
    return rows


def _match_row(matches: Sequence["Match"], time_range: tuple[float, float], columns: int, filled: str) -> str:
    cells = [" "] * columns
    for match in matches:
        first = _column(match.start_seconds, time_range, columns)
        after = round((match.end_seconds - time_range[0]) / (time_range[1] - time_range[0]) * columns)
        for column in range(first, min(columns, max(first + 1, after))):
            cells[column] = filled
    for number, match in reversed(list(enumerate(matches[:9], 1))):
        cells[_column(match.peak_seconds, time_range, columns)] = str(number)
    return "".join(cells)


def _axis_rows(time_range: tuple[float, float], columns: int, characters: Characters) -> tuple[str, str]:
    """The line under the curve, and the times under it: those of the two ends, and as many between as fit."""
    start, end = time_range
    count = max(1, columns // _LEAST_TICK_COLUMNS)
    last = timestamp(end)
    line, times = [characters.axis] * columns, ""
    for column in (tick * columns // count for tick in range(count)):
        time = timestamp(start + (end - start) * column / columns)
        if column == 0 or column + len(time) < columns - len(last):
            line[column] = characters.tick
            times = times.ljust(column) + time
    line[-1] = characters.tick
    return "".join(line), times.ljust(columns - len(last)) + last


def _column(seconds: float, time_range: tuple[float, float], columns: int) -> int:
    return min(columns - 1, max(0, int((seconds - time_range[0]) / (time_range[1] - time_range[0]) * columns)))
