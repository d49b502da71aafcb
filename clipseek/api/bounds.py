"""The bounds of a document's fields, declared on the fields themselves as `Annotated[float, Range(...)]`.

They are checked where a request arrives, not where a document is made: in between, documents hold intermediate values.
A number without a `Range` of its own lies in `[0, MAX_NUMBER]`; texts and lists have one maximum length each.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from clipseek.api.errors import InvalidRequest, InvalidTimeRange
from clipseek.api.formats import excerpt

MAX_NUMBER = 2**53  # whole numbers travel as floats
MAX_SECONDS = 1e9  # thirty years: longer than any video, and a float still holds its milliseconds
MAX_CHARACTERS = 100_000  # titles are cut to MAX_TITLE_LENGTH where they are stored
MAX_ENTRIES = 1_000_000


@dataclass(frozen=True)
class Range:
    """The range `[minimum, maximum]` of a number, or of each number of a list."""

    minimum: float = 0.0
    maximum: float = MAX_NUMBER
    error: type[InvalidRequest] = InvalidRequest

    def check(self, name: str, numbers: list[float]) -> None:
        """Raise `error` if one of the numbers is out of range, or not finite."""
        # Three passes in C take half the time of one in Python (a span of 4000 frames). NaN escapes all but sum.
        if self.minimum <= min(numbers) and max(numbers) <= self.maximum and not math.isnan(sum(numbers)):
            return
        wrong = next(number for number in numbers if not self.minimum <= number <= self.maximum)
        raise self.error(f"{name} is {wrong:g}, but must be a number from {self.minimum:g} to {self.maximum:g}.")


DEFAULT_RANGE = Range()
_TIME = Range(maximum=MAX_SECONDS, error=InvalidTimeRange)
_SIGNED = Range(-MAX_NUMBER)

Seconds = Annotated[float, _TIME]
KnownSeconds = Annotated[float, Range(-1.0, MAX_SECONDS, InvalidTimeRange)]  # -1: not known
SecondsList = Annotated[list[float], _TIME]
Signed = Annotated[float, _SIGNED]
Vector = Annotated[list[float], _SIGNED]


def check_value(name: str, value: object, bounds: Range = DEFAULT_RANGE) -> None:
    """Check the value of a field.

    Raises: InvalidTimeRange, InvalidRequest: the message names the field, its value and the range.
    """
    if isinstance(value, bool | bytes):
        return
    if isinstance(value, int | float):
        bounds.check(name, [value])
    elif isinstance(value, str):
        _check_size(name, len(value), "characters", MAX_CHARACTERS)
    elif isinstance(value, list):
        _check_entries(name, value, bounds)
    elif hasattr(value, "check_bounds"):  # a document inside another one
        value.check_bounds()
    elif isinstance(value, Iterable):  # documents, or the keys of a dictionary
        _check_entries(name, list(value), bounds)


def _check_entries(name: str, entries: list[Any], bounds: Range) -> None:
    _check_size(name, len(entries), "entries", MAX_ENTRIES)
    if entries and isinstance(entries[0], int | float):
        bounds.check(name, entries)
        return
    for entry in entries:
        check_value(name, entry, bounds)


def _check_size(name: str, size: int, unit: str, maximum: int) -> None:
    if size > maximum:
        raise InvalidRequest(f"{name} has {size} {unit}, but may have at most {maximum}.")


def check_language(language: str) -> None:
    """Raises: InvalidRequest: this is no code of a language; "" is none, and fine."""
    if language and not re.fullmatch("[a-z]{2,3}", language):
        raise InvalidRequest(f"language is '{excerpt(language)}', but must be a code such as en or zh.")
