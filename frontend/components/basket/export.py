"""Downloads the basket: its clips as files, as one video, or as an edit list for another program."""

import streamlit as st

from clipseek.api.documents import Video
from frontend.components.shell.visitor_basket import visitor_basket
from frontend.logic.basket import BasketItem
from frontend.media.archive import exportable_items, zip_clips
from frontend.media.clips import ClipKey
from frontend.media.edit_lists import FORMATS, edit_list
from frontend.services import services
from frontend.texts import Texts

_FORMAT, _FAST, _PADDING = "export.format", "export.fast", "export.padding"
_ZIP, _VIDEO = "zip", "mp4"
_MIME = {
    "zip": "application/zip",
    "mp4": "video/mp4",
    "csv": "text/csv",
    "json": "application/json",
    "edl": "text/plain",
    "srt": "text/plain",
}


def basket_export(videos: dict[str, Video], t: Texts) -> None:
    """Draw the choices, and the button that makes the file when pressed. Clips of deleted videos are left out."""
    with st.container(border=True, key="export"):
        kind = st.segmented_control(
            t("export.as"),
            [_ZIP, _VIDEO, *FORMATS],
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
        st.download_button(
            t("export.download"),
            data=lambda: _export(items, kind, "copy" if fast else "exact", videos),
            file_name=f"clipseek.{kind}",
            mime=_MIME[kind],
            icon=":material/download:",
            key="export.download",
            type="primary",
            on_click="ignore",
            disabled=not items,
        )


def _have_one_format(videos: dict[str, Video]) -> bool:
    """Whether the clips can be joined without re-encoding, by what is known of their videos."""
    used = [videos[item.video_id] for item in visitor_basket().items if item.video_id in videos]
    formats = {(v.codec, v.width, v.height, v.rotation_degrees, v.has_audio) for v in used}
    return len(formats) == 1


def _export(items: list[BasketItem], kind: str, mode: str, videos: dict[str, Video]) -> str | bytes:
    if kind == _ZIP:
        return zip_clips(items, services().clips, mode)
    if kind == _VIDEO:
        clips = [ClipKey(item.video_id, item.start_seconds, item.end_seconds) for item in items]
        return services().clips.join(clips, mode)
    return edit_list(items, kind, fps=videos[items[0].video_id].fps)
