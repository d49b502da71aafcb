"""A line of words with its times: what every room of the reader makes."""

from collections.abc import Iterable
from dataclasses import dataclass

from clipseek.api.limits import MAX_CUE_CHARACTERS

_LEAST_SECONDS = 0.05  # a line that ends as it begins could not be shown


@dataclass(frozen=True)
class TimedLine:
    """Words of `[start_seconds, end_seconds)` of a video. Its fields are those of a Cue on the wire."""

    start_seconds: float
    end_seconds: float
    text: str
    source: str
    language: str = ""
    confidence: float = 1.0


def sort_lines(lines: Iterable[TimedLine]) -> list[TimedLine]:
    """The lines in order of time, none empty, too long, or without duration."""
    return sorted(
        (
            TimedLine(
                round(line.start_seconds, 3),
                round(max(line.end_seconds, line.start_seconds + _LEAST_SECONDS), 3),
                line.text[:MAX_CUE_CHARACTERS],
                line.source,
                line.language,
                min(1.0, max(0.0, line.confidence)),
            )
            for line in lines
            if line.text.strip()
        ),
        key=lambda line: (line.start_seconds, line.end_seconds),
    )
