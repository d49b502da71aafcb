"""The basket taken along: as files, or as a list of cuts for another program."""

import streamlit as st

from clipseek.api.documents import Video
from frontend.components.basket.state import basket
from frontend.logic.basket import Item
from frontend.media.archive import at_hand, zip_of
from frontend.media.clips import Cut
from frontend.media.edit_lists import FORMATS, cut_list
from frontend.shared import services
from frontend.texts import Texts

_AS, _FAST, _PADDING = "export.as", "export.fast", "export.padding"
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
    """Draw the choices and the button that makes the file when it is pressed, of the clips whose videos are there."""
    with st.container(border=True, key="export"):
        kind = st.segmented_control(
            t("export.as"),
            [_ZIP, _VIDEO, *FORMATS],
            format_func=lambda name: t(f"export.{name}"),
            default=_ZIP,
            key=_AS,
            required=True,
        )
        padding = st.slider(t("export.padding"), 0.0, 5.0, step=0.5, key=_PADDING, format="%.1f s")
        fast = st.toggle(t("clip.fast"), key=_FAST, help=t("clip.fast.help")) if kind in (_ZIP, _VIDEO) else False
        if fast and kind == _VIDEO and not _one_format(videos):
            st.caption(t("export.fast.not"))
        items = at_hand(basket(), videos, padding)
        if gone := len(basket()) - len(items):
            st.caption(t("export.gone.one") if gone == 1 else t("export.gone", count=gone))
        st.download_button(
            t("export.download"),
            data=lambda: _made(items, kind, "copy" if fast else "exact", videos),
            file_name=f"clipseek.{kind}",
            mime=_MIME[kind],
            icon=":material/download:",
            key="export.download",
            type="primary",
            on_click="ignore",
            disabled=not items,
        )


def _one_format(videos: dict[str, Video]) -> bool:
    """Whether the clips can be joined as they are, by what is known of their videos."""
    used = [videos[item.video_id] for item in basket() if item.video_id in videos]
    shapes = {(v.codec, v.width, v.height, v.rotation_degrees, v.has_audio) for v in used}
    return len(shapes) == 1


def _made(items: list[Item], kind: str, mode: str, videos: dict[str, Video]) -> str | bytes:
    if kind == _ZIP:
        return zip_of(items, services().clips, mode)
    if kind == _VIDEO:
        cuts = [Cut(item.video_id, item.start_seconds, item.end_seconds) for item in items]
        return services().clips.joined(cuts, mode)
    return cut_list(items, kind, fps=videos[items[0].video_id].fps)
