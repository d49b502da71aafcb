"""The clips of the basket in their order, to be moved, played and taken out."""

import streamlit as st

from clipseek.schema import Video
from clipseek.terminal import duration, timestamp
from frontend.basket import Item
from frontend.clips import Cut
from frontend.components.basket_state import basket, keep, take
from frontend.components.clip_editor import clip_editor
from frontend.components.clip_player import clip_player
from frontend.names import escaped
from frontend.pictures import Still
from frontend.services import services
from frontend.texts import Texts

_PLAYING = "basket.playing"


def basket_list(videos: dict[str, Video], t: Texts) -> None:
    """Draw the clips, one a row."""
    items = list(basket())
    services().pictures.prefetch(_still(item) for item in items)
    for place, item in enumerate(items):
        with st.container(border=True, key=f"item-{place}"):
            _row(place, item, len(items), videos.get(item.video_id), t)


def _still(item: Item) -> Still:
    return Still(item.video_id, round((item.start_seconds + item.end_seconds) / 2, 3), 320)


def _row(place: int, item: Item, count: int, video: Video | None, t: Texts) -> None:
    picture_column, words_column, tools_column = st.columns([1.1, 3, 1.4], vertical_alignment="center")
    with picture_column, st.container(key=f"still-item-{place}"):
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
    with tools_column, st.container(horizontal=True, key=f"tools-item-{place}", gap="small"):
        if _tool("play_arrow", t("basket.play"), f"basket.play.{place}"):
            st.session_state[_PLAYING] = item
            st.rerun()
        if _tool("tune", t("card.adjust"), f"basket.adjust.{place}", disabled=video is None) and video:
            clip_editor(item, video, t, in_basket=True)
        if _tool("arrow_upward", t("basket.up"), f"basket.up.{place}", disabled=place == 0):
            keep(basket().moved(item, -1))
            st.rerun()
        if _tool("arrow_downward", t("basket.down"), f"basket.down.{place}", disabled=place == count - 1):
            keep(basket().moved(item, 1))
            st.rerun()
        if _tool("delete", t("basket.remove"), f"basket.take.{place}"):
            take(item)
            st.rerun()


def _tool(icon: str, what: str, key: str, *, disabled: bool = False) -> bool:
    return st.button(what, icon=f":material/{icon}:", key=key, help=what, type="tertiary", disabled=disabled)
