"""Finds misspelt English words in a text that are close to a word of a model's classes."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

SPELLING_NAME = "spelling.json"
_WORD = re.compile(r"(?<![\w'-])[a-zA-Z]{5,}(?![\w'-])")
_MOST_EDITS = 1  # letters added, left out, replaced, or two that changed places
_MOST_EDITS_OF_LONG_WORDS = 2
_LONG_WORD = 8  # letters
# What may follow a known word, and the ending that the known word has instead.
_ENDINGS = (
    *(("s", ""), ("es", ""), ("d", ""), ("ed", ""), ("r", ""), ("er", ""), ("ing", ""), ("ing", "e"), ("ly", "")),
    *(("y", ""), ("y", "e"), ("ish", ""), ("less", ""), ("like", ""), ("ies", "y"), ("ied", "y"), ("ier", "y")),
)
_LEAST_PART = 4  # letters of each half of a compound: "sandcastle"


@dataclass(frozen=True)
class Spelling:
    """`names` are the words that may be meant, `known` all correct words, both in lower case."""

    names: Collection[str]
    known: frozenset[str]

    def find_mistake(self, text: str) -> tuple[str, str] | None:
        """Returns: the first misspelt word of a text in ASCII letters, and the word that is probably meant."""
        if any(char.isalpha() and not char.isascii() for char in text):
            return None  # another language
        for match in _WORD.finditer(text):
            word = match.group()
            is_name = word[0].isupper() and match.start() > 0
            if not is_name and (meant := self._correct(word.lower())):
                return word, meant
        return None

    def _correct(self, word: str) -> str | None:
        if self._is_known(word):
            return None
        most = _MOST_EDITS if len(word) < _LONG_WORD else _MOST_EDITS_OF_LONG_WORDS
        close = process.extract(word, self.names, scorer=OSA.distance, score_cutoff=most, limit=None)
        alike = [(edits, -JaroWinkler.similarity(word, name), name) for name, edits, _ in close if name[0] == word[0]]
        return min(alike)[2] if alike else None

    def _is_known(self, word: str) -> bool:
        return any(stem in self.known for stem in _list_stems(word)) or any(
            {word[:i], word[i:]} <= self.known for i in range(_LEAST_PART, len(word) - _LEAST_PART + 1)
        )


def _list_stems(word: str) -> list[str]:
    """Returns: the word, and what remains of it without an ending."""
    stems = [word]
    for ending, instead in _ENDINGS:
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            doubled = stem[:-1] if stem[-2:-1] == stem[-1:] else stem  # "running" is "run"
            stems += [stem + instead, doubled + instead]
    return stems


def save_spelling(folder: Path, names: Collection[str], known: Collection[str]) -> None:
    """Save the words of a model in its folder."""
    content = json.dumps({"names": sorted(names), "known": sorted(known)})
    (folder / SPELLING_NAME).write_text(content, encoding="utf-8")


def read_spelling(folder: Path) -> Spelling | None:
    """Read the words beside a model's weights; None if it has none."""
    path = folder / SPELLING_NAME
    if not path.is_file():
        return None
    words = json.loads(path.read_text(encoding="utf-8"))
    return Spelling(words["names"], frozenset(words["known"]))
