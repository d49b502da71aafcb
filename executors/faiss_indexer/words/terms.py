"""What of a text is compared with another one: terms, which are alike for the forms and spellings of one word.

Case, accents and full width are folded, English words are stemmed, and Traditional Chinese signs become Simplified
ones. Scripts without spaces become single signs and pairs of signs, so that a word of two signs is found.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from cachetools import LRUCache, cached

_ACCENTED = ("LATIN", "GREEK", "CYRILLIC")  # scripts whose accents many leave out; those of others are vowels
_UNSPACED = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(
    rf"(?P<unspaced>(?:{_UNSPACED.pattern})+)|(?P<word>(?:(?!{_UNSPACED.pattern})[^\W_]|[\u0900-\u0dff])+)"
)
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|「([^」]+)」|『([^』]+)』')
_LONGEST_TERM = 64  # characters: more is no word
_MOST_TERMS, _MOST_CHARACTERS = 300_000, 2_000_000  # of the lines in memory that queries were compared with last
# Words that say nothing of what a text is about.
_EMPTY_WORDS = frozenset(
    """
    a about all also am an and any are as at be been but by can did do does for from get had has have he her him
    his how i if in into is it its just like me moment my no not of on or our out part scene she show shown shows
    so some someone something than that the their them then there these they this those to up us video was we were
    what when where which while who will with would you your says said say saying talks talk talking mention
    mentions mentioned speak speaks
    """.split()  # noqa: SIM905
)
_EMPTY_SIGNS = frozenset("的了吗呢吧啊和与是在有个这那很都也就着过得们一不我你他她它")
_EMPTY_PAIRS = frozenset(("怎么", "什么", "如何", "关于", "有关", "一个", "哪里", "为什"))


@dataclass(frozen=True)
class Unit:
    """Something that a text asks for. One of its terms is enough.

    Attributes:
        terms: a word; or of a sign of a script without spaces, the pairs that it is in.
        share: how much it counts beside a word: a sign is half of one.
    """

    terms: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True)
class Term:
    """A term of a text, and the `[start, end)` of its characters there."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Wanted:
    """What a query asks for in words: phrases that must be there as they are, and units."""

    units: tuple[Unit, ...]
    phrases: tuple[str, ...] = ()


def read_query(text: str) -> Wanted:
    """What a text asks for. What stands in quotes is a phrase."""
    phrases = tuple(filter(None, (fold_phrase("".join(groups)) for groups in _QUOTED.findall(text))))
    units = list(_list_units(text))
    telling = [unit for unit in units if not all(map(_is_empty, unit.terms))]
    return Wanted(tuple(telling or units), phrases)


def quotes_a_phrase(text: str) -> bool:
    """Whether a text has words in quotes."""
    return bool(_QUOTED.search(text))


def read_terms(text: str) -> list[Term]:
    """All terms of a text, in order; of scripts without spaces each sign and each pair."""
    terms = []
    for kind, folded, places in _runs(text):
        if kind == "word":
            terms.append(Term(_stem(folded)[:_LONGEST_TERM], places[0], places[-1] + 1))
            continue
        for size in (1, 2):
            terms += [
                Term(folded[first : first + size], places[first], places[first + size - 1] + 1)
                for first in range(len(folded) - size + 1)
            ]
    return terms


@cached(LRUCache(_MOST_TERMS, getsizeof=lambda terms: 1 + len(terms)), lock=threading.Lock())
def term_set(text: str) -> frozenset[str]:
    """The terms of a text, to compare with those of a query."""
    return frozenset(term.text for term in read_terms(text))


@cached(LRUCache(_MOST_CHARACTERS, getsizeof=lambda text: 1 + len(text)), lock=threading.Lock())
def fold_phrase(text: str) -> str:
    """A text as it is compared with a phrase: its words, not stemmed, and its signs, with a space around each."""
    words = [word for kind, folded, _ in _runs(text) for word in ([folded] if kind == "word" else folded)]
    return f" {' '.join(words)} " if words else ""


def find_marks(text: str, terms: frozenset[str]) -> list[int]:
    """Where a text has some terms: `[start, end)` of characters, pairwise, in order and apart."""
    ranges: list[tuple[int, int]] = []
    for term in sorted((t for t in read_terms(text) if t.text in terms), key=lambda term: (term.start, term.end)):
        if ranges and term.start <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(ranges[-1][1], term.end)
        else:
            ranges.append((term.start, term.end))
    return [place for pair in ranges for place in pair]


def _list_units(text: str) -> Iterator[Unit]:
    for kind, folded, _ in _runs(text):
        if kind == "word":
            yield Unit((_stem(folded)[:_LONGEST_TERM],))
        elif len(folded) == 1:
            yield Unit((folded,))
        else:
            pairs = [folded[first : first + 2] for first in range(len(folded) - 1)]
            for place, sign in enumerate(folded):
                if sign not in _EMPTY_SIGNS:
                    yield Unit(tuple(pairs[max(0, place - 1) : place + 1]), 0.5)


def _is_empty(term: str) -> bool:
    return term in _empty_terms() or term in _EMPTY_SIGNS or term in _EMPTY_PAIRS


@cache
def _empty_terms() -> frozenset[str]:
    return frozenset(map(_stem, _EMPTY_WORDS)) | _EMPTY_WORDS


def _runs(text: str) -> Iterator[tuple[str, str, Sequence[int]]]:
    """The words of a text, folded, and its runs of signs: the kind, the folded text, and the place of each character
    in the text.
    """
    folded, places = _fold(text)
    for match in _WORD.finditer(folded):
        yield str(match.lastgroup), match.group(), places[match.start() : match.end()]


def _fold(text: str) -> tuple[str, list[int]]:
    folded, places = [], []
    for place, sign in enumerate(text):
        new = _fold_sign(sign)
        folded.append(new)
        places += [place] * len(new)
    return "".join(folded), places


@lru_cache(65536)
def _fold_sign(sign: str) -> str:
    """One character, folded; "" for an accent that stands by itself."""
    if sign.isascii():
        return "" if sign == "'" else sign.lower()
    if sign == "’":
        return ""
    folded = unicodedata.normalize("NFKC", sign).casefold()
    if unicodedata.combining(sign) and not unicodedata.name(sign, "").startswith(("DEVANAGARI", "THAI", "BENGALI")):
        return ""
    if unicodedata.name(sign, "").startswith(_ACCENTED):
        parts = unicodedata.normalize("NFD", folded)
        folded = "".join(part for part in parts if not unicodedata.combining(part))
    converter = _simplifier()
    return str(converter.convert(folded)) if converter and _UNSPACED.match(folded) else folded


@cache
def _simplifier() -> Any:
    """Makes Simplified Chinese of Traditional; None where `opencc` is not installed."""
    try:
        import opencc
    except ImportError:
        return None
    return opencc.OpenCC("t2s")


@cache
def _stemmer() -> Any:
    try:
        import snowballstemmer  # type: ignore[import-untyped]
    except ImportError:
        return None
    return snowballstemmer.stemmer("english")


@lru_cache(65536)
def _stem(word: str) -> str:
    stemmer = _stemmer()
    return str(stemmer.stemWord(word)) if stemmer and word.isascii() and word.isalpha() else word
