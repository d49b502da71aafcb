"""The texts that join picture classes and sentences: names, definitions, the nouns above them; and their words."""

import gzip
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from timm.data import ImageNetInfo

CLASSES = 1000
_WORDNET = ("imagenet_synset_to_lemma.txt", "imagenet_synset_to_definition.txt")
_CLIP_MERGES = 49152 - 256 - 2 + 1
_WORDS_OF_A_NAME = 3  # a longer text is a definition
_LEAST_LETTERS = 4
_HYPERNYMS = "imagenet_hypernyms.tsv"  # written by benchmarks/imagenet_hypernyms.py


@dataclass(frozen=True)
class ClassText:
    """A text, and the numbers of the classes that it fits; `is_general` for a noun above them."""

    text: str
    classes: tuple[int, ...]
    is_general: bool = False


def list_class_texts() -> list[ClassText]:
    """List every name of a class, every definition, every general noun: some 4400 texts."""
    return [*_list_own_texts(), *_read_general_nouns()]


def _list_own_texts() -> Iterator[ClassText]:
    info = ImageNetInfo()
    for number in range(CLASSES):
        names, _, definition = info.index_to_description(number, detailed=True).partition(": ")
        yield from (ClassText(name, (number,)) for name in dict.fromkeys(names.split(", ")))
        yield ClassText(definition, (number,))


def _read_general_nouns() -> Iterator[ClassText]:
    for line in (files(__package__) / _HYPERNYMS).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            nouns, _, ranges = line.partition("\t")
            classes = _parse_ranges(ranges.split(","))
            yield from (ClassText(noun, classes, is_general=True) for noun in nouns.split(", "))


def _parse_ranges(ranges: Sequence[str]) -> tuple[int, ...]:
    """`1-3` and `7` to 1, 2, 3 and 7."""
    ends = [[int(end) for end in numbers.split("-")] for numbers in ranges]
    return tuple(number for first, *last in ends for number in range(first, (last or [first])[0] + 1))


def list_words(texts: Collection[ClassText], vocabulary: Collection[str]) -> tuple[set[str], set[str]]:
    """List English words for spelling.

    CLIP's tokenizer brings the words of many captions, timm those of 20,000 nouns of WordNet and their definitions.

    Args:
        vocabulary: words of any languages that are correct as well.

    Returns: the usual words among names of classes, and all words that are correct, in lower case.
    """
    captions = _read_caption_words()
    names = {word for text in texts if text.text.count(" ") < _WORDS_OF_A_NAME for word in _split(text.text)}
    nouns = [word for file in _WORDNET for word in _split(files("timm.data._info").joinpath(file).read_text("utf-8"))]
    own = [word for text in texts for word in _split(text.text)]
    lower = {word.lower() for word in vocabulary if word.isascii() and word.isalpha()}
    return {word for word in names & captions if len(word) >= _LEAST_LETTERS}, {*captions, *nouns, *own, *lower}


def _read_caption_words() -> set[str]:
    """Returns: the whole words among the merges of CLIP's byte-pair tokenizer, whose end it marks."""
    merges = gzip.decompress(files("open_clip").joinpath("bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode()
    lines = merges.split("\n")[1:_CLIP_MERGES]
    words = {line.replace(" ", "").removesuffix("</w>") for line in lines if line.endswith("</w>")}
    return {word for word in words if word.isascii() and word.isalpha()}


def _split(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())
