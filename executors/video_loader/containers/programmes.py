"""Which tracks of a broadcast belong together: the programmes of MPEG-TS (ISO/IEC 13818-1, 2.4.4)."""

from collections.abc import Iterator
from typing import Final

from executors.video_loader.containers.parts import VideoFile, path_of
from executors.video_loader.containers.restarts import TS_LAYOUTS, TS_SYNC

_SEARCHED_BYTES: Final = 4_000_000  # tables come ten times a second
_PAT, _PMT = 0, 2  # ids of tables
_CHECKSUM_BYTES: Final = 4


def read_programmes(file: VideoFile) -> list[frozenset[int]]:
    """The identifiers (PIDs) of each programme's tracks; nothing if the file is no MPEG-TS. Raises: OSError."""
    with path_of(file).open("rb") as opened:
        opened.seek(getattr(file, "start_byte", 0))
        data = opened.read(_SEARCHED_BYTES)
    for size, lead in TS_LAYOUTS:
        if set(data[lead : 20 * size : size]) == {TS_SYNC}:
            packets = [data[place + lead : place + size] for place in range(0, len(data) - size, size)]
            return _read_tables(packets)
    return []


def _read_tables(packets: list[bytes]) -> list[frozenset[int]]:
    tables = {
        _pid(entry[2:])
        for section in _sections(packets, {0}, _PAT)
        for entry in _split(section[8:], 4)
        if entry[:2] != b"\0\0"  # the network's own table
    }
    programmes = {section[3:5]: frozenset(_track_pids(section)) for section in _sections(packets, tables, _PMT)}
    return list(programmes.values())


def _sections(packets: list[bytes], pids: set[int], table: int) -> Iterator[bytes]:
    """Tables that lie within a packet, as almost all do, without their checksums."""
    for packet in packets:
        begins = packet[1] & 0x40
        if not begins or _pid(packet[1:]) not in pids:
            continue
        place = 5 + packet[4] if packet[3] & 0x20 else 4  # behind the adaptation field
        section = packet[place + 1 + packet[place] :] if place < len(packet) else b""
        length = 3 + (_number(section[1:3]) & 0xFFF)
        if section[:1] == bytes([table]) and length <= len(section):
            yield section[: length - _CHECKSUM_BYTES]


def _track_pids(section: bytes) -> Iterator[int]:
    place = 12 + (_number(section[10:12]) & 0xFFF)
    while place + 5 <= len(section):
        yield _pid(section[place + 1 :])
        place += 5 + (_number(section[place + 3 : place + 5]) & 0xFFF)


def _split(data: bytes, length: int) -> Iterator[bytes]:
    return (data[place : place + length] for place in range(0, len(data) - length + 1, length))


def _pid(data: bytes) -> int:
    return _number(data[:2]) & 0x1FFF


def _number(data: bytes) -> int:
    return int.from_bytes(data)
