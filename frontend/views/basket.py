"""Basket: the chosen clips in their order, and the ways to export them."""

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import duration, timestamp
from clipseek.exports.formats import EXPORT_FORMATS
from clipseek.exports.otio import can_write_otio
from frontend.components.clip_editor import clip_editor
from frontend.components.elements import clip_player, empty_state, heading, muted, thumbnail, title_html, tool_button
from frontend.components.messages import show_page_error
from frontend.components.visitor import remove_from_basket, save_basket, texts, visitor_basket
from frontend.logic.basket import BasketItem
from frontend.logic.safe_text import escape_markdown
from frontend.media.caches import ClipKey, ThumbnailKey
from frontend.media.exports import edit_list, exportable_items, zip_clips
from frontend.services import services
from frontend.texts import Texts

_PLAYING = "basket.playing"
_FORMAT, _FAST, _PADDING, _FOLDER = "export.format", "export.fast", "export.padding", "export.folder"
_ZIP, _VIDEO, _OTIO = "zip", "mp4", "otio"
_MIME = {"zip": "application/zip", "mp4": "video/mp4"} | {
    name: form.media_type for name, form in EXPORT_FORMATS.items()
}


def basket_page(t: Texts) -> None:
    heading(t("page.basket"))
    basket = visitor_basket()
    if not len(basket):
        empty_state(t("basket.empty"), t("basket.empty.hint"))
        return
    try:
        videos = {video.video_id: video for video in services().client.videos()}
    except ClipSeekError as error:
        show_page_error(error, t)
        return
    muted(t.plural("basket.count", len(basket), length=duration(basket.length_seconds)))
    clip_list(videos, t)
    basket_export(videos, t)


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


def basket_export(videos: dict[str, Video], t: Texts) -> None:
    """Draw the choices, and the button that makes the file when pressed. Clips of deleted videos are left out."""
    with st.container(border=True, key="export"):
        kind = st.segmented_control(
            t("export.as"),
            [_ZIP, _VIDEO, *(name for name in EXPORT_FORMATS if name != _OTIO or can_write_otio())],
            format_func=lambda name: t(f"export.{name}"),
            default=_ZIP,
            key=_FORMAT,
            required=True,
        )
        padding = st.slider(t("export.padding"), 0.0, 5.0, step=0.5, key=_PADDING, format="%.1f s")
        fast = st.toggle(t("clip.fast"), key=_FAST, help=t("clip.fast.help")) if kind in (_ZIP, _VIDEO) else False
        if fast and kind == _VIDEO and not _have_one_format(videos):
            st.caption(t("export.not_fast"))
        basket = visitor_basket()
        items = exportable_items(basket.items, videos, padding)
        if left_out := len(basket) - len(items):
            st.caption(t.plural("export.left_out", left_out))
        folder = _editor_options(items, kind, videos, t)
        st.download_button(
            t("export.download"),
            data=lambda: _export(items, kind, "copy" if fast else "exact", videos, folder),
            file_name=f"clipseek{EXPORT_FORMATS[kind].suffix if kind in EXPORT_FORMATS else f'.{kind}'}",
            mime=_MIME.get(kind, "text/plain"),
            icon=":material/download:",
            key="export.download",
            type="primary",
            on_click="ignore",
            disabled=not items,
        )


def _editor_options(items: list[BasketItem], kind: str, videos: dict[str, Video], t: Texts) -> str:
    """For formats of editors: where the videos are, which is returned, and a line about what cannot be exact."""
    if kind not in EXPORT_FORMATS or not EXPORT_FORMATS[kind].for_editors:
        return ""
    edits = edit_list(items, videos) if items else None
    for key, sources in (("rates", edits.other_rates), ("variable", edits.variable_rates)) if edits else ():
        if sources:
            st.caption(t(f"export.{key}", titles=escape_markdown(", ".join(source.title for source in sources))))
    return st.text_input(t("export.folder"), key=_FOLDER, help=t("export.folder.help")).strip()


def _have_one_format(videos: dict[str, Video]) -> bool:
    """Whether the clips can be joined without re-encoding, by what is known of their videos."""
    used = [videos[item.video_id] for item in visitor_basket().items if item.video_id in videos]
    formats = {(v.codec, v.width, v.height, v.rotation_degrees, v.has_audio) for v in used}
    return len(formats) == 1


def _export(items: list[BasketItem], kind: str, mode: str, videos: dict[str, Video], folder: str) -> str | bytes:
    if kind == _ZIP:
        return zip_clips(items, services().clips, mode)
    if kind == _VIDEO:
        clips = [ClipKey(item.video_id, item.start_seconds, item.end_seconds) for item in items]
        return services().clips.join(clips, mode)
    form = EXPORT_FORMATS[kind]
    find = services().client.server_path if form.for_editors else lambda _video_id: ""
    return form.write(edit_list(items, videos, folder, find))


basket_page(texts())
