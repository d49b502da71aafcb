"""Divides a line into what each part of it means: one vector of a long sentence has little of each thing in it."""

import math

_PART_WORDS, _PART_SIGNS = 5, 10  # of scripts with and without spaces
_MOST_PARTS = 29  # of a line; 2000 characters hold more
_LONGEST_WORD = 12  # characters, on average
_LONGER_BY = 1.3  # a line is divided if it is longer than a part by this


def divide_line(text: str) -> list[str]:
    """The line, and its parts if it is long, each over the next ones."""
    words = text.split()
    if len(text) > _LONGEST_WORD * len(words):  # a script without spaces
        return [text, *("".join(part) for part in _divide(list(text), _PART_SIGNS))]
    return [text, *(" ".join(part) for part in _divide(words, _PART_WORDS))]


def _divide(units: list[str], size: int) -> list[list[str]]:
    if len(units) <= _LONGER_BY * size:
        return []
    step = max(1, size * 2 // 5, math.ceil(len(units) / _MOST_PARTS))
    return [units[first : first + size] for first in range(0, len(units) - step, step)]
