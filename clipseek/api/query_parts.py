"""The parts of a query as people write them: texts, images and frames of videos, each with a weight if wished."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from clipseek.api.documents import Query, QueryPart
from clipseek.api.errors import EmptyQuery, FileMissing, InvalidRequest, UnreadableImage
from clipseek.api.formats import parse_time
from clipseek.api.limits import MAX_IMAGE_BYTES
from clipseek.api.search_options import Frame, Image, check_numbers


def list_images(value: Image | Sequence[Image] | None) -> list[Image]:
    """One image, several or none, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str | Path | bytes) else list(value)


def list_frames(value: Frame | Sequence[Frame] | None) -> list[tuple[str, float]]:
    """One frame, several or none, as a list of (video, seconds); a pair of a text and a number is one frame.

    Raises: InvalidRequest: a text is not `VIDEO@TIME`.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [_parse_frame(value)]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int | float):
        return [(value[0], float(value[1]))]
    return [frame for item in value for frame in list_frames(item)]


def image_part(image: Image, weight: float = 1.0) -> QueryPart:
    """A part of a query that looks for an image.

    Raises: FileMissing, UnreadableImage: the file does not exist, is empty or is too large.
    """
    if isinstance(image, bytes):
        name, data = "the image", image
    else:
        name = str(image)
        try:
            with Path(image).open("rb") as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
        except OSError as error:
            raise FileMissing(f"The image '{image}' cannot be read ({error.strerror}). Check the path.") from error
    if not data:
        raise UnreadableImage(f"'{name}' is empty (0 bytes). Choose another image.")
    if len(data) > MAX_IMAGE_BYTES:
        raise UnreadableImage(
            f"'{name}' is larger than {MAX_IMAGE_BYTES >> 20} MiB, the limit for an image to search with. "
            "Save it smaller: the model looks at a few hundred pixels."
        )
    return QueryPart(image=data, title=sendable(name), weight=weight)


def sendable(text: str) -> str:
    """The text in valid UTF-8, as messages need it: file names and arguments may hold other bytes, which become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def split_weight(text: str) -> tuple[str, float]:
    """Split `TEXT^WEIGHT`; the weight is 1 if none is given."""
    match = re.fullmatch(r"(.*)\^([+-]?[0-9]+(?:\.[0-9]+)?)", text, re.DOTALL)
    return (match[1].rstrip(), float(match[2])) if match else (text, 1.0)


def check_query(query: Query) -> None:
    """Check what a query asks: the client before it sends it, an executor when it arrives.

    Raises:
        EmptyQuery: nothing to look for, or only what to avoid.
        InvalidTopK, InvalidTimeRange, InvalidRequest: a number is out of range; a part is of two kinds at once or has
            no weight.
    """
    check_numbers(query)
    for number, part in enumerate(query.parts, 1):
        _check_part(number, part)
    if query.text.strip() or any(part.weight > 0 for part in query.parts):
        return
    if query.parts:
        raise EmptyQuery(
            "The query only says what to avoid. Say also what to look for, e.g. 'a street' without 'cars'."
        )
    raise EmptyQuery("The query is empty. Describe what to look for, e.g. 'a red car', or give an image or a frame.")


def _check_part(number: int, part: QueryPart) -> None:
    if sum(map(bool, (part.text, part.image, part.video_id))) > 1:
        raise InvalidRequest(
            f"Part {number} of the query is of several kinds. Make each part a text, an image or a frame."
        )
    if not (part.text.strip() or part.image or part.video_id or part.embedding):
        raise EmptyQuery(f"Part {number} of the query is empty. Give it a text, an image or a frame.")
    if not math.isfinite(part.weight) or not part.weight:
        raise InvalidRequest(
            f"The weight of part {number} of the query is {part.weight:g}. Use a number above 0 to look for the part, "
            "or below 0 to avoid it."
        )


def _parse_frame(text: str) -> tuple[str, float]:
    video, _, time = text.rpartition("@")
    try:
        seconds = parse_time(time)
    except ValueError:
        seconds = math.nan
    if not video or not math.isfinite(seconds):
        raise InvalidRequest(
            f"'{text}' is not a frame of a video. Write VIDEO@TIME, e.g. holiday.mp4@75.2 or holiday.mp4@01:15.2"
        )
    return video, seconds
