"""Moments one after another as an editor counts them: in whole frames of their sources, and of the list."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import PurePath

from clipseek.api.documents import Video
from clipseek.api.errors import InvalidRequest
from clipseek.exports.moments import Moment
from clipseek.exports.sources import Source
from clipseek.timecode import Timecode, exact_rate

_UNSEEN_SECONDS = Fraction(1, 2000)  # as of clips: files and callers round to milliseconds
_MIN_RATE, _MAX_RATE = 1, 240


@dataclass(frozen=True)
class Edit:
    """A moment in an edit list.

    Attributes:
        start, end: frames `[start, end)` of the source, from its first picture: those that `clipseek clip` shows.
        at, length: its place in the list, in frames of the list.
    """

    moment: Moment
    source: Source
    start: int
    end: int
    at: int
    length: int

    @property
    def source_in(self) -> Timecode:
        return self.source.first.add(self.start)

    @property
    def source_out(self) -> Timecode:
        """The timecode of the frame after the last one."""
        return self.source.first.add(self.end)


@dataclass(frozen=True)
class EditList:
    """Edits without gaps, at one rate, from timecode 0 on.

    Attributes:
        zero: timecode 0, with the list's rate, and whether it drops numbers.
    """

    title: str
    zero: Timecode
    edits: tuple[Edit, ...]

    @property
    def rate(self) -> Fraction:
        return self.zero.rate

    @property
    def length(self) -> int:
        """In frames of the list."""
        return sum(edit.length for edit in self.edits)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Each source once, in the order of the edits."""
        return tuple({edit.source.video_id: edit.source for edit in self.edits}.values())

    @property
    def other_rates(self) -> list[Source]:
        """The sources whose rate is not the list's: their frames are shown as long as in the source, to the nearest
        frame of the list.
        """
        return [source for source in self.sources if source.rate != self.rate]

    @property
    def variable_rates(self) -> list[Source]:
        """The sources without a constant rate: their frames are counted at the nearest standard rate."""
        return [source for source in self.sources if not source.has_constant_rate]


def make_edit_list(
    moments: Sequence[Moment],
    videos: Mapping[str, Video],
    paths: Mapping[str, PurePath],
    title: str = "ClipSeek",
    rate: float = 0.0,
) -> EditList:
    """Put moments one after another.

    Args:
        videos, paths: of each moment's video, by its id: what is known of it, and its file.
        rate: of the list, in frames a second; 0 for that of the first moment.

    Raises: InvalidRequest: there are no moments, or the rate is none.
    """
    if not moments:
        raise InvalidRequest("There are no moments to export.")
    sources = {id_: Source.of(videos[id_], paths[id_]) for id_ in dict.fromkeys(m.video_id for m in moments)}
    zero = _zero(sources[moments[0].video_id], rate)
    edits: list[Edit] = []
    for moment in moments:
        at = edits[-1].at + edits[-1].length if edits else 0
        edits.append(_edit(moment, sources[moment.video_id], at, zero.rate))
    return EditList(title, zero, tuple(edits))


def _zero(first: Source, rate: float) -> Timecode:
    if rate and not _MIN_RATE <= rate <= _MAX_RATE:
        raise InvalidRequest(f"The rate must be from {_MIN_RATE} to {_MAX_RATE} frames a second, not {rate:g}.")
    exact = exact_rate(rate) if rate else first.rate
    return Timecode(0, exact, drops=first.first.drops and exact == first.rate)


def _edit(moment: Moment, source: Source, at: int, rate: Fraction) -> Edit:
    """The first frame is the one on screen at the start. The last is the last one that begins before the end."""
    start = math.floor((_seconds(moment.start_seconds, source) + _UNSEEN_SECONDS) * source.rate)
    end = math.ceil((_seconds(moment.end_seconds, source) - _UNSEEN_SECONDS) * source.rate)
    last = source.frames - 1 if source.frames else start
    start = max(min(start, last), 0)
    end = max(min(end, source.frames or end), start + 1)
    length = max(round((end - start) * rate / source.rate), 1)
    return Edit(moment, source, start, end, at, length)


def _seconds(seconds: float, source: Source) -> Fraction:
    return Fraction(seconds) - source.late_seconds
