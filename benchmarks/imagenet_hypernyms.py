"""Writes the starter's `imagenet_hypernyms.tsv`: the general words above ImageNet's classes, from WordNet 3.0.

`python -m benchmarks.imagenet_hypernyms FOLDER`, where FOLDER holds WordNet's `data.noun` (Debian: package
wordnet-base, /usr/share/wordnet). Run it again when the rule below changes.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from timm.data import ImageNetInfo

TARGET = Path(__file__).parents[1] / "executors" / "clip_encoder" / "starter" / "imagenet_hypernyms.tsv"
MOST_CLASSES = 400  # nouns above more ("whole", "artifact") say nothing about a picture; "animal" is above 398
_HEADER = """\
# The nouns above the classes of ImageNet-1k, each with its words and the numbers of the classes below it.
# Made by benchmarks/imagenet_hypernyms.py from WordNet 3.0, whose notice follows.
#
"""


@dataclass(frozen=True)
class Noun:
    """A synset: its words, and the offsets of the synsets directly above it."""

    words: tuple[str, ...]
    above: tuple[str, ...]


def read_nouns(path: Path) -> tuple[str, dict[str, Noun]]:
    """Returns: the notice at the top of the file, and its nouns by offset."""
    notice, nouns = [], {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            notice.append(line.strip().partition(" ")[2])
            continue
        fields = line.partition("|")[0].split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        above = [pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")]
        nouns[fields[0]] = Noun(tuple(w.replace("_", " ") for w in fields[4 : 4 + 2 * words : 2]), tuple(above))
    return "\n".join(f"# {text}".rstrip() for text in notice), nouns


def find_classes_below(nouns: Mapping[str, Noun], classes: Iterable[str]) -> dict[str, list[int]]:
    """Returns: for every noun above a class, by its offset, the numbers of the classes below it."""
    below: dict[str, list[int]] = {}
    for number, offset in enumerate(classes):
        seen: set[str] = set()
        waiting = [offset]
        while waiting:
            for above in nouns[waiting.pop()].above:
                if above not in seen:
                    seen.add(above)
                    waiting.append(above)
                    below.setdefault(above, []).append(number)
    return below


def format_ranges(numbers: list[int]) -> str:
    """1, 2, 3 and 7 to `1-3,7`."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imagenet_hypernyms", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of WordNet 3.0's database files")
    notice, nouns = read_nouns(parser.parse_args().folder / "data.noun")
    info = ImageNetInfo()
    classes = [info.index_to_label_name(number)[1:] for number in range(info.num_classes())]
    below = find_classes_below(nouns, classes)
    lines = [
        f"{', '.join(nouns[offset].words)}\t{format_ranges(numbers)}"
        for offset, numbers in sorted(below.items())
        if len(numbers) <= MOST_CLASSES and offset not in classes
    ]
    TARGET.write_text("\n".join([_HEADER + notice, *lines]) + "\n", encoding="utf-8")
    print(f"Wrote {len(lines)} nouns to {TARGET}")


if __name__ == "__main__":
    main()
