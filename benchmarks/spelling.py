"""How well misspelt words are corrected ("Did you mean"): `python -m benchmarks.spelling`.

It makes random mistakes of one letter in the words of the starter model's classes: a letter more, one less, another
one, or two that change places. It prints how many get the right word, another word or none, and how many correct
English texts (all labelled queries and the neutral phrases) are corrected.
"""

import argparse
import random
import string
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.cases import read_queries
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.spelling import Spelling, read_spelling

_LEAST_LETTERS = 5  # shorter words are never corrected
_MISTAKES_OF_A_WORD = 3
_SEED = 0
RIGHT, WRONG, NONE = "right word", "another word", "no suggestion"


def misspell(word: str, source: random.Random) -> str:
    """Make one random mistake, at any letter."""
    place, letter = source.randrange(len(word)), source.choice(string.ascii_lowercase)
    before, after = word[:place], word[place:]
    one_more, one_less, another = before + letter + after, before + after[1:], before + letter + after[1:]
    return source.choice([one_more, one_less, another, before + after[1:2] + after[:1] + after[2:]])


def list_mistakes(spelling: Spelling) -> list[tuple[str, str]]:
    """Returns: misspelt words, none of them another correct word, each with the word that is meant."""
    source = random.Random(_SEED)
    words = [word for word in sorted(spelling.names) if len(word) >= _LEAST_LETTERS]
    pairs = [(misspell(word, source), word) for word in words for _ in range(_MISTAKES_OF_A_WORD)]
    return [(text, word) for text, word in pairs if len(text) >= _LEAST_LETTERS and text not in spelling.known]


def judge(spelling: Spelling, text: str, meant: str) -> str:
    """Returns: RIGHT, WRONG or NONE."""
    found = spelling.find_mistake(text)
    return NONE if found is None else RIGHT if found[1] == meant else WRONG


def list_correct_texts() -> list[str]:
    """List the English labelled queries and the neutral phrases."""
    sets = [read_queries(everyday) for everyday in (False, True)]
    return [*(label.query for true, absurd in sets for label in true + absurd), *NEUTRAL_PHRASES]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns: the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spelling", description=__doc__)
    cache = Path(tempfile.gettempdir()) / "clipseek-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="folder that keeps the model between runs")
    spelling = read_spelling(Registry(parser.parse_args(arguments).cache).resolve("starter").checkpoint.parent)
    assert spelling is not None
    mistakes = list_mistakes(spelling)
    counts = Counter(judge(spelling, text, word) for text, word in mistakes)
    print(f"{len(mistakes)} mistakes of one letter")
    for answer in (RIGHT, WRONG, NONE):
        print(f"  {answer:14}{counts[answer]:>6}  {100 * counts[answer] / len(mistakes):5.1f} %")
    texts = list_correct_texts()
    print(f"{len(texts)} correct texts\n  corrected     {sum(map(bool, map(spelling.find_mistake, texts))):>6}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
