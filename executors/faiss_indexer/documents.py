"""The indexer's documents: how a query is read and answered, and what a library's shards and their head say."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from clipseek.api.base_document import DocList
from clipseek.api.documents import Calibration, Match, Query
from clipseek.api.errors import InvalidRequest
from executors.faiss_indexer.ranking.merging import SearchAnswer
from executors.faiss_indexer.ranking.queries import SearchOptions


class ShardQuery(Query):
    """A query on its way between the head and the shards. Each step fills in some of the first fields below, or is told
    some of the others.
    """

    # said by a shard
    frame_sum: bytes = b""  # float64 [D], over all frames
    frame_count: int = 0
    fitted_shift: float = 0.0
    values: list[float] = []  # of each match, its score in the unit of the curve
    outside: str = ""  # why there is none, though the query names videos of the shard
    # said by the head
    moment_start_seconds: list[float] = []  # of each part that is a moment, as its shard has found it; else 0
    moment_end_seconds: list[float] = []
    mean_frame: bytes = b""  # float32 [D], of the whole library
    shift: float = 0.0  # that was fitted to the whole library


def search_options(query: Query) -> SearchOptions:
    """What a query asks for. Raises: InvalidTopK, InvalidTimeRange, InvalidRequest."""
    names = [field.name for field in fields(SearchOptions) if field.name != "video_ids"]
    return SearchOptions(
        video_ids=tuple(dict.fromkeys(query.video_ids)), **{name: getattr(query, name) for name in names}
    )


def video_of_timeline(options: SearchOptions) -> str:
    """The one video that a timeline is of. Raises: InvalidRequest."""
    if len(options.video_ids) != 1:
        raise InvalidRequest(f"A timeline is that of one video, but {len(options.video_ids)} are named.")
    return options.video_ids[0]


def check_calibration(doc: Calibration) -> None:
    """Raises: InvalidRequest: there is nothing to calibrate by."""
    if not doc.reset and not 0 < doc.answered_share < 1:
        raise InvalidRequest(f"answered_share is {doc.answered_share:g}, but must be above 0 and below 1")
    if not doc.reset and not doc.phrases:
        raise InvalidRequest("There are no phrases to calibrate by. Send calibrations to the whole Flow.")


def fill_in(query: Query, answer: SearchAnswer[Any], matches: Iterable[Match]) -> None:
    """Put an answer into a query, and take out what the encoders left there."""
    query.embedding, query.curve_embedding, query.neutral_embedding = [], [], []
    for part in query.parts:
        part.embedding, part.curve_embedding = [], []
    query.matches = DocList[Match](matches)
    query.answered = True
    for name in ("nothing_matches", "cut_off", "withheld", "more", "videos_searched", "frames_searched"):
        setattr(query, name, getattr(answer, name))
