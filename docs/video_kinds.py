"""The table of docs/videos.md: `python -m docs.video_kinds` runs the tests that show it, and writes what they found.

A test belongs to a kind of videos if it has the mark `shows(KIND, RIGHT)`. Its parameters tell what was tried.
"""

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clipseek.watch.video_formats import VIDEO_SUFFIXES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "videos.md"
CHINESE = ROOT / "docs" / "zh" / "videos.md"
_TABLE = re.compile(r"(<!-- kinds -->\n)(.*?)(<!-- end of kinds -->)", re.DOTALL)
_LENIENT = "-W", "ignore::UserWarning", "-W", "ignore::DeprecationWarning"  # of libraries, when they are imported
_CODECS = {
    **{"h264": "H.264", "libx264": "H.264", "hevc": "HEVC", "libx265": "HEVC", "vp8": "VP8", "vp9": "VP9"},
    **{"av1": "AV1", "mpeg4": "MPEG-4", "msmpeg4": "MS MPEG-4", "mpeg2": "MPEG-2", "mpeg2video": "MPEG-2"},
    **{"mpeg1": "MPEG-1", "mjpeg": "MJPEG", "ffv1": "FFV1", "prores": "ProRes", "wmv2": "WMV", "flv1": "FLV1"},
}


@dataclass
class Kind:
    """A kind of videos: what is right, what was tried, and how many tests showed it or failed to."""

    right: str
    containers: set[str] = field(default_factory=set)
    codecs: set[str] = field(default_factory=set)
    results: Counter[str] = field(default_factory=Counter)

    def cells(self) -> tuple[str, str, str]:
        """What was tried in, what is right, and what was found."""
        tried = ", ".join([*sorted(self.containers), *sorted(self.codecs)]) or "-"
        count, wrong = sum(self.results.values()), self.results["failed"]
        return tried, self.right, f"{count - wrong} of {count} right"


class Collector:
    """A plugin of pytest that adds up the tests with a mark."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self._kind_of: dict[str, Kind] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        marked = [item for item in items if item.get_closest_marker("shows")]
        for item in marked:
            name, right = item.get_closest_marker("shows").args
            kind = self._kind_of[item.nodeid] = self.kinds.setdefault(name, Kind(right))
            for value in (getattr(item, "callspec", None) and item.callspec.params.values()) or ():
                _add_tried(kind, value)
        items[:] = marked

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.failed:
            self._kind_of[report.nodeid].results[report.outcome] += 1


def _add_tried(kind: Kind, value: object) -> None:
    value = getattr(value, "name", value)  # of a variant
    for word in re.split(r"[^a-z0-9]+", value.lower()) if isinstance(value, str) else ():
        if word in _CODECS:
            kind.codecs.add(_CODECS[word])
        elif f".{word}" in VIDEO_SUFFIXES:
            kind.containers.add(word)


def list_marks() -> list[tuple[str, Path]]:
    """The kinds that tests are marked with, each with the file of the test."""
    files = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    return [(kind, path) for path in files for kind in re.findall(r'mark\.shows\(\s*"([^"]+)"', path.read_text())]


def write_tables(kinds: dict[str, Kind]) -> None:
    """Remake the table of the page. Its translation keeps its words, row by row."""
    rows = [[name, *kind.cells()] for name, kind in kinds.items()]
    _write_rows(PAGE, ["kind", "tried in", "right is", "found"], rows)
    table = _TABLE.search(CHINESE.read_text(encoding="utf-8"))
    assert table
    heads, _, *old = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2].splitlines()]
    old += [["?", "", "?", ""]] * (len(rows) - len(old))  # to be translated
    translated = [
        [name, tried, right, f"{found.split()[0]} / {found.split()[2]}"]
        for (name, _, right, _), (_, tried, _, found) in zip(old, rows, strict=False)
    ]
    _write_rows(CHINESE, heads, translated)


def _write_rows(page: Path, heads: list[str], rows: list[list[str]]) -> None:
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
    text = page.read_text(encoding="utf-8")
    page.write_text(_TABLE.sub(lambda table: table[1] + "\n".join(lines) + "\n" + table[3], text), encoding="utf-8")


def main() -> int:
    collector = Collector()
    files = sorted({str(path) for _, path in list_marks()})
    code = pytest.main(["-q", "-p", "no:cacheprovider", *_LENIENT, *files], plugins=[collector])
    write_tables(collector.kinds)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
