"""Edit lists of MP4 files: which parts of what is stored are shown, as phones and cutting programs write them."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

Edit = tuple[
    Fraction | None, Fraction
]  # a part `[start, end)` of the video in seconds; (None, length): nothing for so long


def set_edits(path: Path, edits: Sequence[Edit]) -> None:
    """Replace the edit list of an MP4 file of one track whose index lies at its end.

    The file's own edit list says where the first frame lies among what is stored; the edits count from there.
    """
    data = path.read_bytes()
    moov = data.index(b"moov") - 4
    mvhd, mdhd, elst = (data.index(name, moov) for name in (b"mvhd", b"mdhd", b"elst"))
    movie_scale = struct.unpack(">I", data[mvhd + 16 : mvhd + 20])[0]
    media_scale = struct.unpack(">I", data[mdhd + 16 : mdhd + 20])[0]
    first = struct.unpack(">i", data[elst + 16 : elst + 20])[0]
    entries = b""
    for start, end in edits:
        length = end if start is None else end - start
        media_time = -1 if start is None else first + round(start * media_scale)
        entries += struct.pack(">Iihh", round(length * movie_scale), media_time, 1, 0)
    size = struct.unpack(">I", data[elst - 4 : elst])[0]
    box = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    made = bytearray(data[: elst - 4] + box + data[elst - 4 + size :])
    for name in (b"moov", b"trak", b"edts"):
        place = made.index(name, moov) - 4
        made[place : place + 4] = struct.pack(">I", struct.unpack(">I", made[place : place + 4])[0] + len(box) - size)
    path.write_bytes(made)
