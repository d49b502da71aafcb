"""What ImageNet's classes are called: their own names, their definitions, and the general nouns above them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from timm.data import ImageNetInfo

CLASSES = 1000
_HYPERNYMS = "imagenet_hypernyms.tsv"  # made by benchmarks/imagenet_hypernyms.py


@dataclass(frozen=True)
class ClassText:
    """A text, and the numbers of the classes that it fits; `is_general` for a noun above them."""

    text: str
    classes: tuple[int, ...]
    is_general: bool = False


def class_texts() -> list[ClassText]:
    """Every name of a class, every definition, every general noun: some 4400 texts."""
    return [*_own_texts(), *_general_texts()]


def _own_texts() -> Iterator[ClassText]:
    info = ImageNetInfo()
    for number in range(CLASSES):
        names, _, definition = info.index_to_description(number, detailed=True).partition(": ")
        yield from (ClassText(name, (number,)) for name in dict.fromkeys(names.split(", ")))
        yield ClassText(definition, (number,))


def _general_texts() -> Iterator[ClassText]:
    for line in (files(__package__) / _HYPERNYMS).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            names, _, numbers = line.partition("\t")
            classes = _numbers(numbers.split(","))
            yield from (ClassText(name, classes, is_general=True) for name in names.split(", "))


def _numbers(ranges: Sequence[str]) -> tuple[int, ...]:
    """1, 2, 3 and 7 out of `1-3` and `7`."""
    ends = [[int(end) for end in each.split("-")] for each in ranges]
    return tuple(number for each in ends for number in range(each[0], each[-1] + 1))
