"""The dialog that moves the edges of a clip: by handles or in steps, with the frame at each edge beside the player."""

from dataclasses import replace

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import duration, timestamp
from clipseek.client.download import clip_file_name
from frontend.components.elements import clip_player, muted, title_html
from frontend.components.messages import show_error
from frontend.components.visitor import save_basket, visitor_basket
from frontend.logic.basket import STEP_SECONDS, BasketItem, edge_limits, last_frame_seconds, move_edge, separate_edges
from frontend.logic.safe_text import escape_html
from frontend.media.caches import ClipKey, ThumbnailKey
from frontend.services import services
from frontend.texts import Texts

_RANGE = "editor.range"
_ITEM = "editor.item"  # the clip whose edges the range holds
_MIME = {".mp4": "video/mp4", ".mkv": "video/x-matroska"}


def clip_editor(item: BasketItem, video: Video, t: Texts, *, in_basket: bool = False) -> None:
    """Open the dialog. A clip that is in the basket is replaced there, any other is added."""
    st.session_state.pop(_ITEM, None)
    st.dialog(t("editor.title"), width="large")(edges_form)(item, video, t, in_basket=in_basket)


def edges_form(item: BasketItem, video: Video, t: Texts, *, in_basket: bool = False) -> None:
    """The clip between its edges, and the buttons that save it."""
    limits = edge_limits(item.start_seconds, item.end_seconds, video.duration_seconds)
    start, end = _current_edges(item, limits)
    st.html(title_html(item.title, is_wide=True))
    with st.container(key="editor-edges"):
        left, middle, right = st.columns([1, 2, 1], vertical_alignment="bottom")
    with left:
        _edge(0, t("editor.start"), start, ThumbnailKey(item.video_id, round(start, 3), 320), limits, t)
    with middle, st.container(key="editor-player"):
        clip_player(ClipKey(item.video_id, start, end), t, loop=True)
    with right:
        last_frame = round(max(last_frame_seconds(end, video.fps), 0.0), 3)
        _edge(1, t("editor.end"), end, ThumbnailKey(item.video_id, last_frame, 320), limits, t)
    st.slider(t("editor.range"), *limits, key=_RANGE, step=0.01, format="%.2f s")
    _save_buttons(item, replace(item, start_seconds=start, end_seconds=end), t, in_basket=in_basket)


def _current_edges(item: BasketItem, limits: tuple[float, float]) -> tuple[float, float]:
    """The edges in the slider: at first those of the clip, later never closer together than the shortest clip."""
    if st.session_state.get(_ITEM) != item:
        st.session_state[_ITEM] = item
        st.session_state[_RANGE] = (round(item.start_seconds, 2), round(min(item.end_seconds, limits[1]), 2))
    edges = separate_edges(st.session_state[_RANGE], limits)
    if edges != st.session_state[_RANGE]:
        st.session_state[_RANGE] = edges
    return edges


def _edge(edge: int, name: str, at_seconds: float, frame: ThumbnailKey, limits: tuple[float, float], t: Texts) -> None:
    jpeg = services().thumbnails.get(frame)
    if jpeg:
        st.image(jpeg, width="stretch")
    st.html(f'<div class="cs-edge">{escape_html(name)} <b>{timestamp(at_seconds)}</b></div>')
    with st.container(horizontal=True, key=f"editor-steps-{edge}", gap="small"):
        for step in STEP_SECONDS:
            st.button(
                f"{step:+g}",
                key=f"editor.step.{edge}.{step}",
                help=t("editor.step", seconds=f"{step:+g}"),
                on_click=_nudge,
                args=(edge, step, limits),
            )


def _nudge(edge: int, step: float, limits: tuple[float, float]) -> None:
    st.session_state[_RANGE] = move_edge(st.session_state[_RANGE], edge, step, limits)


def _save_buttons(item: BasketItem, changed: BasketItem, t: Texts, *, in_basket: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        fast = st.toggle(t("clip.fast"), key="editor.fast", help=t("clip.fast.help"))
        clip = ClipKey(item.video_id, changed.start_seconds, changed.end_seconds, "copy" if fast else "exact")
        download_clip(clip, item.title, t, key="editor.download")  # no tip: it would swallow the dialog's Escape
        label, icon = ("editor.save", "check") if in_basket else ("basket.add", "add_shopping_cart")
        if st.button(t(label), icon=f":material/{icon}:", key="editor.basket", type="primary"):
            basket = visitor_basket()
            save_basket(basket.replace(item, changed) if in_basket else basket.add(changed))
            st.rerun()
        muted(duration(changed.length_seconds), stretch=False)


def download_clip(clip: ClipKey, title: str, t: Texts, *, key: str, tip: str | None = None) -> None:
    """A button that cuts the clip when pressed, and saves it.

    A fast cut is made before the button is drawn, which is quick: only the cut file shows its suffix.
    """
    clips = services().clips
    suffix = ".mp4"
    if clip.mode == "copy":
        try:
            with st.spinner(t("clip.cutting")):
                suffix = clips.path(clip).suffix
        except ClipSeekError as error:
            show_error(error, t)
            return
    st.download_button(
        t("clip.download"),
        data=lambda: clips.content(clip),
        file_name=clip_file_name(title, clip.start_seconds, clip.end_seconds, suffix),
        mime=_MIME[suffix],
        icon=":material/download:",
        key=key,
        help=tip,
        on_click="ignore",
    )
