"""Image files to search with: from the bytes of a JPEG, PNG, ... to a picture as a viewer sees it."""

import io
import struct
from typing import cast

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from clipseek.api.errors import UnreadableImage
from clipseek.api.limits import MAX_IMAGE_BYTES
from executors.clip_encoder.run.preprocessing import Pictures

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # no others: some of Pillow's readers start programs
MAX_PIXELS = 50_000_000
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")  # one channel of 16 bit


def read_image(data: bytes, title: str = "the image") -> Pictures:
    """Decode an image file: upright as its EXIF data says, transparent parts on white, the first picture of several.

    Args:
        data: the content of the file.
        title: what messages call it.

    Returns: uint8 [1, H, W, 3], RGB.

    Raises:
        UnreadableImage: it is none, damaged, or too large.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise UnreadableImage(f"'{title}' has {len(data)} bytes, but {MAX_IMAGE_BYTES} are the most. Save it smaller.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            picture = np.asarray(_as_seen(image))
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"'{title}' is no image that can be read. Readable are {', '.join(FORMATS)}.") from error
    except Image.DecompressionBombError as error:  # Pillow raises it, too, for far larger ones
        raise UnreadableImage(
            f"'{title}' has more than {MAX_PIXELS // 1_000_000} megapixels. Save it smaller: the model looks at a few "
            f"hundred pixels a side."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UnreadableImage(f"'{title}' is damaged and cannot be read ({error}). Save it anew.") from error
    return cast(Pictures, picture[np.newaxis])


def _as_seen(image: Image.Image) -> Image.Image:
    """Decode, in RGB.

    Raises:
        DecompressionBombError: there are more pixels than may be; nothing was decoded.
    """
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    return _on_white(_eight_bit(ImageOps.exif_transpose(image)))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bit with its upper half kept; Pillow's own conversion would cut all above 255 off."""
    if image.mode not in _DEEP_MODES:
        return image
    return Image.fromarray((np.asarray(image).astype(np.int32).clip(0, 65535) >> 8).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
