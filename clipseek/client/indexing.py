"""A video's way to the server: uploaded in chunks, then indexed in spans, each of which may be repeated by itself."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clipseek.api.documents import CHUNK_BYTES, Upload, Video, VideoSpan
from clipseek.api.endpoints import INDEXER, LOADER
from clipseek.api.errors import ClipSeekError, ServerFailed
from clipseek.api.query_parts import sendable
from clipseek.client.transport import Transport, run
from clipseek.client.upload_source import UploadSource, sha256

_UPLOADS_UNDER_WAY = 4
_SPANS_UNDER_WAY = 4  # one in each of three stages, and one on its way, so that none waits
_SPAN_TRIES = 3


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: `done` of `total` in the unit of the stage."""

    stage: str  # "hash" and "upload" count bytes, "index" seconds of video, "search" queries; in a backup "copy", bytes
    done: float
    total: float


@dataclass(frozen=True)
class Indexed:
    """What `Client.index` did."""

    video: Video
    frames_added: int  # 0: the video was in the store already
    frames_encoded: int  # of these; the others stand still and share an embedding
    elapsed_seconds: float


OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Tell nobody."""


def upload(
    transport: Transport, video: UploadSource, title: str | None, content_sha256: str, progress: OnProgress
) -> str:
    """Send what the server lacks of a video, which is read first for its hash, if need be. Returns: the video's id."""
    size = video.size_bytes
    video_id = content_sha256 or sha256(video, lambda done: progress(Progress("hash", done, size)))
    offer = Upload(video_id=video_id, title=sendable(title or video.name), size_bytes=size)
    missing = run(transport.post_one("/upload", offer, executor=LOADER))
    if not missing.complete:
        run(_send_chunks(transport, video, offer, missing.missing_offsets, progress))
        if not run(transport.post_one("/upload", offer, executor=LOADER)).complete:
            raise ServerFailed(
                f"The upload of '{video.name}' is not complete on the server. Repeat it: only the rest is sent."
            )
    return video_id


async def _send_chunks(
    transport: Transport, video: UploadSource, offer: Upload, offsets: list[int], progress: OnProgress
) -> None:
    done = offer.size_bytes - sum(min(CHUNK_BYTES, offer.size_bytes - offset) for offset in offsets)

    async def send(offset: int) -> None:
        nonlocal done
        data = await asyncio.to_thread(video.read, offset)
        chunk = offer.model_copy(update={"offset": offset, "data": data})
        await transport.post_one("/upload", chunk, executor=LOADER)
        done += len(data)
        progress(Progress("upload", done, offer.size_bytes))

    await at_most(_UPLOADS_UNDER_WAY, (send(offset) for offset in offsets))


def index(transport: Transport, ask: Video, progress: OnProgress, started: float) -> Indexed:
    """Index what is missing of a video whose video is on the server. `started`: when all of it began, monotonic."""
    video = run(transport.post_one("/probe", ask))
    if not video.status:
        raise ServerFailed(f"The server at {transport.address} did not register the video. Its log has the details.")
    encoded = run(_index_spans(transport, video, progress))
    stored = run(transport.post_one("/videos", Video(video_id=ask.video_id), executor=INDEXER))
    if stored.status != "ready":
        raise ServerFailed(
            f"'{stored.title}' is not complete: {len(stored.missing_start_seconds)} of its spans are missing. "
            f"Index it again: only these are done."
        )
    return Indexed(stored, stored.frames - video.frames, encoded, time.monotonic() - started)


async def _index_spans(transport: Transport, video: Video, progress: OnProgress) -> int:
    """Send what is missing through the Flow. Returns: how many frames were encoded for it."""
    spans = list(zip(video.missing_start_seconds, video.missing_end_seconds, strict=True))
    done = video.duration_seconds - sum(end - start for start, end in spans)
    progress(Progress("index", done, video.duration_seconds))

    encoded = 0

    async def one(start: float, end: float) -> None:
        nonlocal done, encoded
        of_span = await _index_span(transport, video, start, end)
        encoded += of_span
        done += end - start
        progress(Progress("index", done, video.duration_seconds))

    await at_most(_SPANS_UNDER_WAY, (one(start, end) for start, end in spans))
    return encoded


async def _index_span(transport: Transport, video: Video, start: float, end: float) -> int:
    """Send one span through the Flow; a failure that may pass is tried again, a refusal is not.

    Returns: how many of its frames were encoded.
    """
    span = VideoSpan(
        video_id=video.video_id,
        start_seconds=start,
        end_seconds=end,
        frames_per_second=video.frames_per_second,
        sampling=video.sampling,
        picture_width=video.picture_width,
        picture_height=video.picture_height,
        picture_fit=video.picture_fit,
        picture_fill=video.picture_fill,
    )
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
    """Await all coroutines, `count` at a time, in order. The first error stops the rest."""
    waiting = iter(works)

    async def work() -> None:
        for each in waiting:
            await each

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, ClipSeekError | OSError):
            raise first from None
        raise
