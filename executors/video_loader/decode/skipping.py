"""Frames that no other frame is predicted from may be left out: all others look as before, for two thirds of the work.

H.264 and HEVC name such frames in the header of each NAL unit (ITU-T H.264, 7.4.1: nal_ref_idc; H.265, table 7-1), so
they are known before they are decoded. Other codecs, and streams that hide the headers, keep all their frames.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

from bisect import bisect, insort
from collections.abc import Callable, Iterator
from typing import Final

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

# Kept packets that are remembered: more than may be shown in another order than they are stored.
_REMEMBERED: Final = 32
_START_CODE: Final = b"\0\0\1"
_HEVC_HEADER_BYTES: Final = 22  # before its lists

IsSpare = Callable[[bytes], bool]


class Thinning:
    """Leaves packets out of one run over a stream, so that its frames are never further apart than allowed.

    Which ones depends on the packets between two keyframes alone, not on where a run begins.

    Args:
        most_ticks: two frames with others left out in between are no further apart, in units of the time base.
        all_from_ticks: whatever is shown after this time is kept; None for the rule above everywhere.
    """

    def __init__(self, stream: VideoStream, most_ticks: int, all_from_ticks: int | None = None) -> None:
        self._is_spare = _spare_test(stream) if most_ticks else None
        self._most_ticks, self._all_from_ticks = most_ticks, all_from_ticks
        self._kept: list[int] = []
        self._left_out: list[int] = []
        self._last_left_out = False

    def kept(self, packets: Iterator[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        """The packets to be decoded."""
        return packets if self._is_spare is None else (p for p in packets if not self._leaves_out(p, self._is_spare))

    def lies_between(self, before_ticks: int, ticks: int) -> bool:
        """Whether a frame was left out between these two. Asked in order of time."""
        del self._left_out[: bisect(self._left_out, before_ticks)]
        return bool(self._left_out) and self._left_out[0] < ticks

    def _leaves_out(self, packet: Packet[Stream], is_spare: IsSpare) -> bool:
        if packet.is_discard:  # cut away by an edit list: never shown, so it bounds nothing
            return False
        if packet.pts is None:  # the second field of the picture before
            return self._last_left_out and is_spare(bytes(packet))
        self._last_left_out = self._fits(packet.pts) and is_spare(bytes(packet))
        insort(self._left_out if self._last_left_out else self._kept, packet.pts)
        del self._kept[:-_REMEMBERED]
        return self._last_left_out

    def _fits(self, pts: int) -> bool:
        """Whether kept frames to both sides of this time are near enough to each other."""
        if self._all_from_ticks is not None and pts > self._all_from_ticks:
            return False
        place = bisect(self._kept, pts)
        return 0 < place < len(self._kept) and self._kept[place] - self._kept[place - 1] <= self._most_ticks


def _spare_test(stream: VideoStream) -> IsSpare | None:
    """Whether no frame is predicted from that of a packet; None where that cannot be told."""
    header = bytes(stream.codec_context.extradata or b"")
    name = stream.codec_context.codec.canonical_name
    if name == "h264":
        length_bytes = (header[4] & 3) + 1 if header[:1] == b"\1" else 0
        return lambda data: _says(_is_spare_h264, data, length_bytes)
    if name == "hevc" and header[:1] == b"\1" and len(header) > _HEVC_HEADER_BYTES:
        length_bytes, layers = (header[21] & 3) + 1, header[21] >> 3 & 7
        return lambda data: _says(lambda unit: _is_spare_hevc(unit, layers), data, length_bytes)
    return None


def _says(judge: Callable[[bytes], bool | None], data: bytes, length_bytes: int) -> bool:
    """What `judge` says of the first NAL unit of a packet that is part of a picture; it says None of others."""
    verdicts = (judge(unit) for unit in _nal_headers(data, length_bytes))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _nal_headers(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """The first two bytes of each unit, which follows its length in so many bytes, or a start code if that is 0."""
    start = length_bytes or data.find(_START_CODE) + len(_START_CODE)
    while length_bytes <= start <= len(data) - 2 and (length_bytes or start >= len(_START_CODE)):
        yield data[start : start + 2]
        if length_bytes:
            start += int.from_bytes(data[start - length_bytes : start]) + length_bytes
        else:
            start = data.find(_START_CODE, start) + len(_START_CODE)


def _is_spare_h264(unit: bytes) -> bool | None:
    is_picture = 1 <= unit[0] & 31 <= 5
    return not unit[0] >> 5 & 3 if is_picture else None


def _is_spare_hevc(unit: bytes, layers: int) -> bool | None:
    """Even types below 16 are not referred to within their temporal layer; above the last one there is no other."""
    kind, layer = unit[0] >> 1 & 63, (unit[1] & 7) - 1
    return kind < 16 and kind % 2 == 0 and layer == layers - 1 if kind < 32 else None
