"""The score curve of a video as a chart: shots as lines, matches as bands, pictures along the axis."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from clipseek.terminal import timestamp

PICK = "pick"  # the chart's selection: the point that was clicked, with its `seconds`
_HEIGHT = 330  # pixels
_TOP = 1.02  # where the axis of scores ends: room for the line of a perfect score
_STRIP = -0.3  # where it begins: below 0 is the strip of pictures
_ACCENT = "#6d67f5"
_CLOCK = "pad('' + floor(datum.value / 60), 2, '0', 'left') + ':' + pad('' + floor(datum.value % 60), 2, '0', 'left')"
_POINTS_WITHOUT_CURVE = 400  # places to click at where nothing is searched for


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
        pairs = list(zip(self.pts_seconds, self.scores, strict=True))
        if not pairs:
            step = self.duration_seconds / _POINTS_WITHOUT_CURVE
            pairs = [(place * step, 0.0) for place in range(_POINTS_WITHOUT_CURVE)]
        return [{"seconds": seconds, "score": score, "time": timestamp(seconds)} for seconds, score in pairs]


def picture_times(duration_seconds: float, count: int) -> list[float]:
    """The middles of `count` equal parts of a video."""
    return [round((place + 0.5) * duration_seconds / count, 3) for place in range(count)]


def _data(values: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(values)  # Streamlit drops data that is written into a chart in any other form


def timeline_chart(timeline: Timeline) -> alt.LayerChart | alt.FacetChart:
    """Build the chart."""
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(domain=[0, timeline.duration_seconds], nice=False),
        axis=alt.Axis(labelExpr=_CLOCK, grid=False),
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
    shots = [{"seconds": start, "score": 0.0, "top": _TOP} for start in timeline.shot_starts]
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
