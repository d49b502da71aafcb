"""Reads closed captions (CEA-608), which broadcasts and DVDs carry inside of their pictures."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.packet import Packet
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

from executors.video_loader.words.lines import SubtitleLine, clean_text
from executors.video_loader.words.recordings import Recording
from executors.video_loader.words.tracks import with_language

_AROUND_SECONDS = Fraction(10)  # a caption is sent before it is shown, and known once it goes
_ASS_FIELDS = 8  # before the text
_MILLISECOND = Fraction(1, 1000)
_CONTROL, _SHOW = 0x14, frozenset({0x2F, 0x2D})  # end of caption (what was sent is shown now), and carriage return
_PARITY = 0x7F
_TRIPLET = 3  # bytes: which field, and two signs


def read_captions(recording: Recording) -> list[SubtitleLine]:
    """The captions that begin in the range, in seconds of the video; none where the first picture carries no data."""
    if not _caption_data(recording.source.first_frame):
        return []
    lines = [
        SubtitleLine(float(start + recording.offset), float(end + recording.offset), text)
        for start, end, text in _decode(recording)
        if recording.start <= start < recording.end
    ]
    return with_language(lines, "")


def _decode(recording: Recording) -> Iterator[tuple[Fraction, Fraction, str]]:
    """Captions with the times from which on and until which they are shown. The decoder gives each as it goes."""
    decoder: Any = av.CodecContext.create("cc_dec", "r")
    since = time = Fraction(0)
    shown = ""
    for timed in recording.source.frames(max(Fraction(0), recording.start - _AROUND_SECONDS)):
        time, data = timed.time, _caption_data(timed.frame)
        if not data:
            continue
        packet: Packet[Any] = Packet(data)
        packet.pts, packet.time_base = round(time / _MILLISECOND), _MILLISECOND
        for rect in decoder.decode2(packet) or ():
            shown = clean_text(rect.ass.decode("utf-8", "replace").split(",", _ASS_FIELDS)[-1])
            if shown and since < time:
                yield since, time, shown
        if _shows(data):
            since = time
        if time > recording.end + _AROUND_SECONDS:
            return


def _shows(data: bytes) -> bool:
    triplets = (data[place : place + _TRIPLET] for place in range(0, len(data) - _TRIPLET + 1, _TRIPLET))
    return any(first & _PARITY == _CONTROL and second & _PARITY in _SHOW for _, first, second in triplets)


def _caption_data(frame: VideoFrame) -> bytes:
    for data in cast(Iterable[SideData], frame.side_data):
        if data.type is Type.A53_CC:
            return bytes(data)
    return b""
