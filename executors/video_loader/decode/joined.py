"""A file of several recordings as one video: each part's times continue those of the part before."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from clipseek.api.errors import UnreadableVideo
from clipseek.api.formats import size
from clipseek.config.settings import SOFTWARE
from executors.video_loader.containers.parts import FilePart
from executors.video_loader.decode.probe import measure_duration
from executors.video_loader.decode.source import Needs, TimedFrame, VideoSource

_FILES_REMEMBERED = 256
_MOST_NOTES = 3  # about recordings that are left out


@dataclass(frozen=True)
class TimedPart:
    """A part that can be read, and the seconds of the video that it shows: `[begin, end)`."""

    file: FilePart
    begin: Fraction
    end: Fraction


@functools.lru_cache(_FILES_REMEMBERED)
def _time_parts(files: tuple[FilePart, ...], title: str) -> tuple[tuple[TimedPart, ...], tuple[str, ...]]:
    """The parts that can be read, one after another, and notes about the others.

    Raises: UnreadableVideo: none can be read.
    """
    parts: list[TimedPart] = []
    notes: list[str] = []
    begin = Fraction(0)
    for number, file in enumerate(files, 1):
        try:
            with VideoSource(file, title, Needs.ALL, Fraction(0), SOFTWARE) as source:
                end = begin + measure_duration(source)
        except UnreadableVideo as error:
            if number == len(files) and not parts:
                raise
            length = size(file.end_byte - file.start_byte)
            notes.append(f"Recording {number} of {len(files)} ({length}) was left out: {error}")
            continue
        parts.append(TimedPart(file, begin, end))
        begin = end
    if len(notes) > _MOST_NOTES:
        notes[1:] = [f"{len(notes) - 1} more recordings were left out."]
    if len(parts) > 1:
        notes.insert(0, f"The file holds {len(parts)} recordings one after another. They are shown as one video.")
    return tuple(parts), tuple(notes)


class JoinedSource(VideoSource):
    """Several recordings, as one source. The first one stays open; of the others, one at a time is."""

    def __init__(
        self,
        path: Path,
        files: Sequence[FilePart],
        title: str,
        needs: Needs,
        most_gap_seconds: Fraction,
        decoder: str,
    ) -> None:
        self.parts, self.notes = _time_parts(tuple(files), title)
        super().__init__(self.parts[0].file, title, needs, most_gap_seconds, decoder)
        self.file = path
        self.known_seconds = self.parts[-1].end

    def frames(self, from_seconds: Fraction = Fraction(0), all_from: Fraction | None = None) -> Iterator[TimedFrame]:
        """As of one recording: see `VideoSource.frames`."""
        for part in self.parts:
            if part.end <= from_seconds and part is not self.parts[-1]:
                continue
            since = max(Fraction(0), from_seconds - part.begin)
            all_since = None if all_from is None else max(Fraction(0), all_from - part.begin)
            if part is self.parts[0]:
                yield from super().frames(since, all_since)
                continue
            how = self.title, self.needs, self.most_gap_seconds, self.decoder
            with closing(VideoSource(part.file, *how)) as source:
                for timed in source.frames(since, all_since):
                    yield replace(timed, time=timed.time + part.begin)
