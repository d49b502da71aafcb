"""Tells the speech of which languages is subtitled, so that it need not be recognised."""

from collections.abc import Iterable, Sequence

from executors.machine.scripts import SCRIPT_LANGUAGES
from executors.word_reader.timed_line import TimedLine

_COVERED = 0.5  # of the time in which somebody speaks: tracks with less translate signs, or what is foreign
_LATE_SECONDS = 0.5  # a line may appear so much before or after its words
UNKNOWN = ""


def find_covered(lines: Iterable[TimedLine], voices: Sequence[tuple[float, float]]) -> frozenset[str]:
    """The languages whose lines are shown while most of the voices, `[start, end)` in seconds, speak."""
    total = sum(end - start for start, end in voices)
    by_language: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        shown = (line.start_seconds - _LATE_SECONDS, line.end_seconds + _LATE_SECONDS)
        by_language.setdefault(line.language, []).append(shown)
    return frozenset(
        language
        for language, shown in by_language.items()
        if total and sum(_overlap(voice, shown) for voice in voices) >= _COVERED * total
    )


def is_covered(language: str, covered: frozenset[str]) -> bool:
    """Whether the speech of a language is subtitled. Latin letters do not tell whose they are."""
    return language in covered or (UNKNOWN in covered and language not in SCRIPT_LANGUAGES)


def _overlap(voice: tuple[float, float], shown: Iterable[tuple[float, float]]) -> float:
    """Seconds of a voice in which something is shown."""
    total, until = 0.0, voice[0]
    for start, end in sorted(shown):
        begin, stop = max(start, until), min(end, voice[1])
        if stop > begin:
            total, until = total + stop - begin, stop
    return total
