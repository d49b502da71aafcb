"""The clips of a basket as files in one ZIP archive."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from clipseek.api.documents import Video
from frontend.logic.basket import BasketItem
from frontend.logic.safe_text import clip_file_name
from frontend.media.clips import ClipCache, ClipKey


def exportable_items(
    items: Iterable[BasketItem], videos: Mapping[str, Video], padding_seconds: float
) -> list[BasketItem]:
    """The clips whose videos still exist, padded at both ends. One clip without its video would fail the export."""
    return [
        item.pad(padding_seconds, videos[item.video_id].duration_seconds) for item in items if item.video_id in videos
    ]


def zip_clips(items: Sequence[BasketItem], clips: ClipCache, mode: str) -> bytes:
    """The clips, numbered in their order, as the content of a ZIP file.

    They are stored uncompressed, because videos do not shrink.

    Raises: as `Client.clip`.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for place, item in enumerate(items, 1):
            path = clips.path(ClipKey(item.video_id, item.start_seconds, item.end_seconds, mode))
            name = clip_file_name(item.title, item.start_seconds, item.end_seconds, path.suffix)
            packed.write(path, f"{place:02d} {name}")
    return archive.getvalue()
