"""Timecodes of SMPTE ST 12: the numbers that cameras, recorders and editors give to frames."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

_FORM: Final = re.compile(r"(\d\d?):(\d\d?):(\d\d?)([:;.,])(\d{1,3})")
_NTSC: Final = Fraction(1000, 1001)  # 29.97 is 30 times this
_ROUNDING: Final = Fraction(1, 10_000)  # of measured rates; 24.975 and 25 are 10 times further apart
_DROPPING_RATE: Final = 30  # numbers are dropped at this rate and its multiples
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True)
class Timecode:
    """The number of a frame since midnight, at `rate` frames a second.

    `drops`: 2 numbers (4 at 59.94) are left out each minute, but not each tenth. So 29.97 keeps up with the clock.
    """

    frame: int
    rate: Fraction
    drops: bool = False

    @classmethod
    def parse(cls, text: str, rate: Fraction) -> "Timecode":
        """Read `10:00:00:00`; any other mark than `:` before the frames means that it drops numbers.

        Raises: ValueError: it is no timecode, or none at this rate.
        """
        match = _FORM.fullmatch(text)
        hours, minutes, seconds, frame = map(int, match.group(1, 2, 3, 5)) if match else (99, 0, 0, 0)
        nominal = _nominal(rate)
        if match is None or hours > 23 or minutes > 59 or seconds > 59 or frame >= nominal:
            raise ValueError(f"'{text[:20]}' is no timecode at {float(rate):.5g} frames a second: write 10:00:00:00")
        drops = match[4] != ":" and nominal % _DROPPING_RATE == 0
        minutes += 60 * hours
        number = (60 * minutes + seconds) * nominal + frame
        return cls(number - (_dropped(nominal) * (minutes - minutes // 10) if drops else 0), rate, drops)

    def add(self, frames: int) -> "Timecode":
        """The frame so many later; after 24 hours they begin at 0 again."""
        return replace(self, frame=self.frame + frames)

    def __str__(self) -> str:
        nominal = _nominal(self.rate)
        dropped = _dropped(nominal) if self.drops else 0
        minute, ten_minutes = 60 * nominal - dropped, 600 * nominal - 9 * dropped
        tens, rest = divmod(self.frame % (_DAY_MINUTES // 10 * ten_minutes), ten_minutes)
        minutes = max(0, rest - dropped) // minute  # the first minute of ten drops nothing
        seconds, frame = divmod(rest + dropped * minutes, nominal)
        minutes, seconds = 10 * tens + seconds // 60, seconds % 60
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{';' if self.drops else ':'}{frame:02d}"


def _nominal(rate: Fraction) -> int:
    return max(1, round(rate))


def _dropped(nominal: int) -> int:
    return nominal // 15


def exact_rate(fps: float | Fraction) -> Fraction:
    """The rate that a measured or rounded one stands for: 29.97 is 30000/1001, 12.5 stays.

    An average of 24.9 is 25.
    """
    fps = max(Fraction(fps), Fraction(1))
    for step in (_NTSC, Fraction(1), Fraction(1, 2)):
        nearest = round(fps / step) * step
        if abs(fps - nearest) <= _ROUNDING * fps:
            return nearest
    return Fraction(round(fps))
