"""The limits that an operator sets, and the one way to check them."""

import math
from dataclasses import dataclass
from functools import partial

from clipseek.api.errors import LimitExceeded
from clipseek.api.limits import MAX_TOP_K
from clipseek.config import parsing
from clipseek.config.declaration import rows_of, setting

_limit = partial(setting, parse=parsing.limit)


@dataclass(frozen=True)
class Limits:
    """What one request may use. Each is a number above 0; `inf` means no limit."""

    max_video_gb: float = _limit(
        "CLIPSEEK_MAX_VIDEO_GB",
        64.0,
        "size of a video's file",
        checked="when an upload is announced; before a server's video is read",
        was="CLIPSEEK_MAX_FILM_GB",
    )
    max_store_gb: float = _limit(
        "CLIPSEEK_MAX_STORE_GB",
        math.inf,
        "total size of the uploaded videos of all libraries",
        details="What has arrived of unfinished uploads counts.",
        checked="when an upload is announced, and at each chunk",
    )
    max_video_hours: float = _limit(
        "CLIPSEEK_MAX_VIDEO_HOURS",
        48.0,  # a camera's file of a whole day is often some seconds longer
        "length of a video",
        checked="when it is probed, and when it is registered",
        was="CLIPSEEK_MAX_FILM_HOURS",
    )
    max_frame_megapixels: float = _limit(
        "CLIPSEEK_MAX_FRAME_MEGAPIXELS", 40.0, "pixels of a video's picture (8K has 33)", checked="when it is probed"
    )
    max_video_frames: float = _limit(
        "CLIPSEEK_MAX_VIDEO_FRAMES",
        1_000_000.0,
        "frames stored for one video",
        details="That is its length times the rate.",
        checked="when it is registered",
    )
    max_span_frames: float = _limit(
        "CLIPSEEK_MAX_SPAN_FRAMES",
        4000.0,
        "frames of one span of 30 s",
        checked="while it is decoded, and before it is stored",
    )
    max_query_characters: float = _limit(
        "CLIPSEEK_MAX_QUERY_CHARACTERS", 10_000.0, "length of a text to search for", checked="before it is embedded"
    )
    max_query_parts: float = _limit(
        "CLIPSEEK_MAX_QUERY_PARTS", 32.0, "texts, images and moments of one query", checked="before they are embedded"
    )
    max_query_images: float = _limit(
        "CLIPSEEK_MAX_QUERY_IMAGES", 8.0, "images of one query", checked="before they are decoded"
    )
    max_top_k: float = _limit(
        "CLIPSEEK_MAX_TOP_K",
        float(MAX_TOP_K),
        "matches of one answer",
        details=f"{MAX_TOP_K} is the most you can set.",
        checked="before the search",
    )
    max_clip_seconds: float = _limit(
        "CLIPSEEK_MAX_CLIP_SECONDS", 1800.0, "length of a clip", checked="before it is cut"
    )
    max_reel_seconds: float = _limit(
        "CLIPSEEK_MAX_REEL_SECONDS", 3600.0, "total length of clips to join", checked="before the first is cut"
    )
    max_reel_clips: float = _limit(
        "CLIPSEEK_MAX_REEL_CLIPS", 200.0, "number of clips to join", checked="before the first is cut"
    )
    max_request_mb: float = _limit(
        "CLIPSEEK_MAX_REQUEST_MB", 300.0, "size of one request", checked="by the gateway, before it is read"
    )
    max_worker_gb: float = _limit(
        "CLIPSEEK_MAX_WORKER_GB", 4.0, "memory of a process that decodes videos", checked="by the system"
    )
    decode_timeout_seconds: float = _limit(
        "CLIPSEEK_DECODE_TIMEOUT",
        60.0,
        "seconds to decode one picture; a span or clip gets 10 times its length more, each file 1 s for 50 MB",
        checked="while it runs",
    )


def check_limit(limits: Limits, name: str, value: float, what: str) -> None:
    """Compare a value with the limit `limits.<name>`, both in the limit's unit.

    `what` has this value, as the beginning of a sentence: "The video's length, 30.5 hours,".
    Raises: LimitExceeded: the value is above the limit, or not a number.
    """
    hold_against(name, getattr(limits, name), value, what)


def hold_against(name: str, limit: float, value: float, what: str) -> None:
    """`check_limit` for callers that know one limit and not all settings."""
    if not value <= limit:
        row = rows_of(Limits)[name]
        raise LimitExceeded(f"{what} is above the server's limit: {row.variable} is {limit:g} ({row.meaning}).")
