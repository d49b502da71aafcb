"""Makes lines of words out of subtitles: without notes of sounds and repeats of other tracks."""

import re
from collections.abc import Iterable
from dataclasses import replace

from clipseek.api.limits import SUBTITLE
from executors.machine.scripts import guess_language
from executors.word_reader.timed_line import TimedLine

_MUSIC = re.compile(r"[\s♪♫♬♩#*~_\-–—.…·]+")
_SAME_SECONDS = 0.5
_ENDS = re.compile(r"[.?!…:;][\"'”’)\]]*$")
_PAUSE_SECONDS, _MOST_SECONDS, _MOST_CHARACTERS = 0.5, 15.0, 250


def clean_lines(lines: Iterable[TimedLine]) -> list[TimedLine]:
    """The lines that say something, each once for its language, in order of time."""
    kept: list[TimedLine] = []
    last: dict[tuple[str, str], float] = {}
    for line in sorted(lines, key=lambda line: (line.start_seconds, line.end_seconds)):
        text = " ".join(line.text.split())
        if not _MUSIC.sub("", text):
            continue
        language = line.language or guess_language(text)
        key = (text.casefold(), language)
        if key in last and line.start_seconds - last[key] < _SAME_SECONDS:
            continue
        last[key] = line.start_seconds
        kept.append(TimedLine(line.start_seconds, line.end_seconds, text, SUBTITLE, language, 1.0))
    return [joined for language in {line.language for line in kept} for joined in _join_sentences(kept, language)]


def _join_sentences(lines: Iterable[TimedLine], language: str) -> list[TimedLine]:
    """The lines of a language. Those are joined that continue in mid-sentence: in lower case, and without a pause."""
    joined: list[TimedLine] = []
    for line in (line for line in lines if line.language == language):
        before = joined[-1] if joined else None
        if before and _continues(before, line):
            joined[-1] = replace(before, end_seconds=line.end_seconds, text=f"{before.text} {line.text}")
        else:
            joined.append(line)
    return joined


def _continues(before: TimedLine, line: TimedLine) -> bool:
    return (
        line.text[0].islower()
        and not _ENDS.search(before.text)
        and line.start_seconds - before.end_seconds <= _PAUSE_SECONDS
        and line.start_seconds > before.start_seconds
        and line.end_seconds - before.start_seconds <= _MOST_SECONDS
        and len(before.text) + len(line.text) < _MOST_CHARACTERS
    )
