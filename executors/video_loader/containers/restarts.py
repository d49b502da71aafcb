"""Finds recordings that stand one behind the other in a file, each with a clock that starts again.

`cat a.ts b.ts`, cameras and recorders that lost their stream, and the titles of a DVD give such files. Each recording
is a part. FFmpeg opens it like a file of its own, because it can neither time nor seek in clocks that run backwards.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_HEAD_BYTES: Final = 4096
_BLOCK_BYTES: Final = 8_000_000
_RUN_PACKETS: Final = 4096  # at a time, and bytes to search: so that a file damaged everywhere takes no longer
_SEARCH_BYTES: Final = 65_536
_MOST_ELEMENTS: Final = 100_000  # a day of fragmented MP4; more only in a file made to take long
_OVERLAP_BYTES: Final = 64  # of blocks: more than the longest header that is searched for
# Clocks of MPEG have 33 bits and 90,000 ticks a second. A step back that is a small step forward modulo 2 ** 33 is a
# clock that ran over, which FFmpeg understands.
_CLOCK_TICKS: Final = 1 << 33
_MOST_WRAP_TICKS: Final = 10 * 90_000
_LEAST_BACK_TICKS: Final = 45_000  # half a second: shorter ones are jitter of a damaged or joined clock
TS_SYNC: Final = 0x47
TS_LAYOUTS: Final = ((188, 0), (192, 4), (204, 0))  # size of a packet, and what stands before its sync byte
_PACK: Final = re.compile(rb"\x00\x00\x01\xba(.{6})", re.DOTALL)
_FLV_HEADER: Final = re.compile(rb"FLV\x01[\x00\x01\x04\x05]\x00\x00\x00\x09\x00\x00\x00\x00", re.DOTALL)


def find_part_starts(path: Path) -> list[int]:
    """The byte at which each part of a file begins; the first is 0. Raises: OSError.

    Reads all of MPEG-TS, MPEG-PS and FLV files, and some bytes of others.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(_HEAD_BYTES)
        find = _choose_search(head)
        return [0, *(start for start in find(file) if start > 0)] if find else [0]


def _choose_search(head: bytes) -> Callable[[BinaryIO], list[int]] | None:
    if head.startswith(b"\0\0\1\xba"):
        return _find_in_program_stream
    if head.startswith(b"FLV\x01"):
        return lambda file: [place for place, _ in _find_all(file, _FLV_HEADER)]
    for size, lead in TS_LAYOUTS:
        syncs = head[lead::size]
        if len(syncs) >= 3 and set(syncs) == {TS_SYNC}:
            return partial(_find_in_transport_stream, size=size, lead=lead)
    if head[:4] == b"\x1a\x45\xdf\xa3" or head[4:8] == b"ftyp":
        return _find_in_elements
    return None


def _find_all(file: BinaryIO, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Matches of a pattern in a whole file, with their places."""
    place, last = 0, -1
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        for match in pattern.finditer(block):
            if place + match.start() > last:
                last = place + match.start()
                yield last, match
        if len(block) <= _OVERLAP_BYTES:
            return
        place += len(block) - _OVERLAP_BYTES
        file.seek(place)


def find_restarts(ticks: Integers) -> Integers:
    """Indices at which a clock starts again: it steps back, and not for a single reading, as damaged ones do."""
    step = np.diff(ticks)
    places = np.flatnonzero((step < -_LEAST_BACK_TICKS) & (step % _CLOCK_TICKS >= _MOST_WRAP_TICKS)) + 1
    too_high = (places >= 2) & (ticks[places] >= ticks[np.maximum(places - 2, 0)])  # only the reading before
    following = np.minimum(places + 1, len(ticks) - 1)
    too_low = (following > places) & (ticks[following] >= ticks[places - 1])  # only this reading
    return places[~too_high & ~too_low]


def _find_in_program_stream(file: BinaryIO) -> list[int]:
    packs = [(place, _read_scr(match[1])) for place, match in _find_all(file, _PACK)]
    places, ticks = np.array(packs, np.int64).reshape(-1, 2).T
    return [int(places[index]) for index in find_restarts(ticks)]


def _read_scr(header: bytes) -> int:
    """The system clock reference of a pack (ISO/IEC 11172-1, 13818-1)."""
    bits = int.from_bytes(header)
    if header[0] >> 6 == 1:  # MPEG-2: 2 bits, then 3, 15 and 15 with a marker behind each
        return (bits >> 43 & 7) << 30 | (bits >> 27 & 0x7FFF) << 15 | bits >> 11 & 0x7FFF
    return (bits >> 41 & 7) << 30 | (bits >> 25 & 0x7FFF) << 15 | bits >> 9 & 0x7FFF


def _find_in_transport_stream(file: BinaryIO, size: int, lead: int) -> list[int]:
    clocks: list[Integers] = []  # rows of place, PID, ticks
    tables: list[Integers] = []  # places of program association tables, with which a recording begins
    for place, packets in _read_packets(file, size, lead):
        places = place + size * np.arange(len(packets))
        clocks.append(_read_clocks(packets[:, lead:], places))
        tables.append(places[(packets[:, lead + 1] == 0x40) & (packets[:, lead + 2] == 0)])
    readings, starts = np.concatenate(clocks), np.concatenate(tables)
    found = set()
    for before, after in _find_clock_changes(readings):
        between = starts[(starts > before) & (starts <= after)]
        found.add(int(between[-1]) if len(between) else after)
    return sorted(found)


def _find_clock_changes(readings: Integers) -> Iterator[tuple[int, int]]:
    """Places of the last reading of each clock that ends, and of the first of the clock that follows."""
    last = -1
    for pid in sorted(set(readings[:, 1].tolist()), key=lambda pid: int(readings[readings[:, 1] == pid][0, 0])):
        places, _, ticks = readings[readings[:, 1] == pid].T
        if 0 <= last < places[0]:  # another recording with other PIDs
            yield last, int(places[0])
        last = max(last, int(places[-1]))
        yield from ((int(places[index - 1]), int(places[index])) for index in find_restarts(ticks))


def _read_packets(file: BinaryIO, size: int, lead: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Runs of packets [N, size] that lie in step, with the place of each run; damaged places between them are left."""
    place = 0
    file.seek(0)
    while len(data := np.frombuffer(file.read(_BLOCK_BYTES), np.uint8)) >= size:
        offset = 0
        while offset + size <= len(data):
            count = min((len(data) - offset) // size, _RUN_PACKETS)
            packets = data[offset : offset + count * size].reshape(-1, size)
            wrong = packets[:, lead] != TS_SYNC
            count = int(wrong.argmax()) if wrong.any() else len(packets)
            if count:
                yield place + offset, packets[:count]
            offset += count * size
            if count < len(packets):
                offset = _find_sync(data, offset + 1, size, lead)
        place += min(offset, len(data))
        file.seek(place)


def _find_sync(data: NDArray[np.uint8], offset: int, size: int, lead: int) -> int:
    """Where packets are in step again: two sync bytes in a row; the end of the data if nowhere."""
    while offset + lead + size < len(data):
        syncs = data[offset + lead : offset + lead + size + _SEARCH_BYTES] == TS_SYNC
        both = syncs[:-size] & syncs[size:]
        if both.any():
            return offset + int(both.argmax())
        offset += len(both)
    return len(data)


def _read_clocks(packets: NDArray[np.uint8], places: Integers) -> Integers:
    """The program clock references in packets. Returns: int64 [N, 3]: place, PID, ticks."""
    has_clock = (packets[:, 3] & 0x20 != 0) & (packets[:, 4] >= 7) & (packets[:, 5] & 0x10 != 0)
    fields = packets[has_clock, :11].astype(np.int64).T
    ticks = fields[6] << 25 | fields[7] << 17 | fields[8] << 9 | fields[9] << 1 | fields[10] >> 7
    return np.stack([places[has_clock], (fields[1] & 0x1F) << 8 | fields[2], ticks], axis=1)


def _find_in_elements(file: BinaryIO) -> list[int]:
    """Where the first element of a file comes again: `ftyp` of MP4, the header of EBML of Matroska."""
    size, place, first, found = file.seek(0, 2), 0, b"", []
    for _ in range(_MOST_ELEMENTS):
        if place + 8 > size:
            break
        file.seek(place)
        kind, length = _read_element(file.read(16))
        first = first or kind
        if kind == first and place:
            found.append(place)
        if length < 2:
            break  # to the end of the file, or damaged
        place += length
    return found


def _read_element(head: bytes) -> tuple[bytes, int]:
    """Name and whole length of a box of MP4, or an element of EBML with an id of four bytes; 0 if that is unknown."""
    if head[:1] != b"\x1a" and head[:1] != b"\x18" and not head[4:5].isalpha():
        return b"", 0
    if head[4:8].isalpha():
        length = int.from_bytes(head[:4])
        return head[4:8], int.from_bytes(head[8:16]) if length == 1 else length
    width = 9 - head[4].bit_length()  # of the length, in bytes
    length = int.from_bytes(head[4 : 4 + width]) & (1 << 7 * width) - 1
    return head[:4], 0 if width > 8 or length == (1 << 7 * width) - 1 else 4 + width + length
