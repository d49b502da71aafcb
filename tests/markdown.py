"""Markdown files as the tests of the documents read them: fenced blocks, headings with anchors, links, tables."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHINESE = ROOT / "docs" / "zh"
REFERENCE = ROOT / "docs" / "reference"
README, CHINESE_README = ROOT / "README.md", ROOT / "README.zh-CN.md"


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def translations() -> list[tuple[Path, Path]]:
    """Each document with a Chinese translation, and that translation."""
    return [(README, CHINESE_README), *((ROOT / "docs" / path.name, path) for path in sorted(CHINESE.glob("*.md")))]


def name_of(path: Path) -> str:
    """A document's path in the repository, for messages and test ids."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and lines."""

    path: Path
    line: int  # of the fence, from 1
    language: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{name_of(self.path)}:{self.line}"

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def without_comments(self) -> str:
        """Its text without comments, which a translation may translate."""
        return "\n".join(re.sub(r"\s*(^|\s)#\s.*$", "", line) for line in self.lines)


@dataclass(frozen=True)
class Document:
    """A Markdown file, with fenced blocks and prose apart."""

    path: Path
    prose: tuple[str, ...]
    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, path: Path) -> "Document":
        prose: list[str] = []
        blocks: list[Block] = []
        inside: tuple[int, str, list[str]] | None = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith("```"):
                if inside is None:
                    inside = number, line.strip().removeprefix("```"), []
                else:
                    blocks.append(Block(path, inside[0], inside[1], tuple(inside[2])))
                    inside = None
            elif inside:
                inside[2].append(line)
            else:
                prose.append(line)
        assert inside is None, f"{name_of(path)}:{inside[0]}: a fenced block without an end"
        return cls(path, tuple(prose), tuple(blocks))

    @property
    def headings(self) -> list[tuple[int, str]]:
        """(level, text) of each heading."""
        found = [re.match(r"(#+) (.+)", line) for line in self.prose]
        return [(len(heading[1]), heading[2]) for heading in found if heading]

    @property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        seen: dict[str, int] = {}
        made = set()
        for _, text in self.headings:
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).lower()
            anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            count = seen[anchor] = seen.get(anchor, -1) + 1
            made.add(f"{anchor}-{count}" if count else anchor)
        return made

    @property
    def links(self) -> list[str]:
        """The targets of links and images outside code."""
        text = re.sub(r"`[^`]*`", "`", "\n".join(self.prose))
        return re.findall(r"\]\(\s*([^)\s]+)\s*\)", text)

    @property
    def tables(self) -> list[list[str]]:
        """The cells of every row of its tables."""
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in self.prose if line.startswith("|")]
