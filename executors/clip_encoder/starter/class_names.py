"""What ImageNet's classes are called: their own names, their definitions, and the general nouns above them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from timm.data import ImageNetInfo

CLASSES = 1000
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
