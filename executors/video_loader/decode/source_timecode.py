"""Reads the source timecode of a video: what cameras, recorders and broadcasters call its first picture."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import cast

from av.sidedata.sidedata import SideData, Type

from clipseek.timecode import Timecode, exact_rate
from executors.video_loader.containers.container import open_container
from executors.video_loader.decode.packets import read_packets
from executors.video_loader.decode.source import VideoSource

_TAG = "timecode"
# In front of a group of pictures of MPEG-2 (ISO/IEC 13818-2): 25 bits of time. The picture behind it says as which of
# the group it is shown.
_GROUP = re.compile(rb"\x00\x00\x01\xb8(.{4}).*?\x00\x00\x01\x00(.{2})", re.DOTALL)
_SEARCHED_PACKETS = 100


def read_timecode(source: VideoSource) -> Timecode | None:
    """The timecode of the first picture, at the video's rate; None if it has none that says something.

    Tags come first (a `tmcd` track, MXF, GXF, DV, AVI, Matroska), then what the pictures themselves carry: H.264 and
    HEVC in their supplemental information, MPEG-2 in front of each group. The latter begins at 0 by default.
    """
    rate = exact_rate(1 / source.frame_seconds)
    in_picture = {data.type: bytes(data) for data in cast(Iterable[SideData], source.first_frame.side_data)}
    texts = list(_read_tags(source))
    if Type.S12M_TIMECODE in in_picture:
        texts.append(_read_smpte(int.from_bytes(in_picture[Type.S12M_TIMECODE][4:8], "little"), rate))
    for text in texts:
        with suppress(ValueError):
            return Timecode.parse(text, rate)
    return _read_group(source, rate) if Type.GOP_TIMECODE in in_picture else None


def _read_tags(source: VideoSource) -> Iterator[str]:
    container = source.container
    for tags in (source.stream.metadata, container.metadata, *(data.metadata for data in container.streams.data)):
        yield from (value for name, value in tags.items() if name.lower() == _TAG)  # Matroska writes TIMECODE


def _read_smpte(word: int, rate: Fraction) -> str:
    """The text of a word of SMPTE ST 12-1: digits of 4 bits. Above 30 frames a second it counts pairs of frames."""
    hours, minutes, seconds, frame = (
        10 * (byte >> 4) + (byte & 15) for byte in (word & 0x3F, word >> 8 & 0x7F, word >> 16 & 0x7F, word >> 24 & 0x3F)
    )
    if rate > 30:
        is_second = word >> 7 & 1 if rate == 50 else word >> 23 & 1
        frame = 2 * frame + is_second
    return _text(hours, minutes, seconds, frame, drops=word >> 30 & 1)


def _read_group(source: VideoSource, rate: Fraction) -> Timecode | None:
    """That of the first group of MPEG-2; FFmpeg gives the frame that of the second one where each is one picture."""
    with open_container(source.opened, source.title) as container:
        stream = container.streams[source.stream.index]
        for packet in islice(read_packets(container, stream), _SEARCHED_PACKETS):
            if found := _GROUP.search(bytes(packet)):
                word, place = int.from_bytes(found[1]) >> 7, int.from_bytes(found[2]) >> 6
                times = word >> 19 & 31, word >> 13 & 63, word >> 6 & 63, word & 63
                with suppress(ValueError):
                    group = Timecode.parse(_text(*times, drops=word >> 24 & 1), rate)
                    later = (source.first_picture_pts - (packet.pts or 0)) * source.time_base * rate
                    return group.add(place + (0 if packet.pts is None else round(later))) if group.frame else None
    return None


def _text(hours: int, minutes: int, seconds: int, frame: int, drops: int) -> str:
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if drops else ':'}{frame:02d}"
