"""Image files to search with: from the bytes of a JPEG, PNG, ... to a picture as a viewer shows it."""

import io
import math
import struct
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from clipseek.api.errors import UnreadableImage
from clipseek.api.limits import MAX_IMAGE_BYTES

Pictures = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # no others: some of Pillow's readers start programs
MAX_PIXELS = 50_000_000
KEPT_PIXELS = 8_000_000  # of an image; models look at a few hundred pixels a side
MAX_SCANS = 100  # of a progressive JPEG, each of which decodes all of it once more; cameras write ten
_SCAN = b"\xff\xda"  # begins one
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L")  # one channel of 16 bits


def check_size(data: bytes, title: str) -> None:
    """Raises: UnreadableImage: the file has too many bytes."""
    if len(data) > MAX_IMAGE_BYTES:
        raise UnreadableImage(f"'{title}' has {len(data)} bytes; the limit is {MAX_IMAGE_BYTES}. Save it smaller.")


def read_image(data: bytes, title: str = "the image") -> Pictures:
    """Decode an image file: upright as its EXIF data says, transparency on white, the first picture of several.

    One with more than `KEPT_PIXELS` is reduced first, because each of the steps copies it: the memory is bounded by the
    decoder's, some 4 bytes for each of `MAX_PIXELS`.

    Returns: uint8 [1, H, W, 3], RGB. Raises: UnreadableImage: it is not an image, damaged, or too large.
    """
    try:
        if data.startswith(b"\xff\xd8") and data.count(_SCAN) > MAX_SCANS:
            raise UnreadableImage(
                f"'{title}' is a JPEG of more than {MAX_SCANS} scans, which take long to read. Save it again."
            )
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            picture = np.asarray(_decode(image))
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"'{title}' is not a readable image. Use one of {', '.join(FORMATS)}.") from error
    except Image.DecompressionBombError as error:  # Pillow raises it too, for far larger images
        raise UnreadableImage(
            f"'{title}' has more than {MAX_PIXELS // 1_000_000} megapixels. Save it smaller: the model sees only a few "
            f"hundred pixels a side."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UnreadableImage(f"'{title}' is damaged and cannot be read ({error}). Save it again.") from error
    return cast(Pictures, picture[np.newaxis])


def _decode(image: Image.Image) -> Image.Image:
    _check_work(image)  # nothing is decoded yet
    camera = image.getexif()
    small = _reduce_size(_reduce_to_eight_bits(image))
    small.getexif().update(camera)
    return _put_on_white(ImageOps.exif_transpose(small))


def _check_work(image: Image.Image) -> None:
    """Raises: DecompressionBombError: the size that the image, or a tile of it, announces is too large."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose tiles may be larger than the image
    tile_pixels = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0)
    if max(image.width * image.height, tile_pixels) > MAX_PIXELS:
        raise Image.DecompressionBombError


def _reduce_size(image: Image.Image) -> Image.Image:
    factor = math.ceil(math.sqrt(image.width * image.height / KEPT_PIXELS))
    if factor == 1:
        return image
    image.draft(None, (image.width // factor, image.height // factor))  # a JPEG is decoded smaller from the start
    if image.mode in ("P", "PA", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    factor = math.ceil(math.sqrt(image.width * image.height / KEPT_PIXELS))
    return image.reduce(factor)


def _reduce_to_eight_bits(image: Image.Image) -> Image.Image:
    """Keep the upper half of 16-bit grey; Pillow's own conversion would clip everything above 255."""
    if image.mode not in _SIXTEEN_BIT_MODES:
        return image
    values = np.array(image)
    np.clip(values, 0, 65535, out=values)  # in place, because a copy may take 200 MB
    values >>= 8
    return Image.fromarray(values.astype(np.uint8))


def _put_on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    transparent = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", transparent.size, "white"), transparent).convert("RGB")
