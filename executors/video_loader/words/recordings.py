"""Walks through the recordings of a video, each with the times that it has in the whole."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

from clipseek.config.settings import SOFTWARE
from executors.video_loader.decode.joined import JoinedSource
from executors.video_loader.decode.source import Needs, VideoSource


@dataclass(frozen=True)
class Recording:
    """An open recording, and the range of a span in it: `[start, end)` in its own seconds, `offset` less than the
    video's.
    """

    source: VideoSource
    offset: Fraction
    start: Fraction
    end: Fraction


def find_recordings(source: VideoSource, start: Fraction, end: Fraction) -> Iterator[Recording]:
    """The recordings of a video that `[start, end)` touches, in order; one at a time is open."""
    if not isinstance(source, JoinedSource):
        yield Recording(source, Fraction(0), start, end)
        return
    for part in source.parts:
        if part.begin < end and start < part.end:
            with closing(VideoSource(part.file, source.title, Needs.ALL, Fraction(0), SOFTWARE)) as opened:
                yield Recording(
                    opened, part.begin, max(start, part.begin) - part.begin, min(end, part.end) - part.begin
                )
