"""Joins recognised words to sentences: each is a line that a viewer could read at once."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MOST_SECONDS, _MOST_CHARACTERS = 12.0, 200
_PAUSE_SECONDS = 0.7
_ENDS = re.compile(r"[.?!。？！…]+[\"'”’」』)）]*$")
_COMMA = re.compile(r"[,;:，；：、][\"'”’」』)）]*$")
# A full stop after these does not end a sentence; nor does one after a single letter, as in "J. F. Kennedy".
_ABBREVIATION = re.compile(r"^\W*([A-Za-z]|Mr|Mrs|Ms|Dr|St|Prof|Sr|Jr|vs|etc|No|Inc|Ltd|e\.g|i\.e|U\.S|U\.K)\.$")


@dataclass(frozen=True)
class Word:
    """A recognised word, with the space before it where its language writes one; seconds of the video."""

    start: float
    end: float
    text: str
    probability: float


@dataclass(frozen=True)
class Sentence:
    """Words in `[start, end)` seconds of the video, and the mean of their probabilities."""

    start: float
    end: float
    text: str
    probability: float


def join_sentences(words: Sequence[Word]) -> list[Sentence]:
    """The words as sentences, in order."""
    return [_join(part) for run in _split_at_ends(words) for part in _split_long(run)]


def _split_at_ends(words: Sequence[Word]) -> Iterator[list[Word]]:
    run: list[Word] = []
    for word in words:
        if run and word.start - run[-1].end > _PAUSE_SECONDS:
            yield run
            run = []
        run.append(word)
        text = word.text.strip()
        if _ENDS.search(text) and not _ABBREVIATION.match(text):
            yield run
            run = []
    if run:
        yield run


def _split_long(words: list[Word]) -> list[list[Word]]:
    """Cut what is too long at a comma near its middle, else at the longest pause there."""
    length = sum(len(word.text) for word in words)
    if len(words) < 2 or (words[-1].end - words[0].start <= _MOST_SECONDS and length <= _MOST_CHARACTERS):
        return [words]
    quarter = len(words) // 4
    places = range(max(1, quarter), max(2, len(words) - quarter))
    middle = len(words) / 2

    def rank(place: int) -> tuple[bool, float, float]:
        pause = words[place].start - words[place - 1].end
        return bool(_COMMA.search(words[place - 1].text)), round(pause, 1), -abs(place - middle)

    place = max(places, key=rank)
    return [*_split_long(words[:place]), *_split_long(words[place:])]


def _join(words: list[Word]) -> Sentence:
    text = "".join(word.text for word in words).strip()
    probability = sum(word.probability for word in words) / len(words)
    return Sentence(words[0].start, words[-1].end, text, probability)
