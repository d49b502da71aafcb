"""The score curve of a video as a chart: shots as lines, matches as bands, thumbnails along the axis."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from clipseek.api.formats import timestamp

PICK = "pick"  # the chart's selection: the clicked point, with its `seconds`
_HEIGHT_PIXELS = 330
_TOP = 1.02  # upper end of the score axis: leaves room for the line of a perfect score
_BOTTOM_WITH_STRIP = -0.3  # lower end of the axis; the strip of thumbnails lies below 0
_ACCENT = "#6d67f5"
_TWO_DIGITS = "pad('' + floor({}), 2, '0', 'left')"
_SECONDS, _MINUTES = _TWO_DIGITS.format("datum.value % 60"), _TWO_DIGITS.format("datum.value % 3600 / 60")
_CLOCK = f"(datum.value >= 3600 ? floor(datum.value / 3600) + ':' : '') + {_MINUTES} + ':' + {_SECONDS}"
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MAX_TICKS = 10
_POINTS_WITHOUT_CURVE = 400  # points to click where there is no description
_MAX_POINTS = 1200  # about one per pixel: more slow the browser down and cannot be seen
_MAX_SHOTS = 300  # lines; beyond that, lines that nearly touch are left out


@dataclass(frozen=True)
class Timeline:
    """What the chart shows. Times in seconds, scores from 0 to 1, `matches` as `[start, end)`."""

    duration_seconds: float
    pts_seconds: Sequence[float] = ()
    scores: Sequence[float] = ()
    cut_off: float = 0.0
    shot_starts: Sequence[float] = ()
    matches: Sequence[tuple[float, float]] = ()
    thumbnails: Sequence[tuple[float, bytes]] = ()  # the time at the middle of each, and its JPEG
    time_name: str = "Time"
    score_name: str = "Score"

    @property
    def points(self) -> list[dict[str, object]]:
        """The points that can be clicked."""
        pairs = thin_curve(list(zip(self.pts_seconds, self.scores, strict=True)), _MAX_POINTS)
        if not pairs:
            step = self.duration_seconds / _POINTS_WITHOUT_CURVE
            pairs = [(place * step, 0.0) for place in range(_POINTS_WITHOUT_CURVE)]
        return [{"seconds": seconds, "score": score, "time": timestamp(seconds)} for seconds, score in pairs]


def strip_times(duration_seconds: float, count: int) -> list[float]:
    """The middles of `count` equal pieces of a video: the times of the thumbnails."""
    return [round((place + 0.5) * duration_seconds / count, 3) for place in range(count)]


def thin_curve(curve: Sequence[tuple[float, float]], max_points: int) -> list[tuple[float, float]]:
    """At most `max_points` of a curve of (seconds, score): from each group of neighbours the highest."""
    group = -(-len(curve) // max_points) or 1
    return [max(curve[first : first + group], key=lambda point: point[1]) for first in range(0, len(curve), group)]


def thin_times(times: Sequence[float], gap_seconds: float) -> list[float]:
    """Ascending times without those that follow the one before by less than the gap."""
    thinned: list[float] = []
    for time in times:
        if not thinned or time - thinned[-1] >= gap_seconds:
            thinned.append(time)
    return thinned


def tick_times(duration_seconds: float) -> list[int]:
    """Round times for the axis, ten steps at most."""
    fitting = (step for step in _TICK_SECONDS if duration_seconds / step <= _MAX_TICKS)
    step = next(fitting, 3600 * math.ceil(duration_seconds / 3600 / _MAX_TICKS))
    return list(range(0, math.floor(duration_seconds) + 1, step))


def timeline_chart(timeline: Timeline) -> alt.LayerChart | alt.FacetChart:
    """Build the chart: its layers from back to front."""
    axes = _shared_axes(timeline)
    layers = [
        *_match_bands(timeline, axes),
        *_shot_lines(timeline, axes),
        *_curve(timeline, axes),
        *_thumbnail_strip(timeline, axes),
        _click_points(timeline, axes),
    ]
    return alt.layer(*layers).properties(height=_HEIGHT_PIXELS)


def _shared_axes(timeline: Timeline) -> dict[str, Any]:
    return {
        "x": alt.X(
            "seconds:Q",
            scale=alt.Scale(domain=[0, timeline.duration_seconds], nice=False),
            axis=alt.Axis(labelExpr=_CLOCK, grid=False, values=tick_times(timeline.duration_seconds)),
            title=None,
        ),
        "y": alt.Y(
            "score:Q",
            scale=alt.Scale(domain=[_BOTTOM_WITH_STRIP if timeline.thumbnails else 0, _TOP], nice=False),
            axis=alt.Axis(values=[0, 0.5, 1], grid=True, gridOpacity=0.35),
            title=None,
        ),
    }


def _match_bands(timeline: Timeline, axes: dict[str, Any]) -> list[alt.Chart]:
    rows = [{"seconds": start, "end": end, "score": 0.0, "top": _TOP} for start, end in timeline.matches]
    bands = _chart(rows).mark_rect(opacity=0.2, color=_ACCENT)
    return [bands.encode(**axes, x2="end:Q", y2="top:Q")] if rows else []


def _shot_lines(timeline: Timeline, axes: dict[str, Any]) -> list[alt.Chart]:
    starts = thin_times(timeline.shot_starts, timeline.duration_seconds / _MAX_SHOTS)
    rows = [{"seconds": start, "score": 0.0, "top": _TOP} for start in starts]
    lines = _chart(rows).mark_rule(strokeDash=[2, 3], opacity=0.45, color="#8a8ca0")
    return [lines.encode(**axes, y2="top:Q")] if rows else []


def _curve(timeline: Timeline, axes: dict[str, Any]) -> list[alt.Chart]:
    if not timeline.scores:
        return []
    points = _chart(timeline.points)
    cut_off = _chart([{"score": timeline.cut_off}])
    return [
        points.mark_area(opacity=0.14, color=_ACCENT).encode(**axes),
        points.mark_line(color=_ACCENT, strokeWidth=2).encode(**axes),
        cut_off.mark_rule(strokeDash=[6, 4], color="#d97706", opacity=0.8).encode(y=axes["y"]),
    ]


def _thumbnail_strip(timeline: Timeline, axes: dict[str, Any]) -> list[alt.Chart]:
    rows = [
        {
            "seconds": seconds,
            "score": _BOTTOM_WITH_STRIP / 2,
            "url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
        }
        for seconds, jpeg in timeline.thumbnails
    ]
    if not rows:
        return []
    width = alt.ExprRef(f"min(width / {len(rows)} - 4, 88)")  # pixels, so that neighbours do not overlap
    return [_chart(rows).mark_image(width=width, height=52).encode(**axes, url="url:N")]


def _click_points(timeline: Timeline, axes: dict[str, Any]) -> alt.Chart:
    """Invisible points that show their time and score as a tip, and can be clicked."""
    pick = alt.selection_point(name=PICK, fields=["seconds"], nearest=True, on="click", clear=False)
    tooltip = [
        alt.Tooltip("time:N", title=timeline.time_name),
        alt.Tooltip("score:Q", format=".2f", title=timeline.score_name),
    ]
    points = _chart(timeline.points).mark_point(opacity=0, size=120)
    chart: alt.Chart = points.encode(**axes, tooltip=tooltip).add_params(pick)
    return chart


def _chart(rows: Sequence[Mapping[str, object]]) -> alt.Chart:
    return alt.Chart(pd.DataFrame(rows))  # Streamlit drops chart data in any other form
