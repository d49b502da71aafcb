"""The edges of a moment, moved: by handles or in steps, with the picture at each edge and the clip playing above."""

import streamlit as st

from clipseek.schema import Match, Video
from clipseek.terminal import duration, timestamp
from frontend.basket import Item
from frontend.clips import Cut
from frontend.components.basket_state import put
from frontend.components.clip_player import clip_player
from frontend.edges import STEPS, moved, room, shown_last
from frontend.names import clip_file_name, escaped
from frontend.pictures import Still
from frontend.services import services
from frontend.texts import Texts

_RANGE = "editor.range"
_ASKED = "editor.asked"  # the moment whose edges the range holds


def clip_editor(match: Match, video: Video, t: Texts) -> None:
    """A dialog over the page for one match of a video."""
    st.session_state.pop(_ASKED, None)

    st.dialog(t("editor.title"), width="large")(edges_form)(match, video, t)


def edges_form(match: Match, video: Video, t: Texts) -> None:
    """The clip with its edges, and what to do with it."""
    asked = (match.video_id, match.start_seconds, match.end_seconds)
    first, last = room(match.start_seconds, match.end_seconds, video.duration_seconds)
    if st.session_state.get(_ASKED) != asked:
        st.session_state[_ASKED] = asked
        st.session_state[_RANGE] = (round(match.start_seconds, 2), round(min(match.end_seconds, last), 2))
    start, end = st.session_state[_RANGE]
    st.html(f'<div class="cs-title cs-wide" title="{escaped(match.title)}">{escaped(match.title)}</div>')
    left, middle, right = st.columns([1, 2, 1], vertical_alignment="bottom")
    with left:
        _edge(match.video_id, t("editor.start"), start, start, 0, (first, last), t)
    with middle, st.container(key="editor-player"):
        clip_player(Cut(match.video_id, start, end), t, loop=True)
    with right:
        _edge(match.video_id, t("editor.end"), end, shown_last(end, video.fps), 1, (first, last), t)
    st.slider(t("editor.range"), first, last, key=_RANGE, step=0.01, format="%.2f s")
    _keep_buttons(match, start, end, t)


def _edge(
    video_id: str, name: str, at_seconds: float, seen_seconds: float, edge: int, limits: tuple[float, float], t: Texts
) -> None:
    picture = services().pictures.get(Still(video_id, round(max(seen_seconds, 0.0), 3), 320))
    if picture:
        st.image(picture, width="stretch")
    st.html(f'<div class="cs-edge">{escaped(name)} <b>{timestamp(at_seconds)}</b></div>')
    with st.container(horizontal=True, key=f"editor-steps-{edge}", gap="small"):
        for step in STEPS:
            st.button(
                f"{step:+g}",
                key=f"editor.step.{edge}.{step}",
                help=t("editor.step", seconds=f"{step:+g}"),
                on_click=_nudge,
                args=(edge, step, limits),
            )


def _nudge(edge: int, step: float, limits: tuple[float, float]) -> None:
    st.session_state[_RANGE] = moved(st.session_state[_RANGE], edge, step, limits)


def _keep_buttons(match: Match, start: float, end: float, t: Texts) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        fast = st.toggle(t("clip.fast"), key="editor.fast", help=t("clip.fast.help"))
        cut = Cut(match.video_id, start, end, "copy" if fast else "exact")
        download_clip(cut, match.title, t, key="editor.download")  # a tip would take the Escape meant for the dialog
        if st.button(t("basket.add"), icon=":material/add_shopping_cart:", key="editor.basket", type="primary"):
            put(Item(match.video_id, match.title, start, end))
            st.rerun()
        st.html(f'<span class="cs-soft">{duration(end - start)}</span>', width="content")


def download_clip(cut: Cut, title: str, t: Texts, *, key: str, tip: str | None = None) -> None:
    """A button that cuts the clip when it is pressed, and saves it."""
    clips = services().clips
    st.download_button(
        t("clip.download"),
        data=lambda: clips.content(cut),
        file_name=clip_file_name(title, cut.start_seconds, cut.end_seconds),
        mime="video/mp4",
        icon=":material/download:",
        key=key,
        help=tip,
        on_click="ignore",
    )
