"""The clips of the basket in their order, to be moved, played and taken out."""

from collections.abc import Callable

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.formats import duration, timestamp
from frontend.components.basket.state import basket, keep, take
from frontend.components.player.clip_editor import clip_editor
from frontend.components.player.clip_player import clip_player
from frontend.logic.basket import Item
from frontend.logic.safe_text import escaped
from frontend.media.clips import Cut
from frontend.media.thumbnails import Still
from frontend.shared import services
from frontend.texts import Texts

_PLAYING = "basket.playing"


def basket_list(videos: dict[str, Video], t: Texts) -> None:
    """Draw the clips, one a row."""
    items = list(basket())
    services().pictures.prefetch(_still(item) for item in items)
    for place, item in enumerate(items):
        with st.container(border=True, key=f"item-{item.key}"):
            _row(place, item, len(items), videos.get(item.video_id), t)


def _still(item: Item) -> Still:
    return Still(item.video_id, round((item.start_seconds + item.end_seconds) / 2, 3), 320)


def _row(place: int, item: Item, count: int, video: Video | None, t: Texts) -> None:
    picture_column, words_column, tools_column = st.columns([1.1, 3, 1.4], vertical_alignment="center")
    with picture_column, st.container(key=f"still-item-{item.key}"):
        if st.session_state.get(_PLAYING) == item:
            clip_player(Cut(item.video_id, item.start_seconds, item.end_seconds), t)
        else:
            picture = services().pictures.get(_still(item))
            if picture:
                st.image(picture, width="stretch")
    with words_column:
        times = f"{timestamp(item.start_seconds)} - {timestamp(item.end_seconds)} · {duration(item.length_seconds)}"
        st.html(
            f'<div class="cs-title" title="{escaped(item.title)}">{place + 1}. {escaped(item.title)}</div>'
            f'<div class="cs-soft">{times}</div>'
        )
        if video is None:
            st.caption(t("problem.video_gone"))
    with tools_column, st.container(horizontal=True, key=f"tools-item-{item.key}", gap="small"):
        _tools(place, item, count, video, t)


def _tools(place: int, item: Item, count: int, video: Video | None, t: Texts) -> None:
    """The buttons of a clip. Keys and what they do come from the clip: its place may have changed in another tab."""
    _tool("play_arrow", t("basket.play"), f"basket.play.{item.key}", _play, item, disabled=video is None)
    if _tool("tune", t("card.adjust"), f"basket.adjust.{item.key}", disabled=video is None) and video:
        clip_editor(item, video, t, in_basket=True)
    _tool("arrow_upward", t("basket.up"), f"basket.up.{item.key}", _move, item, -1, disabled=place == 0)
    _tool("arrow_downward", t("basket.down"), f"basket.down.{item.key}", _move, item, 1, disabled=place == count - 1)
    _tool("delete", t("basket.remove"), f"basket.take.{item.key}", take, item)


def _play(item: Item) -> None:
    st.session_state[_PLAYING] = item


def _move(item: Item, by: int) -> None:
    keep(basket().moved(item, by))


def _tool(
    icon: str, what: str, key: str, act: Callable[..., None] | None = None, *given: object, disabled: bool = False
) -> bool:
    return st.button(
        what,
        icon=f":material/{icon}:",
        key=key,
        help=what,
        type="tertiary",
        disabled=disabled,
        on_click=act,
        args=given,
    )
