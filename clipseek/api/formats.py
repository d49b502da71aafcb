"""Times, sizes, counts and texts as people write and read them."""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

from clipseek.api.limits import MAX_TITLE_LENGTH, SUBTITLE_SUFFIXES

# Categories of what shows nothing itself and changes what is around it: controls, line ends, changes of direction,
# halves of characters. The two joiners shape Persian words and emoji.
_HIDDEN, _JOINERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"}), "\u200c\u200d"
_LONGEST_WORD = 15  # characters: a longer one is cut


_NO_MARKUP = str.maketrans("<>{}", "‹›()")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def escape_hidden(text: str, keep: str = "") -> str:
    """The text with each hidden character as JSON writes it (`\\n`, `\\u001b`), so that terminals and logs show it.

    Args:
        keep: hidden characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(json.dumps(c)[1:-1] if _is_hidden(c) and c not in keep else c for c in text)


def one_line(text: str) -> str:
    """The text in one line that shows all it holds, with a space for each hidden character."""
    return spaced(text).strip()


def spaced(text: str) -> str:
    """The text with a space for each hidden character: it has as many characters as before."""
    return "".join(" " if _is_hidden(c) else c for c in text)


def excerpt(text: str, most: int = 80) -> str:
    """The start of a text that a caller wrote, for a message: the text may have megabytes."""
    return text if len(text) <= most else f"{text[:most]}..."


def plain_title(title: str) -> str:
    """A title as the library keeps it: composed (NFC), without hidden characters but the joiners, not too long.

    No file is named after it: it may hold a `/`.
    """
    shown = "".join(c for c in unicodedata.normalize("NFC", title) if c.isprintable() or c in _JOINERS)
    title = shown.strip()[:MAX_TITLE_LENGTH]
    return title if title.strip(_JOINERS + " ") else "untitled"


def is_same_name(one: str, other: str) -> bool:
    """Whether two names read the same: file systems and keyboards write one accent in two ways."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def is_subtitles_of(name: str, video_name: str) -> bool:
    """Whether a file is named as the subtitles of a video, such as `talk.en.srt` beside `talk.mp4`."""
    file, stem = PurePath(name.lower()), PurePath(video_name.lower()).stem
    return file.suffix in SUBTITLE_SUFFIXES and (file.stem == stem or file.stem.startswith(f"{stem}."))


def parse_time(text: str) -> float:
    """The seconds of a time, as `timestamp` writes it or as a number: 75.2, 01:15.2, 1:00:03.

    Raises: ValueError: the text is neither.
    """
    seconds = 0.0
    for number in text.split(":"):
        seconds = seconds * 60 + float(number)
    return seconds


def timestamp(seconds: float) -> str:
    """A time as `mm:ss.s`, rounded to tenths, with hours in front if there are any: `parse_time` reads it back."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:" if hours else "") + f"{minutes:02d}:{tenths / 10:04.1f}"


def clock(seconds: float) -> str:
    """A length as a clock shows it, in whole seconds: `3:12`, `1:00:03`."""
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole_seconds:02d}" if hours else f"{minutes}:{whole_seconds:02d}"


def duration(seconds: float) -> str:
    """A length in seconds, or from a minute on in minutes: `3.1 s`, `1.5 min`."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def subtitle_time(seconds: float, point: str = ",") -> str:
    """A time as SRT writes it, and WebVTT with a point: `01:02:03,450`."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{thousandths:03d}"


def without_markup(text: str) -> str:
    """A text for SRT, which has no way to escape its markup."""
    return text.translate(_NO_MARKUP)


def counted(count: int | str, noun: str) -> str:
    """A count with its noun: `1 video`, `2 videos`, or `? videos` for an unknown count."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def size(count: float) -> str:
    """A number of bytes, in the unit that keeps it short: `12 B`, `1.5 kB`, `23 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the loop returns")


def sendable(text: str) -> str:
    """The text in valid UTF-8, as messages need it: file names and arguments may hold other bytes, which become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def marked_parts(line: str, marks: Sequence[int], most: int = 160) -> list[tuple[str, bool]]:
    """A line in pieces, each with whether it is one of the found words. A long line is cut to `most` around the first.

    `marks` are `[start, end)` of characters, pairwise; those that do not fit the line are left out.
    """
    pairs = sorted(zip(marks[::2], marks[1::2], strict=False))
    first = next((start for start, end in pairs if 0 <= start < end <= len(line)), 0)
    begin, stop = _cut_around(line, first, most)
    parts, at = [("…" if begin else "", False)], begin
    for start, end in pairs:
        if at <= start < end <= stop:
            parts += [(line[at:start], False), (line[start:end], True)]
            at = end
    parts += [(line[at:stop], False), ("…" if stop < len(line) else "", False)]
    return [(text, is_found) for text, is_found in parts if text]


def _cut_around(line: str, place: int, most: int) -> tuple[int, int]:
    """The `[start, end)` of at most `most` characters of a line: its start if that reaches beyond `place`. Where words
    have spaces between them, none is cut."""
    begin = max(min(place - most // 4, len(line) - most), 0) if place > most * 3 // 4 else 0
    stop = min(begin + most, len(line))
    if begin and (space := line.find(" ", begin - 1, begin + _LONGEST_WORD)) >= 0:
        begin = min(space + 1, place)
    if stop < len(line) and (space := line.rfind(" ", max(stop - _LONGEST_WORD, place), stop)) >= 0:
        stop = space
    return begin, stop
