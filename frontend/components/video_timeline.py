"""The timeline of a video: its score curve for a description, its shots and matches. A click plays from there."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from clipseek.api.documents import Cue, Query, Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import parse_time, timestamp
from frontend.components.elements import clip_player, muted
from frontend.components.messages import show_error
from frontend.components.transcript import transcript_list, transcript_of
from frontend.logic.safe_text import escape_html
from frontend.logic.timeline_chart import PICK, Timeline, strip_times, timeline_chart
from frontend.logic.transcript_lines import clip_end
from frontend.media.caches import ClipKey, ThumbnailKey
from frontend.services import services
from frontend.texts import Texts

_THUMBNAILS = 10
_PLAY_SECONDS = 8.0
_SHORTEST_SECONDS = 0.1  # what a time at the very end still plays
_CHART = "timeline.chart"
_PLAY_FROM = "timeline.play_from"  # a key per video: the box with the time to play from; a click in the chart fills it
OPEN = "timeline.open"  # the id of the video to show next


def open_timeline(video_id: str) -> None:
    """Go to the timeline of a video, with the description of the current search."""
    st.session_state[OPEN] = video_id
    st.switch_page("views/timeline.py")


def video_timeline(video: Video, text: str, t: Texts, *, weaker: int) -> Query | None:
    """Draw the chart and the player. Returns: the answer; None without a description, or where the server refused."""
    client = services().client
    try:
        answer = client.timeline(video.video_id, text, weaker=weaker) if text.strip() else None
        shots = answer.shot_start_seconds if answer else [start for start, _ in client.shots(video.video_id)]
    except ClipSeekError as error:
        show_error(error, t)
        return None
    chart, play_from = f"{_CHART}.{video.video_id}", f"{_PLAY_FROM}.{video.video_id}"
    st.altair_chart(
        timeline_chart(_timeline(video, answer, shots, t)),
        key=chart,
        on_select=lambda: _copy_click(chart, play_from),
        selection_mode=PICK,
        width="stretch",
    )
    muted(t("timeline.legend"))
    words = transcript_of(video, t)
    if words is None:
        _play_from(video, play_from, (), t)
        return answer
    left, right = st.columns([3, 2])
    with left:
        playing_seconds = _play_from(video, play_from, words.cues, t)
    with right:
        transcript_list(video, words, playing_seconds, partial(_fill_box, play_from), t)
    return answer


def _timeline(video: Video, answer: Query | None, shots: list[float], t: Texts) -> Timeline:
    times = strip_times(video.duration_seconds, _THUMBNAILS)
    jpegs = services().thumbnails.get_all([ThumbnailKey(video.video_id, at, 160) for at in times])
    return Timeline(
        duration_seconds=video.duration_seconds,
        pts_seconds=answer.curve_pts_seconds if answer else (),
        scores=answer.curve_scores if answer else (),
        cut_off=answer.cut_off if answer else 0.0,
        shot_starts=shots,
        matches=[(match.start_seconds, match.end_seconds) for match in answer.matches] if answer else (),
        thumbnails=[(at, jpeg) for at, jpeg in zip(times, jpegs, strict=True) if jpeg],
        time_name=t("chart.time"),
        score_name=t("chart.score"),
    )


def _copy_click(chart: str, play_from: str) -> None:
    for point in st.session_state[chart]["selection"].get(PICK, []):
        _fill_box(play_from, float(point["seconds"]))


def _fill_box(play_from: str, seconds: float) -> None:
    st.session_state[play_from] = timestamp(seconds)


def _play_from(video: Video, key: str, cues: Sequence[Cue], t: Texts) -> float:
    """The player, and the box with its start time, which does by keys what a click in the chart does.

    A clip is a few seconds long, or as long as the line that is said then.

    Returns: that time; 0 where nothing plays.
    """
    with st.container(key="timeline-player", horizontal_alignment="center"):
        written = st.text_input(
            t("timeline.play_from"), key=key, placeholder="0:42", icon=":material/play_arrow:", width=220
        )
        if not written.strip():
            return 0.0
        try:
            start = parse_time(written)
        except ValueError:
            st.caption(t("timeline.bad_time"))
            return 0.0
        start = min(max(start, 0.0), max(video.duration_seconds - _SHORTEST_SECONDS, 0.0))
        end = min(clip_end(start, _PLAY_SECONDS, cues), video.duration_seconds)
        clip_player(ClipKey(video.video_id, round(start, 3), round(end, 3)), t)
        muted(f"{escape_html(video.title)} · {timestamp(start)} - {timestamp(end)}")
    return start
