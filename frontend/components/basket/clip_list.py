"""The clips of the basket in their order: play, adjust, move or remove each."""

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.formats import duration, timestamp
from frontend.components.elements import thumbnail, title_html, tool_button
from frontend.components.player.clip_editor import clip_editor
from frontend.components.player.clip_player import clip_player
from frontend.components.shell.visitor_basket import remove_from_basket, save_basket, visitor_basket
from frontend.logic.basket import BasketItem
from frontend.media.clips import ClipKey
from frontend.media.thumbnails import ThumbnailKey
from frontend.services import services
from frontend.texts import Texts

_PLAYING = "basket.playing"


def clip_list(videos: dict[str, Video], t: Texts) -> None:
    """Draw the clips, one per row."""
    items = visitor_basket().items
    services().thumbnails.prefetch(_thumbnail_key(item) for item in items)
    for place, item in enumerate(items):
        with st.container(border=True, key=f"item-{item.key}"):
            _row(place, item, len(items), videos.get(item.video_id), t)


def _thumbnail_key(item: BasketItem) -> ThumbnailKey:
    return ThumbnailKey(item.video_id, round((item.start_seconds + item.end_seconds) / 2, 3), 320)


def _row(place: int, item: BasketItem, count: int, video: Video | None, t: Texts) -> None:
    picture_column, words_column, tools_column = st.columns([1.1, 3, 1.4], vertical_alignment="center")
    with picture_column, st.container(key=f"still-item-{item.key}"):
        if st.session_state.get(_PLAYING) == item:
            clip_player(ClipKey(item.video_id, item.start_seconds, item.end_seconds), t)
        else:
            thumbnail(_thumbnail_key(item))
    with words_column:
        times = f"{timestamp(item.start_seconds)} - {timestamp(item.end_seconds)} · {duration(item.length_seconds)}"
        st.html(f'{title_html(item.title, prefix=f"{place + 1}. ")}<div class="cs-soft">{times}</div>')
        if video is None:
            st.caption(t("problem.video_gone"))
    with tools_column, st.container(horizontal=True, key=f"tools-item-{item.key}", gap="small"):
        _tools(place, item, count, video, t)


def _tools(place: int, item: BasketItem, count: int, video: Video | None, t: Texts) -> None:
    """The buttons of a clip. Keys and actions name the clip itself, because another tab may have moved it."""
    is_gone = video is None
    tool_button("play_arrow", t("basket.play"), f"basket.play.{item.key}", _play, item, disabled=is_gone)
    if tool_button("tune", t("card.adjust"), f"basket.adjust.{item.key}", disabled=is_gone) and video:
        clip_editor(item, video, t, in_basket=True)
    tool_button("arrow_upward", t("basket.up"), f"basket.up.{item.key}", _move, item, -1, disabled=place == 0)
    is_last = place == count - 1
    tool_button("arrow_downward", t("basket.down"), f"basket.down.{item.key}", _move, item, 1, disabled=is_last)
    tool_button("delete", t("basket.remove"), f"basket.remove.{item.key}", remove_from_basket, item)


def _play(item: BasketItem) -> None:
    st.session_state[_PLAYING] = item


def _move(item: BasketItem, places: int) -> None:
    save_basket(visitor_basket().move(item, places))
