"""Drawn text is read in both languages; photographs without text give none."""

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from executors.word_reader.screen.text_reader import MOST_LINES, WrittenLine, find_blocks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PHOTOGRAPHS = sorted((Path(__file__).parents[2] / "photographs").glob("*.jpg"))
CHINESE_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc", "wqy-zenhei.ttc")


def jpeg_of(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def draw(lines: list[tuple[str, int, int]], font: str = "DejaVuSans.ttf", size: tuple[int, int] = (1280, 720)) -> bytes:
    """White text on blue: of each line its text, its top and its height."""
    image = Image.new("RGB", size, (40, 60, 90))
    for text, top, height in lines:
        ImageDraw.Draw(image).text((100, top), text, font=ImageFont.truetype(font, height))
    return jpeg_of(image)


def find_chinese_font() -> str:
    for font in CHINESE_FONTS:
        try:
            ImageFont.truetype(font, 20)
        except OSError:
            continue
        return font
    pytest.skip("needs a Chinese font")


@pytest.mark.parametrize("height", [14, 24, 48])
def test_english_is_read(text_reader, height):
    [(text, score)] = text_reader.read(draw([("Quarterly revenue grew by 14 percent", 200, height)])).texts
    assert (text, score > 0.9) == ("Quarterly revenue grew by 14 percent", True)


@pytest.mark.parametrize("height", [16, 40])
def test_chinese_is_read(text_reader, height):
    page = text_reader.read(draw([("光合作用把阳光变成糖", 200, height)], find_chinese_font()))
    assert [text for text, _ in page.texts] == ["光合作用把阳光变成糖"]


def test_photographs_and_plain_pictures_have_no_text(text_reader):
    noise = np.random.default_rng(3).integers(0, 255, (360, 640, 3), np.uint8)
    pictures = [np.full((360, 640, 3), 120, np.uint8), noise, *PHOTOGRAPHS]
    for picture in pictures:
        image = Image.open(picture).convert("RGB") if isinstance(picture, Path) else Image.fromarray(picture)
        assert text_reader.read(jpeg_of(image)).texts == [], picture


def test_text_too_small_to_be_read_is_left_out(text_reader):
    assert text_reader.read(draw([("five pixels are not enough to read this", 100, 5)])).texts == []


def test_single_signs_are_no_text(text_reader):
    assert text_reader.read(draw([("X", 100, 40), ("?!", 300, 40)])).texts == []


def test_of_a_picture_full_of_text_the_largest_lines_are_read(text_reader):
    lines = [(f"line number {n} of a very long list", 8 + n * 18, 14) for n in range(64)]
    page = text_reader.read(draw(lines, size=(1280, 1180)))
    assert page.is_full and 0 < len(page.texts) <= MOST_LINES


def test_damaged_pictures_are_an_error_to_note(text_reader):
    with pytest.raises(ValueError, match="no JPEG"):
        text_reader.read(b"no picture")


def line(text: str, left: float, top: float, height: float = 20, width: float = 200) -> WrittenLine:
    return WrittenLine(text, 0.9, left, top, left + width, top + height)


def test_lines_close_below_one_another_are_one_text():
    wrapped = [line("a sentence that", 100, 100), line("goes on here", 100, 124)]
    apart = [line("one point", 100, 100), line("the next point", 100, 160)]
    larger = [line("A title", 100, 100, 40), line("and its author", 100, 145)]
    assert [len(block) for block in find_blocks(wrapped)] == [2]
    assert [len(block) for block in find_blocks(apart)] == [1, 1]
    assert [len(block) for block in find_blocks(larger)] == [1, 1]


def test_texts_come_in_reading_order():
    mixed = [line("bottom", 100, 500), line("right", 600, 104), line("left", 100, 100)]
    assert [block[0].text for block in find_blocks(mixed)] == ["left", "right", "bottom"]
    assert all(a is not b for a, b in pairwise(find_blocks(mixed)))
