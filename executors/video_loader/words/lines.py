"""A line of subtitles, as files and tracks have it."""

import re
from dataclasses import dataclass

_MARKUP = re.compile(r"<[^<>\n]{1,200}>|\{\\[^{}\n]{0,400}\}")
_SPACES = re.compile(r"[ \t\u00a0\u200b\ufeff]+")
MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class SubtitleLine:
    """Text that a player shows in `[start_seconds, end_seconds)` of the video. Its fields are those of a Cue."""

    start_seconds: float
    end_seconds: float
    text: str
    language: str = ""


def clean_text(text: str) -> str:
    """A line without styling tags. Its lines stay, and so does the order of right-to-left letters."""
    plain = _MARKUP.sub("", text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " "))
    rows = (_SPACES.sub(" ", row).strip() for row in plain.replace("\r", "\n").split("\n"))
    return "\n".join(row for row in rows if row)[:MOST_CHARACTERS]
