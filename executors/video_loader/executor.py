"""The first executor of the chain: it keeps the videos and makes pictures, clips and thumbnails of them."""

import asyncio
import functools
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import av

from clipseek.api.base_document import DocList
from clipseek.api.documents import CHUNK_BYTES, Clip, Component, Reel, Thumbnail, Upload, Video, VideoSpan
from clipseek.api.errors import AccessDenied, InvalidRequest, InvalidTimeRange, UnreadableVideo
from clipseek.api.formats import size
from clipseek.config.limits import check_limit
from clipseek.machine.audit_log import AuditLog
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.document_checks import check_document
from executors.flow.executor import ChainExecutor, endpoint
from executors.machine.disk import measure_free_bytes
from executors.video_loader.clips.cache import CachedClip, ClipCache, ClipKey
from executors.video_loader.clips.cut import ClipFile
from executors.video_loader.clips.join import ReelPiece
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import VideoInfo
from executors.video_loader.media.file_record import FileRecord, plain_title
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.open_uploads import OpenUploads
from executors.video_loader.media.shared_media import check_media_reachable, open_media_files
from executors.video_loader.workers.video_workers import SpanOptions, VideoWorkers

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

CLIP_CACHE_BYTES = 2_000_000_000  # some hours of 720p clips
JOINED = "joined"  # stands for the video's id in the cached names of videos joined out of several
UPLOADS_AT_ONCE = 4  # threads; of the work with videos there are as many as processes for it


class VideoLoader(ChainExecutor):
    """Answers /upload, /videos, /samples, /clip, /join and /thumbnail itself; has a part in /probe, /index, /delete."""

    def load(self) -> None:
        check_media_reachable(self.settings)
        self._stores: dict[str, MediaFiles] = {}
        self._uploads = OpenUploads(self.settings.home / "uploads", self.settings.open_uploads)
        self._audit = AuditLog(self.settings.home)
        self._clips = ClipCache(self.settings.cache / "clips", CLIP_CACHE_BYTES)
        # A spawned child first imports what it takes for the main module: let that be what it needs anyway.
        sys.modules["__main__"].__spec__ = importlib.util.find_spec("executors.video_loader.workers.worker")
        self._videos = VideoWorkers(self.settings)
        at_once = self._videos.counts | {"upload": UPLOADS_AT_ONCE}
        self._turns = {kind: asyncio.Semaphore(count) for kind, count in at_once.items()}
        self._info = functools.lru_cache(maxsize=1024)(self._probed)

    def store(self, library: str) -> MediaFiles:
        """The videos of a library."""
        if library not in self._stores:
            return self._stores.setdefault(library, open_media_files(self.settings, library, CHUNK_BYTES))
        return self._stores[library]

    @endpoint("/upload")
    async def upload(self, docs: DocList[Upload], caller: Caller) -> DocList[Upload]:
        for doc in docs:
            await self._in_turn("upload", self._take, doc, caller)
        return docs

    @endpoint("/server_videos")
    async def server_videos(self, docs: DocList[Upload], caller: Caller) -> DocList[Upload]:
        folder = docs[0].server_path if docs else ""
        docs.clear()
        docs.extend(await asyncio.to_thread(self._server_videos, folder, caller))
        return docs

    @endpoint("/probe")
    async def probe(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        for doc in docs:
            await self._in_turn("look", self._fill_video, doc, caller.library)
        return docs

    @endpoint("/index")
    async def index(self, docs: DocList[VideoSpan], caller: Caller) -> DocList[VideoSpan]:
        for doc in docs:
            await self._in_turn("index", self._fill_span, doc, caller.library)
        return docs

    @endpoint("/samples")
    async def samples(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        docs.clear()
        docs.extend(await self._in_turn("clip", self._sample_videos, caller.library))
        return docs

    @endpoint("/clip")
    async def clip(self, docs: DocList[Clip], caller: Caller) -> DocList[Clip]:
        for doc in docs:
            await self._in_turn("clip", self._fill_clip, doc, caller.library)
        return docs

    @endpoint("/join")
    async def join(self, docs: DocList[Reel], caller: Caller) -> DocList[Reel]:
        for doc in docs:
            await self._in_turn("clip", self._fill_reel, doc, caller.library)
        return docs

    @endpoint("/thumbnail")
    async def thumbnail(self, docs: DocList[Thumbnail], caller: Caller) -> DocList[Thumbnail]:
        for doc in docs:
            await self._in_turn("look", self._fill_thumbnail, doc, caller.library)
        return docs

    @endpoint("/delete")
    async def delete(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        for doc in docs:
            await asyncio.to_thread(self._delete, doc.video_id, caller)
        return docs

    def component(self, caller: Caller, /) -> Component:
        store = self.store(caller.library)
        roots = self.settings.media_roots if caller.server_folders else ()
        facts = store.facts() | {
            "free_bytes": str(measure_free_bytes(store.root)),
            "media_roots": os.pathsep.join(map(str, roots)),
            "decoder": self._videos.decoder,
            "av": av.__version__,
            "ffmpeg": av.ffmpeg_version_info,
        }
        return Component(name=self.executor_name, facts=facts)

    def close(self) -> None:
        self._videos.close()
        super().close()

    async def _in_turn(self, kind: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turns[kind]:
            return await asyncio.to_thread(function, *args, **kwargs)

    def _delete(self, video_id: str, caller: Caller) -> None:
        store = self.store(caller.library)
        known = [store.record(video_id)] if store.is_known(video_id) else []
        store.delete(video_id)
        self._uploads.end(caller.name, (caller.library, video_id))
        self._clips.forget(_in_library(caller.library, video_id))
        self._clips.forget(_in_library(caller.library, JOINED))  # the video may be in any of them
        for record in known:
            self._note("file deleted", record, caller)
        logger.info("deleted the files of video %s", video_id[:12])

    def _note(self, what: str, record: FileRecord, caller: Caller) -> None:
        """Put a change into the audit log."""
        self._audit.write(
            what, caller=caller.name, library=caller.library, video_id=record.video_id, title=record.title
        )

    def _take(self, doc: Upload, caller: Caller) -> None:
        check_document(doc, self.settings)
        begun = time.monotonic()
        size_bytes = len(doc.data)
        store, upload = self.store(caller.library), (caller.library, doc.video_id)
        if doc.server_path:
            _check_server_folders(caller)
            record = store.register(doc.server_path, doc.title)
            doc.video_id, doc.size_bytes = record.video_id, record.size_bytes
            doc.missing_offsets = []
        elif doc.data:
            with self._uploads.receiving(caller.name, upload):
                doc.missing_offsets = store.write_chunk(doc.video_id, doc.title, doc.size_bytes, doc.offset, doc.data)
            doc.data = b""
        else:
            doc.missing_offsets = store.missing_offsets(doc.video_id, doc.size_bytes)
        doc.complete = not doc.missing_offsets
        if doc.complete:
            record = store.record(doc.video_id)
            doc.title = record.title
            if self._uploads.end(caller.name, upload):
                self._note("uploaded", record, caller)
        logger.info(
            "upload %s: %d bytes, %d chunks missing, %.2f s",
            doc.video_id[:12],
            size_bytes,
            len(doc.missing_offsets),
            time.monotonic() - begun,
        )

    def _server_videos(self, folder: str, caller: Caller) -> list[Upload]:
        _check_server_folders(caller)
        videos = self.store(caller.library).folders.list_videos(folder)
        logger.info("listed %d videos below %s", len(videos), folder)
        return [
            Upload(server_path=str(video), title=plain_title(video.name), size_bytes=video.stat().st_size)
            for video in videos
        ]

    def _probed(self, library: str, video_id: str) -> VideoInfo:
        """What a video is, if it may be used."""
        with self._video(library, video_id) as (path, title):
            info = self._videos.probe(path, title)
        hours, megapixels = info.duration_seconds / 3600, info.coded_pixels / 1e6
        check_limit(self.settings, "max_video_hours", hours, f"The length of '{title}', {hours:.1f} hours,")
        check_limit(self.settings, "max_frame_megapixels", megapixels, f"The picture of '{title}', {megapixels:.1f},")
        return info

    def _fill_video(self, doc: Video, library: str) -> None:
        check_document(doc, self.settings)
        begun = time.monotonic()
        store = self.store(library)
        store.usable_record(doc.video_id)  # still there?
        try:
            info = self._info(library, doc.video_id)
        except UnreadableVideo:
            if not self.settings.media_url:  # there no lock keeps another loader from accepting it meanwhile
                store.refuse(doc.video_id)
            raise
        doc.title = store.accept(doc.video_id, doc.title).title
        doc.size_bytes, doc.duration_seconds = info.size_bytes, info.duration_seconds
        doc.width, doc.height, doc.rotation_degrees = info.width, info.height, info.rotation_degrees
        doc.fps, doc.codec, doc.container, doc.has_audio = info.fps, info.codec, info.container, info.has_audio
        seconds = time.monotonic() - begun
        logger.info("probed %s: %.2f s of video, %.2f s", doc.video_id[:12], info.duration_seconds, seconds)

    def _fill_span(self, doc: VideoSpan, library: str) -> None:
        check_document(doc, self.settings)
        begun = time.monotonic()
        title, length = self._usable(library, doc.video_id)
        if doc.start_seconds >= length:
            raise InvalidTimeRange(f"'{title}' is {length:.3f} s long: a span cannot start at {doc.start_seconds:g} s")
        shape = PictureShape(doc.picture_width, doc.picture_height, doc.picture_fit, _colour(doc.picture_fill))
        options = SpanOptions(
            doc.start_seconds,
            min(doc.end_seconds, length),
            doc.frames_per_second,
            doc.sampling,
            shape,
            self.settings.max_span_frames,
        )
        with self._video(library, doc.video_id) as (path, title), metrics.step("decode"):
            sampled = self._videos.sample(path, title, options)
        doc.pictures, doc.pts_seconds, doc.blank = sampled.pictures, sampled.pts_seconds, sampled.blank
        doc.cut_seconds = sampled.cut_seconds
        logger.info(
            "sampled %s [%.2f, %.2f) s: %d frames, %d cuts, %.2f s",
            doc.video_id[:12],
            doc.start_seconds,
            doc.end_seconds,
            len(doc.pts_seconds),
            len(doc.cut_seconds),
            time.monotonic() - begun,
        )

    @contextmanager
    def _video(self, library: str, video_id: str) -> Iterator[tuple[Path, str]]:
        """The file, while it is in use, and the title of a video in the library. Raises: VideoNotFound, MediaMissing."""
        store = self.store(library)
        with store.in_use(video_id) as path:
            yield path, store.record(video_id).title

    def _sample_videos(self, library: str) -> list[Video]:
        begun = time.monotonic()
        videos = self._videos.build_samples(self.settings.cache / "samples")
        records = [self.store(library).add_file(video) for video in videos]
        logger.info("took %d sample videos, %.2f s", len(records), time.monotonic() - begun)
        return [Video(video_id=r.video_id, title=r.title, size_bytes=r.size_bytes) for r in records]

    def _fill_clip(self, doc: Clip, library: str) -> None:
        check_document(doc, self.settings)
        begun = time.monotonic()
        self._usable(library, doc.video_id)
        self._check_length("max_clip_seconds", "The clip", [doc.start_seconds], [doc.end_seconds])
        key = ClipKey(_in_library(library, doc.video_id), doc.start_seconds, doc.end_seconds, doc.mode)
        make = functools.partial(self._cut, library, doc.video_id, doc.start_seconds, doc.end_seconds, doc.mode)
        clip, doc.data = self._kept(key, doc.offset, make, library, {doc.video_id})
        doc.start_seconds, doc.end_seconds = clip.start_seconds, clip.end_seconds
        doc.size_bytes, doc.sha256, doc.suffix = clip.size_bytes, clip.sha256, clip.suffix
        logger.info(
            "clip %s [%.2f, %.2f) s %s: %s from %d, %.2f s",
            doc.video_id[:12],
            doc.start_seconds,
            doc.end_seconds,
            doc.mode,
            size(len(doc.data)),
            doc.offset,
            time.monotonic() - begun,
        )

    def _fill_reel(self, doc: Reel, library: str) -> None:
        check_document(doc, self.settings)
        begun = time.monotonic()
        self._check_reel(doc, library)
        moments = list(zip(doc.video_ids, doc.start_seconds, doc.end_seconds, strict=True))
        key = ClipKey(_in_library(library, JOINED), 0.0, 0.0, f"{doc.mode} {moments}")
        make = functools.partial(self._join, library, moments, doc.mode)
        video, doc.data = self._kept(key, doc.offset, make, library, set(doc.video_ids))
        doc.size_bytes, doc.sha256, doc.length_seconds = video.size_bytes, video.sha256, video.end_seconds
        seconds = time.monotonic() - begun
        logger.info("joined %d clips: %s from %d, %.2f s", len(moments), size(len(doc.data)), doc.offset, seconds)

    def _kept(
        self, key: ClipKey, offset: int, make: Callable[[Path], ClipFile], library: str, video_ids: set[str]
    ) -> tuple[CachedClip, bytes]:
        """A piece of a clip of these videos, out of the cache; the first one counts as a look into it.

        Raises: VideoNotFound: a video was deleted while the clip was made.
        """

        def counted(destination: Path) -> ClipFile:
            metrics.CACHE_MISSES.labels("clips").inc()
            return make(destination)

        if not offset:
            metrics.CACHE_LOOKUPS.labels("clips").inc()
        return self._clips.read(key, offset, CHUNK_BYTES, counted, check=lambda: self._check_known(library, video_ids))

    def _check_known(self, library: str, video_ids: set[str]) -> None:
        for video_id in video_ids:
            self.store(library).record(video_id)

    def _cut(
        self, library: str, video_id: str, start_seconds: float, end_seconds: float, mode: str, destination: Path
    ) -> ClipFile:
        with self._video(library, video_id) as (path, title):
            return self._videos.cut(path, start_seconds, end_seconds, mode, title, destination)

    def _join(self, library: str, moments: list[tuple[str, float, float]], mode: str, destination: Path) -> ClipFile:
        with ExitStack() as held:
            videos = {
                video_id: held.enter_context(self._video(library, video_id)) for video_id in {m[0] for m in moments}
            }
            parts = [
                ReelPiece(videos[video_id][0], start, end, videos[video_id][1]) for video_id, start, end in moments
            ]
            return self._videos.join(parts, mode, destination)

    def _usable(self, library: str, video_id: str) -> tuple[str, float]:
        """A video's title and length in seconds, once it is known to be within the limits. Raises as `_video`."""
        title = self.store(library).usable_record(video_id).title
        return title, self._info(library, video_id).duration_seconds

    def _check_length(self, limit: str, what: str, starts: list[float], ends: list[float]) -> None:
        seconds = sum(end - start for start, end in zip(starts, ends, strict=True))
        check_limit(self.settings, limit, seconds, f"{what} of {seconds:g} s")

    def _check_reel(self, doc: Reel, library: str) -> None:
        counts = {len(doc.video_ids), len(doc.start_seconds), len(doc.end_seconds)}
        if len(counts) > 1 or not doc.video_ids:
            raise InvalidRequest(
                f"{len(doc.video_ids)} videos, {len(doc.start_seconds)} starts and {len(doc.end_seconds)} ends are no "
                "clips to join: each clip has one of each, and there is at least one"
            )
        check_limit(self.settings, "max_reel_clips", len(doc.video_ids), f"The video of {len(doc.video_ids)} clips")
        self._check_length("max_reel_seconds", "The video", doc.start_seconds, doc.end_seconds)
        for video_id in doc.video_ids:
            self._usable(library, video_id)

    def _fill_thumbnail(self, doc: Thumbnail, library: str) -> None:
        check_document(doc, self.settings)
        begun = time.monotonic()
        self._usable(library, doc.video_id)
        with self._video(library, doc.video_id) as (path, title):
            picture = self._videos.make_thumbnail(path, doc.at_seconds, doc.width, title)
        doc.jpeg, doc.pts_seconds = picture.jpeg, picture.pts_seconds
        logger.info("thumbnail %s at %.2f s: %.2f s", doc.video_id[:12], doc.pts_seconds, time.monotonic() - begun)


def _in_library(library: str, video_id: str) -> str:
    """What stands for a video of a library in the names of cached clips."""
    return f"{library}_{video_id}"


def _check_server_folders(caller: Caller) -> None:
    if not caller.server_folders:
        raise AccessDenied(
            "Your token does not open the folders of the server. Upload the file, or have the operator make a token "
            "with --server-folders."
        )


def _colour(fill: list[int]) -> tuple[int, int, int]:
    if len(fill) not in {0, 3} or not all(0 <= value <= 255 for value in fill):
        raise InvalidRequest(f"picture_fill is {fill}, but must be three values from 0 to 255, or none for black")
    return (fill[0], fill[1], fill[2]) if fill else (0, 0, 0)
