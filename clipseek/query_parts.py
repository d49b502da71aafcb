"""The parts of a query as people write them: texts, image files, moments of videos, each with a weight if wished."""

import re
from collections.abc import Sequence
from pathlib import Path

from clipseek.errors import FileMissing, InvalidRequest, UnreadableImage
from clipseek.schema import QueryPart
from clipseek.settings import MAX_IMAGE_BYTES

Image = str | Path | bytes
"""An image file, or its content."""

Moment = str | tuple[str, float]
"""What is seen at a time of a video: `VIDEO@TIME`, or the video (as `Client.video` takes it) and the seconds."""


def images_of(value: Image | Sequence[Image] | None) -> list[Image]:
    """One image, several or none, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str | Path | bytes) else list(value)


def moments_of(value: Moment | Sequence[Moment] | None) -> list[tuple[str, float]]:
    """One moment, several or none, as a list of (video, seconds); a pair of a text and a number is one moment.

    Raises:
        InvalidRequest: a text is not `VIDEO@TIME`.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [_moment(value)]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int | float):
        return [(value[0], float(value[1]))]
    return [made for each in value for made in moments_of(each)]


def image_part(image: Image, weight: float = 1.0) -> QueryPart:
    """An image to search with.

    Raises:
        FileMissing, UnreadableImage: there is no such file, or it is empty or too large.
    """
    if isinstance(image, bytes):
        name, data = "the image", image
    else:
        name = str(image)
        try:
            with Path(image).open("rb") as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
        except OSError as error:
            raise FileMissing(f"There is no image '{image}' that can be read ({error.strerror}).") from error
    if not data:
        raise UnreadableImage(f"'{name}' is empty (0 bytes): there is no image in it.")
    if len(data) > MAX_IMAGE_BYTES:
        raise UnreadableImage(
            f"'{name}' is larger than {MAX_IMAGE_BYTES >> 20} MiB, the most an image to search with may be. "
            "Save it smaller: the model looks at a few hundred pixels."
        )
    title = name.encode("utf-8", "replace").decode("utf-8")
    return QueryPart(image=data, title=title, weight=weight)


def weighted(text: str) -> tuple[str, float]:
    """Split `TEXT^WEIGHT`; without a weight it is 1."""
    found = re.fullmatch(r"(.*)\^([+-]?[0-9]+(?:\.[0-9]+)?)", text, re.DOTALL)
    return (found[1].rstrip(), float(found[2])) if found else (text, 1.0)


def seconds_of(text: str) -> float:
    """Seconds, or a time as the tables print it: 75.2, 01:15.2, 1:00:03.

    Raises:
        ValueError: it is neither.
    """
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _moment(text: str) -> tuple[str, float]:
    video, at, time = text.rpartition("@")
    try:
        return _named(video, at), seconds_of(time)
    except ValueError:
        raise InvalidRequest(
            f"'{text}' is not a moment of a video. Write VIDEO@TIME, e.g. holiday.mp4@75.2 or holiday.mp4@01:15.2"
        ) from None


def _named(video: str, at: str) -> str:
    if not video or not at:
        raise ValueError
    return video
