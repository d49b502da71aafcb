"""The first executor of the chain: it keeps the videos, and makes pictures, clips and thumbnails of them."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import av

from clipseek.api.base_document import copy_fields, shared_fields
from clipseek.api.errors import AccessDenied, InvalidRequest, InvalidTimeRange, LimitExceeded, UnreadableVideo
from clipseek.api.formats import clock, plain_title, size
from clipseek.api.limits import SUBTITLE, WORD_SOURCES, WORD_SPAN_SECONDS
from clipseek.config.limits import check_limit
from clipseek.machine.audit_log import AuditLog
from clipseek.schema import (
    CHUNK_BYTES,
    Clip,
    Component,
    Cue,
    DocList,
    Reel,
    Subtitles,
    Thumbnail,
    Upload,
    Video,
    VideoSpan,
    WordSpan,
)
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.endpoint import endpoint
from executors.flow.executor import ChainExecutor
from executors.machine.disk import measure_free_bytes
from executors.video_loader.clips.cache import CachedClip, ClipCache, ClipKey
from executors.video_loader.clips.cut import ClipFile
from executors.video_loader.clips.join import ReelPiece
from executors.video_loader.containers.parts import VideoFile, VideoView
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import VideoInfo
from executors.video_loader.media.abandoned_uploads import AbandonedUploads
from executors.video_loader.media.file_record import FileRecord
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.open_uploads import OpenUploads
from executors.video_loader.media.sample_videos import list_sample_videos
from executors.video_loader.media.shared_media import check_media_reachable, drop_all_abandoned, open_media_files
from executors.video_loader.words.span_words import WordOptions
from executors.video_loader.workers.video_workers import CutOptions, SpanOptions, VideoWorkers

CLIP_CACHE_BYTES = 2_000_000_000  # some hours of 720p clips
MAX_SPAN_BYTES = 640_000_000  # of pictures: 4000 frames of 224x224, or 200 of 1024x1024
JOINED = "joined"  # replaces the video's id in the cached names of videos joined from several
UPLOAD, LOOK, INDEX, CLIP, WORDS = (
    "upload",
    "look",
    "index",
    "clip",
    "words",
)  # queues; VideoWorkers sizes the last four
UPLOAD_THREADS = 16  # some may be reading whole videos to check them; the others go on with their chunks
# Queues for what waits for disks or object stores that may hang: nothing else waits with it.
SERVER_FOLDERS, DELETE = "server folders", "delete"


class VideoLoader(ChainExecutor):
    """Answers /upload, /server_videos, /samples, /clip, /join and /thumbnail; begins /probe, /index, /words and
    /delete.
    """

    def load(self) -> None:
        check_media_reachable(self.settings)
        self._stores: dict[str, MediaFiles] = {}
        idle_seconds = self.settings.upload_idle_seconds
        self._uploads = OpenUploads(self.settings.home / "uploads", self.settings.open_uploads, idle_seconds)
        self._abandoned = AbandonedUploads(functools.partial(drop_all_abandoned, self.settings), idle_seconds)
        self._audit = AuditLog(self.settings.home, self.settings.audit_days)
        self._clips = ClipCache(self.settings.cache / "clips", CLIP_CACHE_BYTES)
        self._videos = VideoWorkers(self.settings)
        self._info = functools.lru_cache(maxsize=1024)(self._probe)

    def queue_sizes(self) -> Mapping[str, int]:
        return self._videos.counts | {UPLOAD: UPLOAD_THREADS, SERVER_FOLDERS: 2, DELETE: 4}

    def store(self, library: str) -> MediaFiles:
        if library not in self._stores:
            return self._stores.setdefault(library, open_media_files(self.settings, library, CHUNK_BYTES))
        return self._stores[library]

    @endpoint("/upload", queue=UPLOAD)
    def upload(self, doc: Upload, caller: Caller) -> str:
        store, upload, size_bytes = self.store(caller.library), (caller.library, doc.video_id), len(doc.data)
        if doc.server_path:
            _check_server_folders(caller)
            record = store.register(doc.server_path, doc.title)
            doc.video_id, doc.size_bytes, doc.missing_offsets = record.video_id, record.size_bytes, []
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
            if caller.server_folders and record.linked_path:
                doc.server_path = record.linked_path
            if self._uploads.end(caller.name, upload):
                self._audit_change("uploaded", record, caller)
        return f"{doc.video_id[:12]}, {size_bytes} bytes, {len(doc.missing_offsets)} chunks missing"

    @endpoint("/server_videos", queue=SERVER_FOLDERS)
    def server_videos(self, doc: Upload, caller: Caller) -> list[Upload]:
        _check_server_folders(caller)
        return [
            Upload(server_path=str(video), title=plain_title(video.name), size_bytes=video.stat().st_size)
            for video in self.store(caller.library).folders.list_videos(doc.server_path)
        ]

    @endpoint("/samples", queue=CLIP)
    def samples(self, _doc: Video, caller: Caller) -> list[Video]:
        records = [self.store(caller.library).add_file(video) for video in list_sample_videos()]
        return [Video(**shared_fields(record, Video)) for record in records]

    @endpoint("/probe", queue=LOOK)
    def probe(self, doc: Video, caller: Caller) -> str:
        store = self.store(caller.library)
        record = store.usable_record(doc.video_id)  # raises if the file is gone
        _check_stream(record, doc.stream)
        doc.stream = doc.stream or record.stream
        try:
            info = self._info(caller.library, doc.video_id, doc.stream, True)
            if record.untried:  # the others are registered at a rate that they keep
                self._check_frames(record.title, info, doc.frames_per_second)
        except (UnreadableVideo, LimitExceeded):
            store.refuse(doc.video_id)
            raise
        doc.title = store.accept(doc.video_id, doc.title, stream=doc.stream, own_zero=info.first_seconds > 0).title
        copy_fields(info, doc)
        return f"{doc.video_id[:12]}, {info.duration_seconds:.2f} s of video"

    @endpoint("/index", queue=INDEX, step="decode")
    def index(self, doc: VideoSpan, caller: Caller) -> str:
        title, length = self._usable(caller.library, doc.video_id)
        if doc.start_seconds >= length:
            raise InvalidTimeRange(f"'{title}' is {length:.3f} s long: a span cannot start at {doc.start_seconds:g} s.")
        shape = PictureShape(doc.picture_width, doc.picture_height, doc.picture_fit, _colour(doc.picture_fill))
        options = SpanOptions(
            doc.start_seconds,
            min(doc.end_seconds, length),
            doc.frames_per_second,
            doc.sampling,
            shape,
            min(self.settings.max_span_frames, MAX_SPAN_BYTES / shape.size_bytes),
        )
        with self._video(caller.library, doc.video_id) as (file, title):
            sampled = self._videos.sample(file, title, options)
        copy_fields(sampled, doc)
        counts = f"{len(doc.pts_seconds)} frames, {len(doc.cut_seconds)} cuts"
        return f"{doc.video_id[:12]} [{doc.start_seconds:.2f}, {doc.end_seconds:.2f}) s, {counts}"

    @endpoint("/subtitles", queue=UPLOAD)
    def subtitles(self, doc: Subtitles, caller: Caller) -> str:
        store, size_bytes = self.store(caller.library), len(doc.data)
        if doc.data:
            store.keep_subtitles(doc.video_id, doc.name, doc.data)
            doc.data = b""
        doc.names = store.subtitle_names(doc.video_id)
        return f"{doc.video_id[:12]}, {size(size_bytes)}, {len(doc.names)} files"

    @endpoint("/words", queue=WORDS, step="gather_words")
    def words(self, doc: WordSpan, caller: Caller) -> str:
        title, length = self._usable(caller.library, doc.video_id)
        if doc.start_seconds >= length:
            raise InvalidTimeRange(f"'{title}' is {length:.3f} s long: a span cannot start at {doc.start_seconds:g} s.")
        if not 0 < doc.end_seconds - doc.start_seconds <= WORD_SPAN_SECONDS:  # more would hold up all others
            raise InvalidTimeRange(
                f"A span of words has {WORD_SPAN_SECONDS:g} s at most, not {doc.end_seconds - doc.start_seconds:g} s."
            )
        files, stem = self.store(caller.library).subtitle_files(doc.video_id)
        options = WordOptions(
            doc.start_seconds,
            min(doc.end_seconds, length),
            length,
            tuple(source for source in self.settings.word_sources if source in (doc.sources or WORD_SOURCES)),
            doc.language,
            tuple(files),
            stem,
        )
        with self._video(caller.library, doc.video_id) as (file, title):
            words = self._videos.gather_words(file, title, options)
        doc.lines = DocList[Cue](Cue(source=SUBTITLE, confidence=1.0, **asdict(line)) for line in words.lines)
        doc.sound, doc.sound_start_seconds, doc.notes = words.sound, words.sound_start_seconds, words.notes
        doc.stills = [still.jpeg for still in words.stills]
        doc.still_start_seconds = [still.start_seconds for still in words.stills]
        doc.still_end_seconds = [still.end_seconds for still in words.stills]
        counts = f"{len(doc.lines)} lines, {len(doc.stills)} stills, {size(len(doc.sound))} of sound"
        return f"{doc.video_id[:12]} [{doc.start_seconds:.2f}, {doc.end_seconds:.2f}) s, {counts}"

    @endpoint("/clip", queue=CLIP)
    def clip(self, doc: Clip, caller: Caller) -> str:
        library, times = caller.library, (doc.start_seconds, doc.end_seconds)
        self._usable(library, doc.video_id)
        self._check_length("max_clip_seconds", "The clip", [doc.start_seconds], [doc.end_seconds])
        how = CutOptions(doc.mode, doc.format, doc.extras)
        key = ClipKey(_in_library(library, doc.video_id), *times, f"{how} {self._clock_of(library, doc.video_id)}")
        cut = functools.partial(self._cut, library, doc.video_id, *times, how)
        clip, doc.data = self._piece(key, doc.offset, cut, library, {doc.video_id})
        copy_fields(clip, doc)
        range_cut = f"[{doc.start_seconds:.2f}, {doc.end_seconds:.2f}) s {doc.mode}"
        return f"{doc.video_id[:12]} {range_cut}, {size(len(doc.data))} from {doc.offset}"

    @endpoint("/join", queue=CLIP)
    def join(self, doc: Reel, caller: Caller) -> str:
        library = caller.library
        self._check_reel(doc, library)
        clips = list(zip(doc.video_ids, doc.start_seconds, doc.end_seconds, strict=True))
        clocks = [self._clock_of(library, video_id) for video_id in doc.video_ids]
        key = ClipKey(_in_library(library, JOINED), 0.0, 0.0, f"{doc.mode} {clips} {clocks}")
        join = functools.partial(self._join, library, clips, doc.mode)
        video, doc.data = self._piece(key, doc.offset, join, library, set(doc.video_ids))
        doc.size_bytes, doc.sha256, doc.length_seconds = video.size_bytes, video.sha256, video.end_seconds
        return f"{len(clips)} clips, {size(len(doc.data))} from {doc.offset}"

    @endpoint("/thumbnail", queue=LOOK)
    def thumbnail(self, doc: Thumbnail, caller: Caller) -> str:
        self._usable(caller.library, doc.video_id)
        with self._video(caller.library, doc.video_id) as (file, title):
            copy_fields(self._videos.make_thumbnail(file, doc.at_seconds, doc.width, title), doc)
        return f"{doc.video_id[:12]} at {doc.pts_seconds:.2f} s"

    @endpoint("/delete", queue=DELETE)
    def delete(self, doc: Video, caller: Caller) -> str:
        store = self.store(caller.library)
        records = [store.record(doc.video_id)] if store.is_known(doc.video_id) else []
        store.delete(doc.video_id)
        self._uploads.forget((caller.library, doc.video_id))
        self._clips.forget(_in_library(caller.library, doc.video_id))
        self._clips.forget(_in_library(caller.library, JOINED))  # the video may be in any of them
        for record in records:
            self._audit_change("file deleted", record, caller)
        return doc.video_id[:12]

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
        self._abandoned.close()
        self._videos.close()
        super().close()
        self._audit.close()

    def _audit_change(self, change: str, record: FileRecord, caller: Caller) -> None:
        self._audit.write(
            change, caller=caller.name, library=caller.library, video_id=record.video_id, title=record.title
        )

    def _probe(self, library: str, video_id: str, stream: int, own_zero: bool) -> VideoInfo:
        """Cached by all arguments: a video that was deleted may come back with another clock."""
        with self._video(library, video_id, stream, own_zero=own_zero) as (file, title):
            info = self._videos.probe(file, title)
        megapixels, length = info.coded_pixels / 1e6, f"The length of '{title}', {clock(info.duration_seconds)} hours,"
        check_limit(self.settings, "max_video_hours", info.duration_seconds / 3600, length)
        check_limit(self.settings, "max_frame_megapixels", megapixels, f"The picture of '{title}', {megapixels:.1f},")
        return info

    def _check_frames(self, title: str, info: VideoInfo, frames_per_second: float) -> None:
        """Raises: LimitExceeded: before the video is accepted, so that nothing of it stays."""
        frames = info.duration_seconds * (frames_per_second or self.settings.frames_per_second)
        check_limit(self.settings, "max_video_frames", frames, f"The count of frames of '{title}', {frames:.0f},")

    @contextmanager
    def _video(
        self, library: str, video_id: str, stream: int = 0, *, own_zero: bool = False
    ) -> Iterator[tuple[VideoFile, str]]:
        """The video's file, of which the track is wanted that `stream` or its record names, and its title.

        Its times count from the file's zero, or from the first picture if version 0.1 indexed it, unless `own_zero`.
        """
        store = self.store(library)
        with store.in_use(video_id) as path:
            record = store.record(video_id)
            is_old = not (own_zero or record.own_zero or record.untried)
            yield VideoView(path, stream or record.stream, from_first_picture=is_old), record.title

    def _clock_of(self, library: str, video_id: str) -> str:
        """A mark that changes with a video's times: clips of the old ones are not its clips any more."""
        return "own" if self.store(library).record(video_id).own_zero else ""

    def _usable(self, library: str, video_id: str) -> tuple[str, float]:
        record = self.store(library).usable_record(video_id)
        return record.title, self._info(
            library, video_id, record.stream, record.own_zero or record.untried
        ).duration_seconds

    def _piece(
        self, key: ClipKey, offset: int, make: Callable[[Path], ClipFile], library: str, video_ids: set[str]
    ) -> tuple[CachedClip, bytes]:
        """A piece of a clip from the cache; only the first one counts as a lookup. Raises: VideoNotFound."""

        def make_and_count(destination: Path) -> ClipFile:
            metrics.CACHE_MISSES.labels("clips").inc()
            return make(destination)

        def check_known() -> None:
            for video_id in video_ids:
                self.store(library).record(video_id)

        if not offset:
            metrics.CACHE_LOOKUPS.labels("clips").inc()
        return self._clips.read(key, offset, CHUNK_BYTES, make_and_count, check=check_known)

    def _cut(
        self,
        library: str,
        video_id: str,
        start_seconds: float,
        end_seconds: float,
        how: CutOptions,
        destination: Path,
    ) -> ClipFile:
        with self._video(library, video_id) as (file, title):
            return self._videos.cut(file, start_seconds, end_seconds, how, title, destination)

    def _join(self, library: str, clips: list[tuple[str, float, float]], mode: str, destination: Path) -> ClipFile:
        with ExitStack() as in_use:
            video_ids = {video_id for video_id, _, _ in clips}
            videos = {video_id: in_use.enter_context(self._video(library, video_id)) for video_id in video_ids}
            parts = [ReelPiece(videos[video_id][0], start, end, videos[video_id][1]) for video_id, start, end in clips]
            return self._videos.join(parts, mode, destination)

    def _check_reel(self, doc: Reel, library: str) -> None:
        if not doc.video_ids:
            raise InvalidRequest("There are no clips to join. Name at least one.")
        check_limit(self.settings, "max_reel_clips", len(doc.video_ids), f"The video of {len(doc.video_ids)} clips")
        self._check_length("max_reel_seconds", "The video", doc.start_seconds, doc.end_seconds)
        for video_id in doc.video_ids:
            self._usable(library, video_id)

    def _check_length(self, limit: str, subject: str, starts: list[float], ends: list[float]) -> None:
        seconds = sum(end - start for start, end in zip(starts, ends, strict=True))
        check_limit(self.settings, limit, seconds, f"{subject} of {seconds:g} s")


def _check_stream(record: FileRecord, stream: int) -> None:
    if stream and stream != record.stream and not record.untried:
        raise InvalidRequest(
            f"'{record.title}' is in the library with another video track. Delete it, "
            f"then index it with --stream {stream}"
        )


def _in_library(library: str, video_id: str) -> str:
    return f"{library}_{video_id}"


def _check_server_folders(caller: Caller) -> None:
    if not caller.server_folders:
        raise AccessDenied(
            "Your token does not open the folders of the server. Upload the file, or ask the operator for a token made "
            "with --server-folders."
        )


def _colour(fill: list[int]) -> tuple[int, int, int]:
    if len(fill) not in {0, 3} or not all(0 <= value <= 255 for value in fill):
        raise InvalidRequest(f"picture_fill is {fill}, but must be three values from 0 to 255, or empty for black.")
    return (fill[0], fill[1], fill[2]) if fill else (0, 0, 0)
