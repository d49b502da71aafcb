"""Reads the text in a picture: PP-OCR's small models by RapidOCR, for Chinese and English."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput

# The picture's longer side where text is searched: letters of 10 pixels are found in a still of 1280, in half the time
# that all its pixels take. Each line is then read in full.
_SEARCHED_SIDE = 960
_LEAST_SCORE = 0.7  # drawn text has .9 and more; what is no text stays below: docs/words.md
_LEAST_HEIGHT = 8.0  # pixels: what is smaller is misread with confidence
MOST_LINES = 60
_GOOD = re.compile(r"\w")
_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_BULLETS = "•·∙●○■□▪▫◦‣➢➤► "
# Two lines are one text where the second begins closely below the first, as large, and at the same edge or middle.
_GAP, _TALLER, _ASIDE = 0.6, 1.35, 1.0  # in heights of a line


@dataclass(frozen=True)
class WrittenLine:
    """Text in the box `[left, right)`, `[top, bottom)` of a picture."""

    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True)
class Page:
    """The texts of a picture in reading order, with their scores; `is_full`: there were more lines than are kept."""

    texts: list[tuple[str, float]]
    is_full: bool


class TextReader:
    """The loaded models.

    Args:
        threads: that compute.
    """

    def __init__(self, threads: int) -> None:
        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Det.limit_side_len": _SEARCHED_SIDE,
                "Det.limit_type": "max",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, jpeg: bytes) -> Page:
        """The texts of a picture. Raises: ValueError: it is no JPEG."""
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError("a still is no JPEG")
        answer = self._engine(picture)
        if not isinstance(answer, RapidOCROutput) or answer.boxes is None or not answer.txts or not answer.scores:
            return Page([], False)
        found = zip(answer.boxes, answer.txts, answer.scores, strict=True)
        lines = [line for box, text, score in found if _is_text(line := _make_line(box, text, score))]
        largest = sorted(lines, key=lambda line: -line.height)[:MOST_LINES]
        return Page([_join(block) for block in find_blocks(largest)], len(lines) > MOST_LINES)


def find_blocks(lines: Sequence[WrittenLine]) -> list[list[WrittenLine]]:
    """The lines of each text, in reading order: rows from the top, each from the left."""
    blocks: list[list[WrittenLine]] = []
    for line in sorted(lines, key=lambda line: (line.top, line.left)):
        above = next((block for block in reversed(blocks) if _continues(block[-1], line)), None)
        if above is None:
            blocks.append([line])
        else:
            above.append(line)
    return [block for row in _find_rows(blocks) for block in sorted(row, key=lambda block: block[0].left)]


def _find_rows(blocks: Sequence[list[WrittenLine]]) -> Iterator[list[list[WrittenLine]]]:
    row: list[list[WrittenLine]] = []
    for block in blocks:
        if row and block[0].top > row[-1][0].top + row[-1][0].height / 2:
            yield row
            row = []
        row.append(block)
    if row:
        yield row


def _continues(line: WrittenLine, below: WrittenLine) -> bool:
    height = min(line.height, below.height)
    taller = max(line.height, below.height) / max(height, 1.0)
    gap = below.top - line.bottom
    middle = abs((line.left + line.right) - (below.left + below.right)) / 2
    aside = min(abs(line.left - below.left), middle)
    return -height / 2 < gap < _GAP * height and taller < _TALLER and aside < _ASIDE * height


def _make_line(box: object, text: str, score: float) -> WrittenLine:
    corners = np.asarray(box, np.float64)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return WrittenLine(" ".join(text.split()).lstrip(_BULLETS), float(score), left, top, right, bottom)


def _is_text(line: WrittenLine) -> bool:
    letters = _GOOD.findall(line.text)
    enough = len(letters) > 1 and len(letters) * 2 >= len(line.text.replace(" ", ""))
    return line.score >= _LEAST_SCORE and line.height >= _LEAST_HEIGHT and enough


def _join(block: Sequence[WrittenLine]) -> tuple[str, float]:
    """The lines of a block as one text. Chinese is written without spaces between lines."""
    text = block[0].text
    for before, line in pairwise(block):
        glued = _CHINESE.match(before.text[-1]) and _CHINESE.match(line.text[0])
        text += line.text if glued else f" {line.text}"
    return text, sum(line.score for line in block) / len(block)
