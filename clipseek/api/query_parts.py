"""The parts of a query as people write them: texts, image files, moments of videos, each with a weight if wished."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from clipseek.api.documents import Query, QueryPart
from clipseek.api.errors import EmptyQuery, FileMissing, InvalidRequest, UnreadableImage
from clipseek.api.limits import MAX_IMAGE_BYTES

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
    return QueryPart(image=data, title=sendable(name), weight=weight)


def sendable(text: str) -> str:
    """Text that can travel: names of files and arguments may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


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


def check_query(query: Query) -> None:
    """Check that a query says what to look for, in parts that can be understood.

    Raises:
        EmptyQuery: it says nothing, or only what to avoid.
        InvalidRequest: a part says two things or none, has no weight.
    """
    for number, part in enumerate(query.parts, 1):
        kinds = [bool(part.text), bool(part.image), bool(part.video_id)]
        if sum(kinds) > 1:
            raise InvalidRequest(f"Part {number} of the query is to be a text, an image or a moment, but is several.")
        if not (part.text.strip() or part.image or part.video_id or part.embedding):
            raise EmptyQuery(f"Part {number} of the query is empty. Give it a text, an image or a moment of a video.")
        if not math.isfinite(part.weight) or not part.weight:
            raise InvalidRequest(
                f"The weight of part {number} of the query is {part.weight:g}: above 0 looks for it, below 0 avoids it."
            )
    if query.text.strip() or any(part.weight > 0 for part in query.parts):
        return
    if query.parts:
        raise EmptyQuery(
            "The query only says what to avoid. Say also what should be seen, e.g. 'a street' without 'cars'."
        )
    raise EmptyQuery(
        "The query is empty. Say what should be seen, e.g. 'a red car', or give an image or a moment of a video."
    )


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
