"""Videos that several loaders share in an object store: written there before they count, fetched when needed.

There each library has a folder with the same files as a local one (see `media_files.py`):

    ID.film.mp4   the video
    ID.json       its record, written after the video: without a record there is no video

The chunks of uploads are there, too (`object_upload.py`). They are brought together and checked in a local folder,
and FFmpeg opens copies in a `LocalCopies`.
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from cachetools import TTLCache

from clipseek.api.errors import (
    LimitExceeded,
    MediaMissing,
    MediaUnreachable,
    PathNotAllowed,
    StoreCorrupt,
    StoreFull,
)
from clipseek.config.libraries import MAIN, media_folder, media_folders
from clipseek.config.settings import Settings, variable_of
from clipseek.machine.store_size import measure_videos
from executors.flow import metrics
from executors.machine.disk import report_full_disk
from executors.video_loader.media.abandoned_uploads import drop_abandoned
from executors.video_loader.media.file_record import FileRecord, parse_record
from executors.video_loader.media.local_copies import LocalCopies, hold
from executors.video_loader.media.media_files import MediaFiles, UploadLimits
from executors.video_loader.media.object_store import ObjectStore, StoredChunks
from executors.video_loader.media.object_upload import ObjectUpload
from executors.video_loader.media.partial_upload import PartialUpload

logger = logging.getLogger(__name__)

# A record is read again after this time. Until then a video that another loader has deleted may still be used here.
REMEMBERED_SECONDS = 10.0
_MOST_REMEMBERED = 10_000


class SharedMediaFiles(MediaFiles):
    """The videos of one library in an object store. Methods also raise the errors of `ObjectStore`.

    Args:
        root: local folder of uploads on their way, and of videos from before the object store was used.
        objects: where the videos are.
        cache: of videos of all libraries.
        library: keeps its videos apart in the cache.
        limits: see `MediaFiles`.
    """

    def __init__(
        self,
        root: Path,
        allowed_roots: tuple[Path, ...],
        chunk_bytes: int,
        *,
        objects: ObjectStore,
        cache: LocalCopies,
        library: str,
        clock: Callable[[], float] = time.monotonic,
        **limits: Unpack[UploadLimits],
    ) -> None:
        super().__init__(root, allowed_roots, chunk_bytes, **limits)
        self.objects, self.cache, self._library = objects, cache, library
        self._clock = clock
        self._measured: tuple[int, float] | None = None  # bytes of all videos in the object store, and when
        self._records: TTLCache[str, FileRecord] = TTLCache(_MOST_REMEMBERED, REMEMBERED_SECONDS, timer=clock)
        self._records_lock = threading.Lock()

    @contextmanager
    def in_use(self, video_id: str) -> Iterator[Path]:
        while (path := self.path(video_id)).parent == self.cache.folder:
            video = hold(path)
            if video:
                with video:
                    yield path
                return
        yield path

    def usable_record(self, video_id: str) -> FileRecord:
        record = super().usable_record(video_id)
        if record.linked_path:  # another host registered it, and may allow other folders
            try:
                self.folders.resolve(record.linked_path)
            except PathNotAllowed as error:
                raise MediaMissing(f"'{record.title}' lies on another host and was not uploaded. {error}") from error
        return record

    def facts(self) -> dict[str, str]:
        """The copies here: listing the object store could take long."""
        copies = self.cache.files()
        return {
            "media": self.objects.shown_url,
            "media_copies": str(len(copies)),
            "media_copies_bytes": str(sum(copy.size_bytes for copy in copies)),
        }

    def copy_name(self, name: str) -> str:
        """The cached copy's name of an object with this name."""
        return f"{self._library}_{name}"

    def local_records(self) -> Iterator[FileRecord]:
        """The records of complete videos that are in the local folder but not in the object store."""
        for video_id in super()._list_ids():
            record = super()._find_record(video_id)
            if record and self.read_record(video_id) is None:
                yield record

    def move_to_objects(self, record: FileRecord) -> None:
        if not record.linked_path:
            self.objects.put(self.root / record.file_name, record.file_name)
        self._write_record(record)
        super()._remove_files(record.video_id)

    def read_record(self, video_id: str) -> FileRecord | None:
        """The record in the object store, read now. Raises: StoreCorrupt: it is damaged."""
        data = self.objects.read(f"{video_id}.json")
        if data is None:  # another loader may have deleted the video
            self._forget(video_id)
            self.cache.forget(self.copy_name(video_id))
            return None
        record = parse_record(data, video_id, self.objects.shown_url)
        self._remember(record)
        return record

    def _remember(self, record: FileRecord) -> None:
        with self._records_lock:
            self._records[record.video_id] = record

    def _forget(self, video_id: str) -> None:
        with self._records_lock:
            self._records.pop(video_id, None)

    def _list_ids(self) -> Iterable[str]:
        return {*super()._list_ids(), *(Path(name).stem for name in self.objects.sizes() if name.endswith(".json"))}

    def _find_record(self, video_id: str) -> FileRecord | None:
        with self._records_lock:
            record: FileRecord | None = self._records.get(video_id)
        return record or self.read_record(video_id) or super()._find_record(video_id)

    def _write_record(self, record: FileRecord) -> None:
        self.objects.write(f"{record.video_id}.json", record.to_json().encode())
        self._remember(record)

    def _remove_files(self, video_id: str) -> None:
        self.objects.delete(video_id)
        self._forget(video_id)
        super()._remove_files(video_id)
        self.cache.forget(self.copy_name(video_id))

    def _write_subtitles(self, file_name: str, data: bytes) -> None:
        self.objects.write(file_name, data)

    def _remove_subtitles(self, file_name: str) -> None:
        self.objects.remove(file_name)
        super()._remove_subtitles(file_name)

    def _locate_subtitles(self, file_name: str) -> Path | None:
        if (path := super()._locate_subtitles(file_name)) is None and (
            data := self.objects.read(file_name)
        ) is not None:
            super()._write_subtitles(file_name, data)
            path = self.root / file_name
        return path

    def _upload(self, video_id: str) -> ObjectUpload:
        return ObjectUpload(self.root, video_id, self._chunk_bytes, self.objects)

    def _make_room(self, check: Callable[[int], None], video_id: str) -> None:
        try:
            super()._make_room(check, video_id)
        except LimitExceeded:
            abandoned = self._list_abandoned(self._idle_seconds, keep=video_id)
            check(sum(chunks.size_bytes for chunks in abandoned))
            for chunks in sorted(abandoned, key=lambda chunks: chunks.changed_at):
                self.objects.delete_chunks(chunks)
                self._measured = None
                with suppress(LimitExceeded):
                    return check(0)
            check(0)

    def _list_abandoned(self, idle_seconds: float, keep: str = "") -> list[StoredChunks]:
        found = self.objects.abandoned_chunks(time.time() - idle_seconds)
        return [chunks for chunks in found if not keep or keep not in chunks.path]

    def _finish(self, upload: PartialUpload, record: FileRecord) -> None:
        assert isinstance(upload, ObjectUpload)
        with upload.signs_of_life():
            with self._locks[record.video_id], report_full_disk(self.root, f"the upload of '{record.title}'"):
                upload.assemble(record.size_bytes)
            super()._finish(upload, record)

    def _needs_no_upload(self, video_id: str) -> bool:
        self._forget(video_id)  # another loader may have deleted it
        return self.is_complete(video_id)

    def _reread_record(self, video_id: str) -> FileRecord:
        self._forget(video_id)  # another loader may have deleted the video: its record must not come back
        return super()._reread_record(video_id)

    def _locate_file(self, record: FileRecord) -> Path:
        local = self.root / record.file_name
        if local.exists():
            return local
        metrics.CACHE_LOOKUPS.labels("videos").inc()
        name = self.copy_name(record.file_name)
        return self.cache.path(name, record.size_bytes, functools.partial(self._fetch, record))

    def _fetch(self, record: FileRecord, target: Path) -> None:
        metrics.CACHE_MISSES.labels("videos").inc()
        started = time.monotonic()
        digest = self.objects.get(record.file_name, target)
        if digest != record.video_id:
            raise StoreCorrupt(
                f"'{record.title}' at {self.objects.shown_url} is damaged: the SHA-256 of its content is {digest}, but "
                f"its name says {record.video_id}. Restore it, or delete the video and index its file again"
            )
        seconds = time.monotonic() - started
        logger.info("fetched video %s, %d bytes, %.2f s", record.video_id[:12], record.size_bytes, seconds)

    def _store_upload(self, upload: PartialUpload, part: os.stat_result, record: FileRecord) -> bool:
        existing = self.read_record(record.video_id)
        is_stored = existing is not None and not existing.linked_path  # perhaps by another server
        if not is_stored:
            self._measured = None
            self._check_total_size(0)  # others may have stored videos since this upload began
            try:
                self.objects.put(upload.file, record.file_name)
            except MediaUnreachable:
                if upload.is_unchanged(part):  # else the video was deleted, and the copy with it
                    raise
        with self._locks[record.video_id]:
            if not upload.is_unchanged(part):
                if self.read_record(record.video_id) is None and not self._upload(record.video_id).has_begun:
                    self.objects.delete(record.video_id)
                return False
            if existing is None or not is_stored:
                existing = replace(record, untried=not self.is_known(record.video_id))
                self._write_record(existing)
            self._adopt(upload, existing)  # under the lock: what is moved must be this upload, not a new one
        return True

    def _adopt(self, upload: PartialUpload, record: FileRecord) -> None:
        try:
            self.cache.adopt(self.copy_name(record.file_name), upload.file)
        except (OSError, StoreFull) as error:
            logger.warning("'%s' is not cached here (%s): it is fetched when needed", record.title, error)
        upload.discard()

    def _measure_used_bytes(self) -> int:
        measured = self._measured  # other threads change it
        if measured is None or self._clock() - measured[1] >= REMEMBERED_SECONDS:
            measured = self._measured = self.objects.measure_videos(), self._clock()
        return measured[0] + measure_videos(self._list_roots(), with_uploads=False)


def drop_all_abandoned(settings: Settings, idle_seconds: float) -> None:
    """Delete the uploads of all libraries that got no byte for so long. Raises: MediaUnreachable."""
    drop_abandoned(media_folders(settings), idle_seconds)
    if settings.media_url:
        objects = ObjectStore(settings.media_url, MAIN)
        for chunks in objects.abandoned_chunks(time.time() - idle_seconds):
            objects.delete_chunks(chunks)


def open_media_files(settings: Settings, library: str, chunk_bytes: int) -> MediaFiles:
    """The videos of a library, wherever CLIPSEEK_MEDIA says. Raises: InvalidSetting, MediaUnreachable."""
    if settings.media_url:
        return open_shared_media(settings, library, chunk_bytes)
    return MediaFiles(media_folder(settings, library), settings.media_roots, chunk_bytes, **_read_limits(settings))


def open_shared_media(settings: Settings, library: str, chunk_bytes: int) -> SharedMediaFiles:
    """The videos of a library in the object store. Raises: InvalidSetting, MediaUnreachable."""
    return SharedMediaFiles(
        media_folder(settings, library),
        settings.media_roots,
        chunk_bytes,
        objects=ObjectStore(settings.media_url, library),
        cache=LocalCopies(settings.cache / "videos", settings.media_cache_gb * 1e9),
        library=library,
        **_read_limits(settings),
    )


def _read_limits(settings: Settings) -> UploadLimits:
    return UploadLimits(
        max_video_gb=settings.max_video_gb,
        max_store_gb=settings.max_store_gb,
        idle_seconds=settings.upload_idle_seconds,
        all_roots=lambda: media_folders(settings),
    )


def check_media_reachable(settings: Settings) -> None:
    """Check that videos can be kept where CLIPSEEK_MEDIA says. Raises: InvalidSetting, MediaUnreachable."""
    if settings.media_url:
        ObjectStore(settings.media_url, MAIN).check()
    elif settings.media and not Path(settings.media).is_dir():
        raise MediaUnreachable(
            f"{variable_of('media')} is {settings.media}, but this folder does not exist. Mount its disk, or create it"
        )
