"""A basket as a ZIP of its clips, or as a list that other programs read: CSV, JSON, EDL (CMX 3600) and SRT."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from clipseek.api.documents import Video
from clipseek.api.formats import escape_hidden, one_line
from clipseek.client.download import clip_file_name
from frontend.logic.basket import BasketItem
from frontend.media.caches import ClipCache, ClipKey

FORMATS = ("csv", "json", "edl", "srt")
_TIMES = ("start_seconds", "end_seconds", "length_seconds")
_FIELDS = ("place", "video_id", "title", *_TIMES)
_REEL_LENGTH = 8  # characters of a source name in CMX 3600
# A cell that begins so is a formula, also in full width. Some countries split cells at ; and so inside a title.
_FORMULA = re.compile("(^|;)( *)(?=[=+\\-@＝＋－＠])")
_NO_MARKUP = str.maketrans("<>{}", "‹›()")  # SRT has no way to escape its markup


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


def edit_list(items: Sequence[BasketItem], format_: str, fps: float = 25.0) -> str:
    """The clips in one of `FORMATS`. `fps`, rounded, is for the time codes of the EDL (non-drop)."""
    if format_ == "edl":
        return _edl(items, fps)
    return {"csv": _csv, "json": _json, "srt": _srt}[format_](items)


def _rows(items: Sequence[BasketItem]) -> list[dict[str, object]]:
    return [
        {"place": place, "video_id": item.video_id, "title": item.title}
        | {name: round(getattr(item, name), 3) for name in _TIMES}
        for place, item in enumerate(items, 1)
    ]


def _csv(items: Sequence[BasketItem]) -> str:
    """Spreadsheets run cells that start with =, +, - or @, so such texts get an apostrophe in front."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _FIELDS)
    writer.writeheader()
    for row in _rows(items):
        writer.writerow(
            row | {name: _FORMULA.sub(r"\1\2'", one_line(str(row[name]))) for name in ("video_id", "title")}
        )
    return file.getvalue()


def _json(items: Sequence[BasketItem]) -> str:
    return escape_hidden(json.dumps(_rows(items), ensure_ascii=False, indent=2), keep="\n") + "\n"


def _srt(items: Sequence[BasketItem]) -> str:
    """The titles as subtitles of the joined video."""
    blocks, at = [], 0.0
    for place, item in enumerate(items, 1):
        end = at + item.length_seconds
        text = f"{one_line(item.title).translate(_NO_MARKUP)} [{_srt_time(item.start_seconds)[:8]}]".strip()
        blocks.append(f"{place}\n{_srt_time(at)} --> {_srt_time(end)}\n{text}\n")
        at = end
    return "\n".join(blocks)


def _srt_time(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{thousandths // 1000:02d},{thousandths % 1000:03d}"


def _edl(items: Sequence[BasketItem], fps: float) -> str:
    rate = max(round(fps), 1)
    lines, at = ["TITLE: ClipSeek", "FCM: NON-DROP FRAME", ""], 0
    for place, item in enumerate(items, 1):
        start = round(Fraction(item.start_seconds) * rate)
        count = max(round(Fraction(item.length_seconds) * rate), 1)
        times = " ".join(_timecode(frames, rate) for frames in (start, start + count, at, at + count))
        reel = re.sub("[^A-Z0-9]", "_", item.video_id[:_REEL_LENGTH].upper())
        lines += [f"{place:03d}  {reel} V     C        {times}", f"* FROM CLIP NAME: {one_line(item.title)}", ""]
        at += count
    return "\n".join(lines)


def _timecode(frames: int, rate: int) -> str:
    seconds, frame = divmod(frames, rate)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}:{frame:02d}"
