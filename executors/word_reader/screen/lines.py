"""Joins what several stills show to lines with the time in which they are seen."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rapidfuzz import fuzz

from clipseek.api.limits import SCREEN
from executors.machine.scripts import guess_language
from executors.word_reader.timed_line import TimedLine

_SAME = 90.0  # of 100: a sign or two are misread in a moving picture
_GAP_SECONDS = 0.1
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class StillText:
    """The texts of a still that is seen in `[start_seconds, end_seconds)`, each with its score."""

    start_seconds: float
    end_seconds: float
    texts: list[tuple[str, float]]


def join_stills(stills: Iterable[StillText]) -> list[TimedLine]:
    """A line for each text, from the first still that shows it to the last one in a row."""
    done: list[TimedLine] = []
    seen: list[TimedLine] = []
    for still in sorted(stills, key=lambda still: still.start_seconds):
        going_on = [line for line in seen if still.start_seconds <= line.end_seconds + _GAP_SECONDS]
        done += [line for line in seen if line not in going_on]
        seen = [_continue(going_on, still, text, score) for text, score in still.texts]
        done += going_on  # those that this still does not show
    return done + seen


def _continue(going_on: list[TimedLine], still: StillText, text: str, score: float) -> TimedLine:
    """The text's line, taken out of those that go on if it is one of them. The surer reading is kept."""
    before = next((line for line in going_on if _is_same(line.text, text)), None)
    if before is None:
        return TimedLine(still.start_seconds, still.end_seconds, text, SCREEN, guess_language(text), score)
    going_on.remove(before)
    if score > before.confidence:
        before = replace(before, text=text, confidence=score, language=guess_language(text))
    return replace(before, end_seconds=still.end_seconds)


def _is_same(one: str, other: str) -> bool:
    one, other = (_SPACES.sub("", text).casefold() for text in (one, other))
    numbers = (re.findall(r"\d+", text) for text in (one, other))
    return one == other or (fuzz.ratio(one, other) >= _SAME and next(numbers) == next(numbers))
