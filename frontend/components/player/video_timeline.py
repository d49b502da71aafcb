"""The timeline of one video: its curve for a description, its shots, its matches; a click plays from there."""

import streamlit as st

from clipseek.api.documents import Query, Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import parse_time, timestamp
from frontend.components.frame.trouble import trouble
from frontend.components.player.clip_player import clip_player
from frontend.logic.safe_text import escaped
from frontend.logic.timeline_chart import PICK, Timeline, picture_times, timeline_chart
from frontend.media.clips import Cut
from frontend.media.thumbnails import Still
from frontend.shared import services
from frontend.texts import Texts

_PICTURES = 10
_PLAYED_SECONDS = 8.0  # from where the curve was clicked
_CHART = "timeline.chart"
_FROM = "timeline.from"  # with the video: the box with the time to play from; a click in the chart fills it
OPEN = "timeline.open"  # the id of the video to show next


def open_timeline(video_id: str) -> None:
    """Go to the timeline of a video, with the description that is searched for."""
    st.session_state[OPEN] = video_id
    st.switch_page("views/timeline.py")


def video_timeline(video: Video, text: str, t: Texts) -> Query | None:
    """Draw the chart and what was clicked in it; answers what the server found, None where nothing was asked."""
    client = services().client
    try:
        answer = client.timeline(video.video_id, text) if text.strip() else None
        shots = answer.shot_start_seconds if answer else [start for start, _ in client.shots(video.video_id)]
    except ClipSeekError as error:
        trouble(error, t)
        return None
    times = picture_times(video.duration_seconds, _PICTURES)
    pictures = services().pictures.all([Still(video.video_id, at, 160) for at in times])
    drawn = Timeline(
        duration_seconds=video.duration_seconds,
        pts_seconds=answer.curve_pts_seconds if answer else (),
        scores=answer.curve_scores if answer else (),
        cut_off=answer.cut_off if answer else 0.0,
        shot_starts=shots,
        bands=[(match.start_seconds, match.end_seconds) for match in answer.matches] if answer else (),
        pictures=[(at, jpeg) for at, jpeg in zip(times, pictures, strict=True) if jpeg],
        time_name=t("chart.time"),
        score_name=t("chart.score"),
    )
    chart, box = f"{_CHART}.{video.video_id}", f"{_FROM}.{video.video_id}"
    st.altair_chart(
        timeline_chart(drawn), key=chart, on_select=lambda: _picked(chart, box), selection_mode=PICK, width="stretch"
    )
    st.html(f'<span class="cs-soft">{t("timeline.legend")}</span>')
    _play(video, box, t)
    return answer


def _picked(chart: str, box: str) -> None:
    for point in st.session_state[chart]["selection"].get(PICK, []):
        st.session_state[box] = timestamp(float(point["seconds"]))


def _play(video: Video, box: str, t: Texts) -> None:
    """The box for the time to play from, so that keys do what a click in the chart does, and the player."""
    with st.container(key="timeline-player", horizontal_alignment="center"):
        written = st.text_input(
            t("timeline.from"), key=box, placeholder="0:42", icon=":material/play_arrow:", width=220
        )
        if not written.strip():
            return
        try:
            start = parse_time(written)
        except ValueError:
            st.caption(t("timeline.from.not"))
            return
        start = min(max(start, 0.0), max(video.duration_seconds - 0.1, 0.0))
        end = min(start + _PLAYED_SECONDS, video.duration_seconds)
        clip_player(Cut(video.video_id, round(start, 3), round(end, 3)), t)
        st.html(f'<span class="cs-soft">{escaped(video.title)} · {timestamp(start)} - {timestamp(end)}</span>')
