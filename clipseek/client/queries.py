"""A query as the wire has it, made of what a caller gives to `Client.search`."""

from collections.abc import Callable
from typing import Any

from clipseek.api.base_document import DocList
from clipseek.api.documents import Query, QueryPart
from clipseek.api.query_parts import check_query, image_part, list_frames, list_images, sendable
from clipseek.api.search_options import QueryOptions, SearchOptions, check_names, sent_fields


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
        text=sendable(text),
        parts=query_parts(values, video_id),
        top_k=top_k,
        offset=offset,
        video_ids=[video_id(name) for name in values.get("videos", ())],
        **sent_fields(values),
    )
    check_query(query)
    return query


def query_parts(options: dict[str, Any], video_id: Callable[[str], str]) -> DocList[QueryPart]:
    """The parts of a query, in the order of the options."""
    return DocList[QueryPart](
        [
            *(QueryPart(text=sendable(text)) for text in options.get("also", ())),
            *(QueryPart(text=sendable(text), weight=-1.0) for text in options.get("without", ())),
            *(image_part(image) for image in list_images(options.get("image"))),
            *(
                QueryPart(video_id=video_id(name), at_seconds=seconds)
                for name, seconds in list_frames(options.get("like"))
            ),
            *(
                part.model_copy(update={"video_id": video_id(part.video_id)}) if part.video_id else part
                for part in options.get("parts", ())
            ),
        ]
    )
