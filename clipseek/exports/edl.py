"""Edit decision lists in CMX 3600, which every editor reads: one rate, picture and sound, timecodes and comments."""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from clipseek.api.formats import one_line
from clipseek.exports.edit_list import Edit, EditList
from clipseek.exports.sources import Source
from clipseek.timecode import Timecode

_REEL_LENGTH = 8  # characters of a source's name
_TITLE_LENGTH = 70
_PICTURE, _PICTURE_AND_SOUND = "V", "AA/V"  # AA: the sounds 1 and 2


def write_edl(edits: EditList) -> str:
    """The list, its times counted at its own rate, sources by their timecode.

    A source of another rate has its timecode counted at the list's rate, so that source and list last equally long: a
    reader would take another length for slow motion. Comments name its own rate and timecodes.
    """
    reels = name_reels(edits.sources)
    mode = "DROP FRAME" if edits.zero.drops else "NON-DROP FRAME"
    lines = [f"TITLE: {one_line(edits.title)[:_TITLE_LENGTH]}", f"FCM: {mode}", ""]
    for number, edit in enumerate(edits.edits, 1):
        lines += [_event(number, edit, edits, reels[edit.source.video_id]), *_comments(edit, edits.rate), ""]
    return "\n".join(lines)


def name_reels(sources: Iterable[Source]) -> dict[str, str]:
    """A name of at most 8 signs for each source, by video id: what tells its file from others, in A-Z, 0-9 and _."""
    reels: dict[str, str] = {}
    for source in sources:
        plain = re.sub("[^A-Z0-9]", "_", source.video_id.upper())
        length = len(plain) - _REEL_LENGTH + 1
        names = (plain[at : at + _REEL_LENGTH] for at in range(max(length, 1)))
        numbers = (f"R{number:07d}" for number in range(len(reels) + 1))
        reels[source.video_id] = next(name for name in (*names, *numbers) if name not in reels.values())
    return reels


def _event(number: int, edit: Edit, edits: EditList, reel: str) -> str:
    tracks = _PICTURE_AND_SOUND if edit.source.has_audio else _PICTURE
    start = counted_at(edit.source_in, edits.zero)
    end = edit.source_out if edit.source.rate == edits.rate else start.add(edit.length)
    at, until = edits.zero.add(edit.at), edits.zero.add(edit.at + edit.length)
    return f"{number:03d}  {reel:<8} {tracks:<5} C        {start} {end} {at} {until}"


def counted_at(timecode: Timecode, zero: Timecode) -> Timecode:
    """A timecode of the same hour, minute and second, with its frame counted as in a list; at the same rate itself."""
    if timecode.rate == zero.rate:
        return timecode
    clock, frame = str(timecode)[:8], int(str(timecode)[9:])
    frame = frame * round(zero.rate) // round(timecode.rate)
    return Timecode.parse(f"{clock}{';' if zero.drops else ':'}{frame:02d}", zero.rate)


def _comments(edit: Edit, rate: Fraction) -> Iterator[str]:
    yield f"* FROM CLIP NAME: {one_line(edit.source.title)}"
    yield f"* SOURCE FILE: {one_line(str(edit.source.path))}"
    if edit.source.rate != rate:
        yield f"* SOURCE RATE: {float(edit.source.rate):.5g}"
        yield f"* SOURCE TIMECODE: {edit.source_in} {edit.source_out}"
    if not edit.source.has_constant_rate:
        yield "* SOURCE RATE VARIES: FRAMES ARE COUNTED AT THE NEAREST STANDARD RATE"
    for fact in edit.moment.facts:
        yield f"* COMMENT: {fact}"
