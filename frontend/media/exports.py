"""A basket as a ZIP of its clips, or as a list that editors, spreadsheets and players read."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from clipseek.api.documents import Video
from clipseek.client.download import clip_file_name
from clipseek.exports.edit_list import EditList, make_edit_list
from clipseek.exports.media_paths import media_path, reader_path
from clipseek.exports.moments import Moment
from frontend.logic.basket import BasketItem
from frontend.media.caches import ClipCache, ClipKey


def exportable_items(
    items: Iterable[BasketItem], videos: Mapping[str, Video], padding_seconds: float
) -> list[BasketItem]:
    """The clips whose videos still exist, padded at both ends. One clip without its video would fail the export."""
    return [
        item.pad(padding_seconds, videos[item.video_id].duration_seconds) for item in items if item.video_id in videos
    ]


def zip_clips(items: Sequence[BasketItem], clips: ClipCache, mode: str) -> bytes:
    """The clips, numbered in order, as a ZIP file, uncompressed: videos do not shrink. Raises: as `Client.clip`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for place, item in enumerate(items, 1):
            path = clips.path(ClipKey(item.video_id, item.start_seconds, item.end_seconds, mode))
            name = clip_file_name(item.title, item.start_seconds, item.end_seconds, path.suffix)
            packed.write(path, f"{place:02d} {name}")
    return archive.getvalue()


def edit_list(
    items: Sequence[BasketItem],
    videos: Mapping[str, Video],
    media_root: str = "",
    server_path: Callable[[str], str] = lambda _video_id: "",
) -> EditList:
    """The clips one after another, for a writer of `clipseek.exports`.

    Args:
        videos: those of the clips, by their ids.
        media_root: where the visitor has the videos; if empty, `server_path(video_id)` says where the server has them.
    """
    root = reader_path(media_root) if media_root else None
    used = dict.fromkeys(item.video_id for item in items)
    paths = {id_: media_path(videos[id_], server_path(id_), root) for id_ in used}
    return make_edit_list([Moment(**asdict(item)) for item in items], videos, paths)
