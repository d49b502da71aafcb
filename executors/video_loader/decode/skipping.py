"""Skips frames that no other frame refers to: the other frames look the same, for two thirds of the work.

H.264 and HEVC mark such frames in the header of each NAL unit (ITU-T H.264, 7.4.1: nal_ref_idc; H.265, table 7-1), so
they are known before decoding. Other codecs, and streams without readable headers, keep all their frames.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

from bisect import bisect, insort
from collections.abc import Callable, Iterator
from typing import Final

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

# Decoded packets to remember: more than can be shown in another order than they are stored.
_REMEMBERED: Final = 32
_START_CODE: Final = b"\0\0\1"
_HEVC_HEADER_BYTES: Final = 22  # before its lists

IsUnreferenced = Callable[[bytes], bool]


class FrameSkipper:
    """Skips packets in one run over a stream, so that decoded frames are never further apart than allowed.

    Which packets depends only on those between two keyframes, not on where a run begins.

    Args:
        most_ticks: largest distance of two decoded frames with skipped ones in between, in units of the time base. 0
            skips nothing.
        all_from_ticks: nothing shown after this time is skipped; None for the rule above everywhere.
    """

    def __init__(self, stream: VideoStream, most_ticks: int, all_from_ticks: int | None = None) -> None:
        self._is_unreferenced = _make_test(stream) if most_ticks else None
        self._most_ticks, self._all_from_ticks = most_ticks, all_from_ticks
        self._decoded: list[int] = []
        self._skipped: list[int] = []
        self._skipped_last = False

    def select_packets(self, packets: Iterator[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        is_unreferenced = self._is_unreferenced
        return packets if is_unreferenced is None else (p for p in packets if not self._skips(p, is_unreferenced))

    def has_skipped_between(self, before_ticks: int, ticks: int) -> bool:
        """Whether a frame was skipped between these two. Call it in order of time."""
        del self._skipped[: bisect(self._skipped, before_ticks)]
        return bool(self._skipped) and self._skipped[0] < ticks

    def _skips(self, packet: Packet[Stream], is_unreferenced: IsUnreferenced) -> bool:
        if packet.is_discard:  # cut away by an edit list: never shown, so it bounds no gap
            return False
        if packet.pts is None:  # the second field of the previous picture
            return self._skipped_last and is_unreferenced(bytes(packet))
        self._skipped_last = self._may_skip(packet.pts) and is_unreferenced(bytes(packet))
        insort(self._skipped if self._skipped_last else self._decoded, packet.pts)
        del self._decoded[:-_REMEMBERED]
        return self._skipped_last

    def _may_skip(self, pts: int) -> bool:
        if self._all_from_ticks is not None and pts > self._all_from_ticks:
            return False
        place = bisect(self._decoded, pts)
        return 0 < place < len(self._decoded) and self._decoded[place] - self._decoded[place - 1] <= self._most_ticks


def _make_test(stream: VideoStream) -> IsUnreferenced | None:
    header = bytes(stream.codec_context.extradata or b"")
    name = stream.codec_context.codec.canonical_name
    if name == "h264":
        length_bytes = (header[4] & 3) + 1 if header[:1] == b"\1" else 0
        return lambda data: _test_picture(_is_unreferenced_h264, data, length_bytes)
    if name == "hevc" and header[:1] == b"\1" and len(header) > _HEVC_HEADER_BYTES:
        length_bytes, layers = (header[21] & 3) + 1, header[21] >> 3 & 7
        return lambda data: _test_picture(lambda unit: _is_unreferenced_hevc(unit, layers), data, length_bytes)
    return None


def _test_picture(test: Callable[[bytes], bool | None], data: bytes, length_bytes: int) -> bool:
    """The result of `test` for the packet's first NAL unit that belongs to a picture; `test` gives None for others."""
    results = (test(unit) for unit in _nal_headers(data, length_bytes))
    return next((result for result in results if result is not None), False)


def _nal_headers(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """The first two bytes of each unit. A length of `length_bytes` precedes each, or a start code if that is 0."""
    start = length_bytes or data.find(_START_CODE) + len(_START_CODE)
    while length_bytes <= start <= len(data) - 2 and (length_bytes or start >= len(_START_CODE)):
        yield data[start : start + 2]
        if length_bytes:
            start += int.from_bytes(data[start - length_bytes : start]) + length_bytes
        else:
            start = data.find(_START_CODE, start) + len(_START_CODE)


def _is_unreferenced_h264(unit: bytes) -> bool | None:
    is_picture = 1 <= unit[0] & 31 <= 5
    return not unit[0] >> 5 & 3 if is_picture else None


def _is_unreferenced_hevc(unit: bytes, layers: int) -> bool | None:
    """Even types below 16 are not referred to within their temporal layer, and above the last layer there is none."""
    kind, layer = unit[0] >> 1 & 63, (unit[1] & 7) - 1
    return kind < 16 and kind % 2 == 0 and layer == layers - 1 if kind < 32 else None
