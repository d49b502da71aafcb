"""Uploads a video in chunks, then indexes it in spans. Each chunk and each span may be repeated by itself."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from clipseek.api.documents import CHUNK_BYTES, Upload, Video, VideoSpan
from clipseek.api.errors import ClipSeekError, ServerFailed
from clipseek.api.formats import sendable
from clipseek.client.transport import Transport, run
from clipseek.client.upload_source import UploadSource, sha256

_UPLOADS_UNDER_WAY = 4
_SPANS_UNDER_WAY = 4  # one in each of three stages, and one on its way, so that no stage waits
_SPAN_TRIES = 3
# What a span has of its video.
_SHARED = (
    *("video_id", "frames_per_second", "sampling", "model"),
    *("picture_width", "picture_height", "picture_fit", "picture_fill"),
)


@dataclass(frozen=True)
class Progress:
    """How far the work has come: `done` of `total` in the unit of the stage."""

    stage: str  # "hash" and "upload" count bytes, "index" and "words" seconds of video, "search" queries; in a backup
    # "copy", bytes
    done: float
    total: float


@dataclass(frozen=True)
class Indexed:
    """The result of `Client.index`."""

    video: Video
    frames_added: int  # 0: the video was already in the store
    frames_encoded: int  # of these; the others stand still, and share an embedding
    elapsed_seconds: float
    notes: tuple[str, ...] = ()  # what was left out of the video, or is there besides


OnProgress = Callable[[Progress], None]
OnSpan = Callable[[float, int], None]  # gets the seconds of the video that are stored, and the frames encoded by now


class IndexOptions(TypedDict, total=False):
    """The options of `Client.index`."""

    title: str | None
    frames_per_second: float | None
    sampling: str | None
    stream: int
    on_server: bool
    content_sha256: str
    words: bool
    language: str
    progress: OnProgress


def silent(_: Progress) -> None:
    """Report no progress."""


def upload(
    transport: Transport, video: UploadSource, title: str | None, content_sha256: str, progress: OnProgress
) -> str:
    """Send the chunks of a video that the server lacks. Returns: the video's id, which is its hash."""
    size = video.size_bytes
    video_id = content_sha256 or sha256(video, lambda done: progress(Progress("hash", done, size)))
    offer = Upload(video_id=video_id, title=sendable(title or video.name), size_bytes=size)
    missing = run(transport.post_one("/upload", offer))
    if not missing.complete:
        run(_send_chunks(transport, video, offer, missing.missing_offsets, progress))
        if not run(transport.post_one("/upload", offer)).complete:
            raise ServerFailed(
                f"The upload of '{video.name}' is not complete on the server. Repeat it: only missing chunks are sent."
            )
    return video_id


async def _send_chunks(
    transport: Transport, video: UploadSource, offer: Upload, offsets: list[int], progress: OnProgress
) -> None:
    done = offer.size_bytes - sum(min(CHUNK_BYTES, offer.size_bytes - offset) for offset in offsets)

    async def send(offset: int) -> None:
        nonlocal done
        data = await asyncio.to_thread(video.read, offset)
        chunk = replace(offer, offset=offset, data=data)
        await transport.post_one("/upload", chunk)
        done += len(data)
        progress(Progress("upload", done, offer.size_bytes))

    await at_most(_UPLOADS_UNDER_WAY, (send(offset) for offset in offsets))


def probe(transport: Transport, ask: Video) -> Video:
    """Register a video whose file is on the server. Returns: what is known of it, with its missing spans."""
    video = run(transport.post_one("/probe", ask))
    if not video.status:
        raise ServerFailed(f"The server at {transport.address} did not register the video. Its log has the details.")
    return video


def index_missing(transport: Transport, video: Video, on_span: OnSpan) -> None:
    """Send the missing spans of a probed video through the Flow."""
    run(_index_spans(transport, video, on_span))


def check_complete(transport: Transport, video_id: str) -> Video:
    """The video as it is stored. Raises: ServerFailed: spans are missing."""
    stored = run(transport.post_one("/videos", Video(video_id=video_id)))
    if stored.status != "ready":
        raise ServerFailed(
            f"'{stored.title}' is not complete: {len(stored.missing_start_seconds)} of its spans are missing. "
            f"Index it again: only the missing spans are done."
        )
    return stored


async def _index_spans(transport: Transport, video: Video, on_span: OnSpan) -> None:
    spans = list(zip(video.missing_start_seconds, video.missing_end_seconds, strict=True))
    done = video.duration_seconds - sum(end - start for start, end in spans)
    encoded = 0
    on_span(done, encoded)

    async def index_one(start: float, end: float) -> None:
        nonlocal done, encoded
        span_encoded = await _index_span(transport, video, start, end)
        encoded += span_encoded
        done += end - start
        on_span(done, encoded)

    await at_most(_SPANS_UNDER_WAY, (index_one(start, end) for start, end in spans))


async def _index_span(transport: Transport, video: Video, start: float, end: float) -> int:
    """How many frames of a span the Flow has encoded. A failure is tried again, a refusal is not."""
    span = VideoSpan(start_seconds=start, end_seconds=end, **{name: getattr(video, name) for name in _SHARED})
    for left in reversed(range(_SPAN_TRIES)):
        try:
            answer = await transport.post_one("/index", span)
            if answer.stored:
                return answer.frames_encoded
        except ServerFailed:
            if not left:
                raise
    raise ServerFailed(f"The span [{start:.1f}, {end:.1f}) of '{video.title}' came back unstored {_SPAN_TRIES} times.")


async def at_most(count: int, works: Iterable[Any]) -> None:
    """Await all coroutines, `count` at a time, in order. The first error cancels the rest."""
    waiting = iter(works)

    async def work() -> None:
        for coroutine in waiting:
            await coroutine

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, ClipSeekError | OSError):
            raise first from None
        raise
