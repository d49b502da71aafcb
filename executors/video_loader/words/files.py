"""Reads subtitle files that lie beside a video or came with it: SRT, WebVTT, ASS and SSA, in any encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from clipseek.api.limits import MAX_SUBTITLE_BYTES
from executors.machine.scripts import read_language
from executors.video_loader.words.lines import SubtitleLine, clean_text
from executors.video_loader.words.tracks import with_language

MOST_BYTES = MAX_SUBTITLE_BYTES
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Tried where a file is not UTF-8: of those that can be decoded at all, the likeliest by its letters is taken.
_LEGACY = {
    "zh": ("gb18030", "big5"),
    "ja": ("shift_jis", "euc_jp"),
    "ko": ("cp949",),
    "ru": ("cp1251", "koi8_r"),
    "ar": ("cp1256",),
    "he": ("cp1255",),
    "el": ("cp1253",),
    "th": ("cp874",),
}
_LATIN = "cp1252"
_WIDE = frozenset({"gb18030", "big5", "shift_jis", "euc_jp", "cp949"})
_SURE = 0.12  # share of frequent signs: of thousands of signs, another encoding hits them by chance in less than .03
_SAMPLE = 200_000  # bytes that tell the encoding


class UnreadableSubtitles(Exception):
    """A file of subtitles cannot be read; the message says why."""


def language_in_name(path: Path, video_stem: str) -> str:
    """The language in the name of a file, such as `en` of `talk.en.forced.srt`; "" without one.

    In a name that does not begin with the video's, only the last part can be one: titles are full of short words.
    """
    before, found, rest = path.stem.lower().rpartition(video_stem.lower())
    is_named_after = bool(video_stem and found) and (not before or before.endswith("."))
    parts = [part for part in re.split(r"[._\s\-\[\]()]+", rest if is_named_after else path.stem) if part]
    if not is_named_after:
        parts = parts[1:][-1:]
    return next((language for part in parts if (language := read_language(part))), "")


def read_file(path: Path, language: str = "") -> list[SubtitleLine]:
    """All lines of a file, in order of time. Remembers the last files, because each span asks again.

    Raises: UnreadableSubtitles: it is too large, damaged or gone, or `pysubs2` is not installed.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise UnreadableSubtitles(f"'{path.name}' cannot be read ({error.strerror})") from error
    if state.st_size > MOST_BYTES:
        raise UnreadableSubtitles(f"'{path.name}' has {state.st_size / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}")
    return list(_read_file(path, language, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=4)
def _read_file(path: Path, language: str, *_: int) -> tuple[SubtitleLine, ...]:
    try:
        import pysubs2  # only now: it comes with an extra
        from pysubs2.exceptions import Pysubs2Error
    except ModuleNotFoundError as error:
        raise UnreadableSubtitles(
            f"'{path.name}' is not read: pysubs2 is missing. Run `pip install 'clipseek[words]'`"
        ) from error
    try:
        text = decode(path.read_bytes(), language)
        subtitles = pysubs2.SSAFile.from_string(text, format_=path.suffix.lower().removeprefix("."))
    except OSError as error:
        raise UnreadableSubtitles(f"'{path.name}' cannot be read ({error.strerror})") from error
    except (Pysubs2Error, ValueError, LookupError, ArithmeticError) as error:
        raise UnreadableSubtitles(f"'{path.name}' is damaged ({type(error).__name__}: {error})") from error
    lines = sorted(_list_lines(subtitles), key=lambda line: line.start_seconds)
    if not lines:
        raise UnreadableSubtitles(f"'{path.name}' has no lines of subtitles")
    return tuple(with_language(lines, language))


def _list_lines(subtitles: object) -> Iterator[SubtitleLine]:
    for event in subtitles.events:  # type: ignore[attr-defined]
        is_drawing = bool(re.search(r"\\p[1-9]", event.text))
        text = "" if event.is_comment or is_drawing else clean_text(event.plaintext)
        if text and event.end > event.start >= 0:
            yield SubtitleLine(event.start / 1000, event.end / 1000, text)


def decode(data: bytes, language: str = "") -> str:
    """The text of a file in an unknown encoding; a known language decides between similar ones."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if encoding := _find_wide(data):
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(_find_legacy(data, language), "replace")


def _find_wide(data: bytes) -> str:
    """UTF-16 without a mark: every other byte of its digits and line ends is 0."""
    sample = data[:_SAMPLE]
    half = max(1, len(sample) // 2)
    even, odd = sample[::2].count(0) / half, sample[1::2].count(0) / half
    if max(even, odd) < 0.2:
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"


def _find_legacy(data: bytes, language: str) -> str:
    sample = b"\n".join(line for line in data[:_SAMPLE].splitlines() if not line.isascii()) or data[:_SAMPLE]
    own = [name for name in _LEGACY.get(language, ()) if _fits(sample, name)]
    if own:
        return max(own, key=lambda name: _rate(sample, name))
    fitting = [name for names in _LEGACY.values() for name in names if _fits(sample, name)]
    wide = max((name for name in fitting if name in _WIDE), key=lambda name: _rate(sample, name), default="")
    if wide and _rate(sample, wide) >= _SURE:
        return wide
    return max([*(name for name in fitting if name not in _WIDE), _LATIN], key=lambda name: _rate(sample, name))


def _fits(sample: bytes, encoding: str) -> bool:
    """Whether nearly all can be decoded: the sample may end within a letter, and files have damaged places."""
    text = sample.decode(encoding, "replace")
    return text.count("\ufffd") <= 1 + len(text) // 200


# The most frequent signs of each language: wrong encodings give rare ones.
_FREQUENT = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里",
    "big5": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡",
    "shift_jis": "のはにをたがでてしれないとるもかだすうらこりよあいそくきっまさ",
    "euc_jp": "のはにをたがでてしれないとるもかだすうらこりよあいそくきっまさ",
    "cp949": "이다는을가의에고하지은도를서니기나사어자로게그한있리아만",
    "cp1251": "оеаинтсрвлкмдпуяыьгзбч",
    "koi8_r": "оеаинтсрвлкмдпуяыьгзбч",
    "cp1256": "اليمونترسكعبدفقهجحة",
    "cp1255": "יוהלאתרמבשנכעד",
    "cp1253": "αοιετνσηυρπκμλόίς",
    "cp874": "านรอกเงมยลวดทสตะปบคห่้",
    _LATIN: "éèàçêùâîôûëïœäöüßñóíáúãõåøæ¿¡’‘“”–—…«»°",
}


def _rate(sample: bytes, encoding: str) -> float:
    """The share of a text's other than ASCII signs that are frequent in the encoding's language."""
    signs = [char for char in sample.decode(encoding, "replace") if ord(char) > 127]
    frequent = set(_FREQUENT[encoding])
    return sum(char.lower() in frequent for char in signs) / max(1, len(signs))
