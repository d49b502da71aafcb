"""A basket as a ZIP of its clips, or as a list that other programs read: CSV, JSON, EDL (CMX 3600) and SRT."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from clipseek.api.documents import Video
from clipseek.api.formats import escape_hidden, one_line, subtitle_time, without_markup
from clipseek.client.download import clip_file_name
from clipseek.timecode import Timecode, exact_rate
from frontend.logic.basket import BasketItem
from frontend.media.caches import ClipCache, ClipKey

FORMATS = ("csv", "json", "edl", "srt")
_TIMES = ("start_seconds", "end_seconds", "length_seconds")
_FIELDS = ("place", "video_id", "title", *_TIMES, "source_in", "source_out", "source_rate")
_DEFAULT_FPS = 25.0  # where a video does not state its frame rate
_REEL_LENGTH = 8  # characters of a source name in CMX 3600
# A cell that begins so is a formula, also in full width. Some countries split cells at ; and so inside a title.
_FORMULA = re.compile("(^|;)( *)(?=[=+\\-@＝＋－＠])")


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


def edit_list(items: Sequence[BasketItem], format_: str, videos: Mapping[str, Video]) -> str:
    """The clips in one of `FORMATS`. `videos` by their ids tell the source timecodes; a missing one has 25 fps."""
    cuts = [SourceCut.of(item, videos.get(item.video_id, Video())) for item in items]
    return {"csv": _csv, "json": _json, "srt": lambda _: _srt(items), "edl": _edl}[format_](cuts)


@dataclass(frozen=True)
class SourceCut:
    """A clip as editors find it in its video: from the frame `start` to before `end`.

    Frames are counted from the first picture: from its timecode, or from 0 if it has none.
    """

    item: BasketItem
    start: Timecode
    end: Timecode

    @classmethod
    def of(cls, item: BasketItem, video: Video) -> "SourceCut":
        if video.timecode:
            first = Timecode.parse(video.timecode, Fraction(video.timecode_rate))
        else:
            first = Timecode(0, exact_rate(video.fps or _DEFAULT_FPS))
        late_seconds = max(video.first_seconds, 0.0)
        start = first.at(max(item.start_seconds - late_seconds, 0.0))
        end = first.at(item.end_seconds - late_seconds)
        return cls(item, start, end if end.frame > start.frame else start.add(1))

    def count_frames(self, rate: Fraction) -> int:
        """How many frames it has in a list of this rate."""
        own = self.end.frame - self.start.frame
        return own if rate == self.start.rate else max(round(Fraction(self.item.length_seconds) * rate), 1)


def _rows(cuts: Sequence[SourceCut]) -> list[dict[str, object]]:
    return [
        {"place": place, "video_id": cut.item.video_id, "title": cut.item.title}
        | {name: round(getattr(cut.item, name), 3) for name in _TIMES}
        | {"source_in": str(cut.start), "source_out": str(cut.end), "source_rate": str(cut.start.rate)}
        for place, cut in enumerate(cuts, 1)
    ]


def _csv(cuts: Sequence[SourceCut]) -> str:
    """Spreadsheets run cells that start with =, +, - or @, so such texts get an apostrophe in front."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _FIELDS)
    writer.writeheader()
    for row in _rows(cuts):
        writer.writerow(
            row | {name: _FORMULA.sub(r"\1\2'", one_line(str(row[name]))) for name in ("video_id", "title")}
        )
    return file.getvalue()


def _json(cuts: Sequence[SourceCut]) -> str:
    return escape_hidden(json.dumps(_rows(cuts), ensure_ascii=False, indent=2), keep="\n") + "\n"


def _srt(items: Sequence[BasketItem]) -> str:
    """The titles as subtitles of the joined video."""
    blocks, at = [], 0.0
    for place, item in enumerate(items, 1):
        end = at + item.length_seconds
        text = f"{without_markup(one_line(item.title))} [{subtitle_time(item.start_seconds)[:8]}]".strip()
        blocks.append(f"{place}\n{subtitle_time(at)} --> {subtitle_time(end)}\n{text}\n")
        at = end
    return "\n".join(blocks)


def _edl(cuts: Sequence[SourceCut]) -> str:
    """In the rate of the first video, from 0 on. Source times are each video's own."""
    at = Timecode(0, cuts[0].start.rate, cuts[0].start.drops) if cuts else Timecode(0, Fraction(25))
    lines = ["TITLE: ClipSeek", f"FCM: {'' if at.drops else 'NON-'}DROP FRAME", ""]
    for place, cut in enumerate(cuts, 1):
        until = at.add(cut.count_frames(at.rate))
        reel = re.sub("[^A-Z0-9]", "_", cut.item.video_id[:_REEL_LENGTH].upper())
        lines.append(f"{place:03d}  {reel} V     C        {cut.start} {cut.end} {at} {until}")
        lines.append(f"* FROM CLIP NAME: {one_line(cut.item.title)}")
        if cut.start.rate != at.rate:
            lines.append(f"* SOURCE RATE: {float(cut.start.rate):.5g}")
        lines.append("")
        at = until
    return "\n".join(lines)
