"""A query as the wire has it, made of what people write: texts, images and frames, each with a weight if wished."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipseek.api.documents import Query, QueryPart
from clipseek.api.errors import FileMissing, InvalidRequest, UnreadableImage
from clipseek.api.formats import excerpt, parse_time, sendable
from clipseek.api.limits import MAX_IMAGE_BYTES
from clipseek.api.search_options import (
    QUERY_FIELDS,
    Frame,
    Image,
    QueryOptions,
    SearchOptions,
    check_names,
    check_query,
    list_reasons,
)
from clipseek.wire.document_messages import check_types
from clipseek.wire.values import fit_value


def build_query(
    text: str,
    options: SearchOptions | QueryOptions,
    video_id: Callable[[str], str],
    *,
    kind: type[QueryOptions] = SearchOptions,
    top_k: int,
    offset: int = 0,
) -> Query:
    """A query of a text and the options of a search, checked.

    `video_id` finds the id of a video by its name; the options are of `kind`.

    Raises:
        TypeError: there is no such option.
        EmptyQuery, InvalidRequest, InvalidTopK, InvalidTimeRange: see `check_query`.
        FileMissing, UnreadableImage: of an image. VideoNotFound, AmbiguousVideo: of a name.
    """
    check_names(options, kind)
    values: dict[str, Any] = dict(options)
    query = Query(
        text=sendable(check_text("text", text)),
        parts=query_parts(values, video_id),
        top_k=top_k,
        offset=offset,
        video_ids=[video_id(name) for name in list_texts(values, "videos")],
        look_in=list_reasons(list_texts(values, "look_in")),
        **{name: values[name] for name in QUERY_FIELDS if name in values},
    )
    check_types(query)
    check_query(query)
    return query


def query_parts(options: dict[str, Any], video_id: Callable[[str], str]) -> list[QueryPart]:
    """The parts of a query, in the order of the options."""
    return [
        *(QueryPart(text=sendable(text)) for text in list_texts(options, "also")),
        *(QueryPart(text=sendable(text), weight=-1.0) for text in list_texts(options, "without")),
        *(image_part(image) for image in list_images(options.get("image"))),
        *(QueryPart(video_id=video_id(name), at_seconds=seconds) for name, seconds in list_frames(options.get("like"))),
        *(
            replace(part, video_id=video_id(part.video_id)) if part.video_id else part
            for part in fit_value("parts", options.get("parts", ()), list[QueryPart])
        ),
    ]


def check_text(name: str, value: object) -> str:
    """A value that must be a text. Raises: InvalidRequest: it is none."""
    text: str = fit_value(name, value, str)
    return text


def list_texts(options: dict[str, Any], name: str) -> list[str]:
    """The texts of an option: several, none, or one by itself. Raises: InvalidRequest: it holds something else."""
    value = options.get(name, ())
    texts: list[str] = fit_value(name, [value] if isinstance(value, str) else value, list[str])
    return texts


def list_images(value: Image | Sequence[Image] | None) -> list[Image]:
    """One image, several or none, as a list. Raises: InvalidRequest: it is none of these."""
    if value is None:
        return []
    images: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    for image in images:
        if not isinstance(image, str | Path | bytes):
            raise InvalidRequest(f"image must be the path of a file, or its bytes, not {excerpt(repr(image))}.")
    return images


def list_frames(value: Frame | Sequence[Frame] | None) -> list[tuple[str, float]]:
    """One frame, several or none, as a list of (video, seconds); a pair of a text and a number is one frame.

    Raises:
        InvalidRequest: a text is not `VIDEO@TIME`.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [_parse_frame(value)]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int | float):
        return [(check_text("like", value[0]), float(value[1]))]
    if not isinstance(value, list | tuple):
        raise InvalidRequest(f"like must be VIDEO@TIME, or a video and seconds, not {excerpt(repr(value))}.")
    return [frame for item in value for frame in list_frames(item)]


def image_part(image: Image, weight: float = 1.0) -> QueryPart:
    """A part of a query that looks for an image.

    Raises:
        FileMissing, UnreadableImage: the file does not exist, is empty or is too large.
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


def split_weight(text: str) -> tuple[str, float]:
    """Split `TEXT^WEIGHT`; the weight is 1 if none is given."""
    match = re.fullmatch(r"(.*)\^([+-]?[0-9]+(?:\.[0-9]+)?)", text, re.DOTALL)
    return (match[1].rstrip(), float(match[2])) if match else (text, 1.0)


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
