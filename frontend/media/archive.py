"""The clips of a basket as files in one archive."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from clipseek.api.documents import Video
from frontend.logic.basket import Item
from frontend.logic.safe_text import clip_file_name
from frontend.media.clips import Clips, Cut


def at_hand(items: Iterable[Item], videos: Mapping[str, Video], padding_seconds: float) -> list[Item]:
    """The clips whose videos are there, with so much more at both ends: one that is not would fail all of them."""
    return [
        item.padded(padding_seconds, videos[item.video_id].duration_seconds)
        for item in items
        if item.video_id in videos
    ]


def zip_of(items: Sequence[Item], clips: Clips, mode: str) -> bytes:
    """The clips in their order, numbered, as the content of a ZIP file.

    Videos do not get smaller by packing, so they are stored as they are.

    Raises: as `Client.clip`.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for place, item in enumerate(items, 1):
            path = clips.path(Cut(item.video_id, item.start_seconds, item.end_seconds, mode))
            name = clip_file_name(item.title, item.start_seconds, item.end_seconds, path.suffix)
            packed.write(path, f"{place:02d} {name}")
    return archive.getvalue()
