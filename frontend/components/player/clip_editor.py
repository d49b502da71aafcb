"""The edges of a moment, moved: by handles or in steps, with the picture at each edge and the clip playing above."""

from dataclasses import replace

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import duration, timestamp
from frontend.components.basket.state import basket, keep
from frontend.components.frame.trouble import trouble
from frontend.components.player.clip_player import clip_player
from frontend.logic.basket import Item
from frontend.logic.safe_text import clip_file_name, escaped
from frontend.logic.trim import STEPS, apart, moved, room, shown_last
from frontend.media.clips import Cut
from frontend.media.thumbnails import Still
from frontend.shared import services
from frontend.texts import Texts

_RANGE = "editor.range"
_ASKED = "editor.asked"  # the clip whose edges the range holds
_MIME = {".mp4": "video/mp4", ".mkv": "video/x-matroska"}


def clip_editor(item: Item, video: Video, t: Texts, *, in_basket: bool = False) -> None:
    """A dialog over the page for a clip of a video; one of the basket is replaced there, another one is added."""
    st.session_state.pop(_ASKED, None)

    st.dialog(t("editor.title"), width="large")(edges_form)(item, video, t, in_basket=in_basket)


def edges_form(item: Item, video: Video, t: Texts, *, in_basket: bool = False) -> None:
    """The clip with its edges, and what to do with it."""
    first, last = room(item.start_seconds, item.end_seconds, video.duration_seconds)
    if st.session_state.get(_ASKED) != item:
        st.session_state[_ASKED] = item
        st.session_state[_RANGE] = (round(item.start_seconds, 2), round(min(item.end_seconds, last), 2))
    start, end = apart(st.session_state[_RANGE], (first, last))
    if (start, end) != st.session_state[_RANGE]:
        st.session_state[_RANGE] = (start, end)
    st.html(f'<div class="cs-title cs-wide" title="{escaped(item.title)}">{escaped(item.title)}</div>')
    with st.container(key="editor-edges"):
        left, middle, right = st.columns([1, 2, 1], vertical_alignment="bottom")
    with left:
        _edge(item.video_id, t("editor.start"), start, start, 0, (first, last), t)
    with middle, st.container(key="editor-player"):
        clip_player(Cut(item.video_id, start, end), t, loop=True)
    with right:
        _edge(item.video_id, t("editor.end"), end, shown_last(end, video.fps), 1, (first, last), t)
    st.slider(t("editor.range"), first, last, key=_RANGE, step=0.01, format="%.2f s")
    _keep_buttons(item, replace(item, start_seconds=start, end_seconds=end), t, in_basket=in_basket)


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


def _keep_buttons(item: Item, changed: Item, t: Texts, *, in_basket: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        fast = st.toggle(t("clip.fast"), key="editor.fast", help=t("clip.fast.help"))
        cut = Cut(item.video_id, changed.start_seconds, changed.end_seconds, "copy" if fast else "exact")
        download_clip(cut, item.title, t, key="editor.download")  # a tip would take the Escape meant for the dialog
        what, icon = ("editor.keep", "check") if in_basket else ("basket.add", "add_shopping_cart")
        if st.button(t(what), icon=f":material/{icon}:", key="editor.basket", type="primary"):
            keep(basket().replaced(item, changed) if in_basket else basket().with_item(changed))
            st.rerun()
        st.html(f'<span class="cs-soft">{duration(changed.length_seconds)}</span>', width="content")


def download_clip(cut: Cut, title: str, t: Texts, *, key: str, tip: str | None = None) -> None:
    """A button that cuts the clip when it is pressed, and saves it.

    A fast cut is made beforehand, which is quick: only then it is known what its file is called.
    """
    clips = services().clips
    suffix = ".mp4"
    if cut.mode == "copy":
        try:
            with st.spinner(t("clip.cutting")):
                suffix = clips.path(cut).suffix
        except ClipSeekError as error:
            trouble(error, t)
            return
    st.download_button(
        t("clip.download"),
        data=lambda: clips.content(cut),
        file_name=clip_file_name(title, cut.start_seconds, cut.end_seconds, suffix),
        mime=_MIME[suffix],
        icon=":material/download:",
        key=key,
        help=tip,
        on_click="ignore",
    )
