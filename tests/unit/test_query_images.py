"""Image files to search with: what comes out of each kind, and what is refused."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.torture.video_fuzz import mutate
from clipseek.api.errors import UnreadableImage
from executors.query_images import image_file
from executors.query_images.image_file import read_image

RED, BLUE, WHITE = [255, 0, 0], [0, 0, 255], [255, 255, 255]


def saved(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def halves() -> np.ndarray:
    """uint8 [20, 40, 3], red on the left and blue on the right."""
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :20], picture[:, 20:] = RED, BLUE
    return picture


@pytest.mark.parametrize("form", image_file.FORMATS)
def test_every_format_is_read(form):
    picture = read_image(saved(Image.fromarray(halves()), form))
    assert (picture.dtype, picture.shape) == (np.uint8, (1, 20, 40, 3))
    # JPEG and WebP lose a little, and colour at half the resolution bleeds over the border
    assert np.abs(picture[0, :, 4:16].astype(int) - RED).max() <= 8
    assert np.abs(picture[0, :, 24:36].astype(int) - BLUE).max() <= 8


def test_a_photograph_is_turned_as_its_camera_was_held():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter to be seen upright
    picture = read_image(saved(Image.fromarray(halves()), "PNG", exif=exif))
    assert picture.shape == (1, 40, 20, 3)
    assert (picture[0, 0, 0].tolist(), picture[0, -1, -1].tolist()) == (RED, BLUE)


def test_transparent_parts_are_white():
    rgba = np.dstack([halves(), np.full((20, 40), 255, np.uint8)])
    rgba[:, :10, 3] = 0
    rgba[:, 30:, 3] = 128
    picture = read_image(saved(Image.fromarray(rgba), "PNG"))[0]
    assert (picture[0, 0].tolist(), picture[0, 15].tolist()) == (WHITE, RED)
    assert np.abs(picture[0, 35].astype(int) - [127, 127, 255]).max() <= 1
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert read_image(saved(palette, "GIF", transparency=1))[0, 0, 0].tolist() == WHITE
    assert read_image(saved(palette, "GIF"))[0, 0, 0].tolist() == RED
    grey = Image.merge("LA", (Image.new("L", (4, 4), 90), Image.new("L", (4, 4), 0)))
    assert read_image(saved(grey, "PNG"))[0, 0, 0].tolist() == WHITE


@pytest.mark.parametrize(
    ("image", "form"),
    [
        (Image.new("L", (4, 4), 128), "PNG"),
        (Image.fromarray(np.full((4, 4), 128 << 8, np.uint16)), "PNG"),
        (Image.fromarray(np.full((4, 4), 128 << 8, np.uint16)), "TIFF"),
        (Image.new("CMYK", (4, 4), (127, 127, 127, 0)), "JPEG"),
        (Image.new("CMYK", (4, 4), (127, 127, 127, 0)), "TIFF"),
        (Image.new("1", (4, 4), 1), "PNG"),
    ],
    ids=["grey", "grey 16 bit", "grey 16 bit TIFF", "CMYK JPEG", "CMYK TIFF", "black and white"],
)
def test_other_kinds_of_pixels_become_rgb(image, form):
    pixel = read_image(saved(image, form))[0, 1, 1].astype(int)
    assert np.abs(pixel - (255 if image.mode == "1" else 128)).max() <= 2


def test_the_first_picture_of_several_counts():
    frames = [Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")]
    assert read_image(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))[
        0, 0, 0
    ].tolist() == [255, 0, 0]


def cut_short(form: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = saved(Image.fromarray(noise), form)
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is not a readable image. Use one of JPEG, PNG"),
        (b"this is a text, not an image", "is not a readable image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a readable image"),
        (cut_short("JPEG"), "is damaged"),
        (cut_short("PNG"), "is damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is not a readable image|is damaged"),
    ],
    ids=["empty", "text", "EPS", "half a JPEG", "half a PNG", "a PNG's beginning"],
)
def test_what_cannot_be_read_is_named(data, told):
    with pytest.raises(UnreadableImage, match=f"'cat.jpg' ({told})"):
        read_image(data, "cat.jpg")


@pytest.mark.parametrize("size", [(10_000, 5_001), (20_000, 10_000)])
def test_what_is_too_large_is_refused_before_it_is_decoded(size, monkeypatch):
    huge = saved(Image.new("1", size), "PNG")
    assert len(huge) < 100_000
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(UnreadableImage, match=r"'bomb\.png' has more than 50 megapixels"):
        read_image(huge, "bomb.png")


@pytest.mark.filterwarnings("ignore")  # Pillow warns of much that is wrong with them
def test_damaged_images_are_read_or_refused(capfd):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    whole = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        picture.save(file := io.BytesIO(), kind)
        whole.append(file.getvalue())
    read = 0
    for number in range(600):
        try:
            read_image(mutate(whole, random.Random(number)))
            read += 1
        except UnreadableImage:
            continue
    assert 50 < read < 550


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "CMYK"])
def test_a_large_image_is_reduced_and_looks_the_same(monkeypatch, mode):
    """White on the left and black on the right, upside down as its camera was held."""
    monkeypatch.setattr(image_file, "KEPT_PIXELS", 2000)
    picture = Image.new("RGB", (320, 160), "black")
    picture.paste((255, 255, 255), (0, 0, 160, 160))
    if mode in ("I;16", "I"):
        grey = np.asarray(picture.convert("L")).astype(np.int32) * 257
        picture = Image.fromarray(grey.astype(np.uint16) if mode == "I;16" else grey)
    else:
        picture = picture.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 3
    form = {"CMYK": "JPEG", "I": "TIFF", "RGB": "JPEG"}.get(mode, "PNG")
    read = read_image(saved(picture, form, exif=exif))
    assert 200 < read[0].size / 3 <= 2000
    middle = read.shape[1] // 2
    assert read[0, middle, 5].max() <= 10 and read[0, middle, -5].min() >= 245


def test_a_jpeg_of_countless_scans_is_refused_before_it_is_decoded():
    file = saved(Image.fromarray(halves()), "JPEG", progressive=True)
    assert read_image(file).shape == (1, 20, 40, 3)
    scan = file[file.index(b"\xff\xda") : file.index(b"\xff\xda", file.index(b"\xff\xda") + 2)]
    with pytest.raises(UnreadableImage, match="scans"):
        read_image(file.replace(scan, scan * 200, 1))


def test_a_tiff_whose_tiles_are_huge_is_refused():
    """A tile is decoded whole, however little of it the image shows."""
    tags = [
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 8),
        (262, 1),
        (277, 1),
        (322, 20_000),
        (323, 20_000),
        (324, 200),
        (325, 9),
    ]
    entries = b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in tags)
    file = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    with pytest.raises(UnreadableImage, match="megapixels"):
        read_image(file.ljust(200, b"\0") + zlib.compress(bytes(9)))


def test_the_largest_picture_passes(monkeypatch):
    monkeypatch.setattr(image_file, "MAX_PIXELS", 800)
    assert read_image(saved(Image.new("L", (40, 20)), "PNG")).shape == (1, 20, 40, 3)
    with pytest.raises(UnreadableImage, match="megapixels"):
        read_image(saved(Image.new("L", (41, 20)), "PNG"))


def test_values_beyond_16_bit_are_white_or_black():
    values = np.array([[-5, 0, 32768, 65535, 70_000, 2**31 - 1]], np.int32)
    picture = read_image(saved(Image.fromarray(values), "TIFF"))
    assert picture[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 255]
