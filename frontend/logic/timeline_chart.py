"""The score curve of a video as a chart: shots as lines, matches as bands, pictures along the axis."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from clipseek.api.formats import timestamp

PICK = "pick"  # the chart's selection: the point that was clicked, with its `seconds`
_HEIGHT = 330  # pixels
_TOP = 1.02  # where the axis of scores ends: room for the line of a perfect score
_STRIP = -0.3  # where it begins: below 0 is the strip of pictures
_ACCENT = "#6d67f5"
_TWO_DIGITS = "pad('' + floor({}), 2, '0', 'left')"
_SECONDS, _MINUTES = _TWO_DIGITS.format("datum.value % 60"), _TWO_DIGITS.format("datum.value % 3600 / 60")
_CLOCK = f"(datum.value >= 3600 ? floor(datum.value / 3600) + ':' : '') + {_MINUTES} + ':' + {_SECONDS}"
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_TICKS = 10
_POINTS_WITHOUT_CURVE = 400  # places to click at where nothing is searched for
_MOST_POINTS = 1200  # about one a pixel: more slow the browser down and are not seen
_MOST_SHOTS = 300  # lines: where there are more, those that nearly touch are left out


@dataclass(frozen=True)
class Timeline:
    """What is drawn. Times in seconds, scores in [0, 1]; `bands` are the `[start, end)` of the matches."""

    duration_seconds: float
    pts_seconds: Sequence[float] = ()
    scores: Sequence[float] = ()
    cut_off: float = 0.0
    shot_starts: Sequence[float] = ()
    bands: Sequence[tuple[float, float]] = ()
    pictures: Sequence[tuple[float, bytes]] = ()  # the time in the middle of each picture, and its JPEG
    time_name: str = "Time"
    score_name: str = "Score"

    @property
    def points(self) -> list[dict[str, object]]:
        """The places that can be clicked."""
        pairs = peaks(list(zip(self.pts_seconds, self.scores, strict=True)), _MOST_POINTS)
        if not pairs:
            step = self.duration_seconds / _POINTS_WITHOUT_CURVE
            pairs = [(place * step, 0.0) for place in range(_POINTS_WITHOUT_CURVE)]
        return [{"seconds": seconds, "score": score, "time": timestamp(seconds)} for seconds, score in pairs]


def picture_times(duration_seconds: float, count: int) -> list[float]:
    """The middles of `count` equal parts of a video."""
    return [round((place + 0.5) * duration_seconds / count, 3) for place in range(count)]


def peaks(curve: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` points of a curve of (seconds, score): of so many neighbours each time the highest."""
    together = -(-len(curve) // most) or 1
    return [
        max(curve[first : first + together], key=lambda point: point[1]) for first in range(0, len(curve), together)
    ]


def spread(times: Sequence[float], least_seconds: float) -> list[float]:
    """The ascending times without those that follow another sooner than that."""
    kept: list[float] = []
    for time in times:
        if not kept or time - kept[-1] >= least_seconds:
            kept.append(time)
    return kept


def tick_times(duration_seconds: float) -> list[int]:
    """Round times of a clock for the axis, ten at most."""
    fitting = (step for step in _TICK_SECONDS if duration_seconds / step <= _MOST_TICKS)
    step = next(fitting, 3600 * math.ceil(duration_seconds / 3600 / _MOST_TICKS))
    return list(range(0, math.floor(duration_seconds) + 1, step))


def _data(values: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(values)  # Streamlit drops data that is written into a chart in any other form


def timeline_chart(timeline: Timeline) -> alt.LayerChart | alt.FacetChart:
    """Build the chart."""
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(domain=[0, timeline.duration_seconds], nice=False),
        axis=alt.Axis(labelExpr=_CLOCK, grid=False, values=tick_times(timeline.duration_seconds)),
        title=None,
    )
    y = alt.Y(
        "score:Q",
        scale=alt.Scale(domain=[_STRIP if timeline.pictures else 0, _TOP], nice=False),
        axis=alt.Axis(values=[0, 0.5, 1], grid=True, gridOpacity=0.35),
        title=None,
    )
    layers: list[alt.Chart] = []
    if timeline.bands:
        bands = [{"seconds": start, "end": end, "score": 0.0, "top": _TOP} for start, end in timeline.bands]
        layers.append(
            alt.Chart(_data(bands)).mark_rect(opacity=0.2, color=_ACCENT).encode(x=x, x2="end:Q", y=y, y2="top:Q")
        )
    starts = spread(timeline.shot_starts, timeline.duration_seconds / _MOST_SHOTS)
    shots = [{"seconds": start, "score": 0.0, "top": _TOP} for start in starts]
    if shots:
        layers.append(
            alt.Chart(_data(shots))
            .mark_rule(strokeDash=[2, 3], opacity=0.45, color="#8a8ca0")
            .encode(x=x, y=y, y2="top:Q")
        )
    points = alt.Chart(_data(timeline.points))
    if timeline.scores:
        layers.append(points.mark_area(opacity=0.14, color=_ACCENT).encode(x=x, y=y))
        layers.append(points.mark_line(color=_ACCENT, strokeWidth=2).encode(x=x, y=y))
        limit = alt.Chart(_data([{"score": timeline.cut_off}]))
        layers.append(limit.mark_rule(strokeDash=[6, 4], color="#d97706", opacity=0.8).encode(y=y))
    if timeline.pictures:
        layers.append(_strip(timeline, x, y))
    pick = alt.selection_point(name=PICK, fields=["seconds"], nearest=True, on="click", clear=False)
    tooltip = [
        alt.Tooltip("time:N", title=timeline.time_name),
        alt.Tooltip("score:Q", format=".2f", title=timeline.score_name),
    ]
    layers.append(points.mark_point(opacity=0, size=120).encode(x=x, y=y, tooltip=tooltip).add_params(pick))
    return alt.layer(*layers).properties(height=_HEIGHT)


def _strip(timeline: Timeline, x: alt.X, y: alt.Y) -> alt.Chart:
    values = [
        {
            "seconds": seconds,
            "score": _STRIP / 2,
            "url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
        }
        for seconds, jpeg in timeline.pictures
    ]
    room = alt.ExprRef(f"min(width / {len(values)} - 4, 88)")  # pixels, so that they do not overlap
    strip: alt.Chart = alt.Chart(_data(values)).mark_image(width=room, height=52).encode(x=x, y=y, url="url:N")
    return strip
