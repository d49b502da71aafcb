"""Videos that several loaders share in an object store: written there before they count, fetched when needed.

There each library has a folder with the same files as a local one (see `media_files.py`):

    ID.film.mp4   the video
    ID.json       its record, written after the video: without a record there is no video

Uploads are assembled and checked in a local folder, and FFmpeg opens copies in a `LocalCopies`.
"""

import functools
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cachetools import TTLCache

from clipseek.api.errors import MediaMissing, MediaUnreachable, PathNotAllowed, StoreCorrupt, StoreFull
from clipseek.config.libraries import MAIN, VIDEO_MARK, libraries_below, media_folder
from clipseek.config.settings import Settings, variable_of
from executors.flow import metrics
from executors.video_loader.media.file_record import FileRecord
from executors.video_loader.media.local_copies import LocalCopies, hold
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.object_store import ObjectStore

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
        others: see `MediaFiles`.
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
        max_video_gb: float = math.inf,
        max_store_gb: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(root, allowed_roots, chunk_bytes, max_video_gb=max_video_gb, max_store_gb=max_store_gb)
        self.objects, self.cache, self._library = objects, cache, library
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
        try:
            record = _check_names(FileRecord.from_json(data), video_id)
        except (ValueError, TypeError) as error:
            raise StoreCorrupt(
                f"The record of video {video_id[:12]} at {self.objects.shown_url} is damaged ({error}). Restore "
                "it, or delete the video and index its file again"
            ) from error
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

    def _needs_no_upload(self, video_id: str) -> bool:
        if self._upload(video_id).has_begun:  # do not ask the object store for each chunk
            return False
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

    def _store_upload(self, part: Path, record: FileRecord) -> None:
        existing = self.read_record(record.video_id)
        if existing is None or existing.linked_path:  # else this server stored it before it was killed, or another did
            self._check_total_size(0)  # others may have stored videos since this upload began
            self.objects.put(part, record.file_name)
            self._write_record(record)
            existing = record
        try:
            self.cache.adopt(self.copy_name(existing.file_name), part)
        except (OSError, StoreFull) as error:
            logger.warning("'%s' is not cached here (%s): it is fetched when needed", record.title, error)
            part.unlink(missing_ok=True)

    def _measure_used_bytes(self) -> int:
        stored = sum(size_bytes for name, size_bytes in self.objects.sizes().items() if VIDEO_MARK in name)
        return stored + super()._measure_used_bytes()


def _check_names(record: FileRecord, video_id: str) -> FileRecord:
    """Check a record of an object store, where others may write. Raises: ValueError: it names another video's file."""
    own_name = re.fullmatch(rf"{re.escape(video_id + VIDEO_MARK)}(\.[a-z0-9]{{1,8}})?", record.file_name)
    if record.video_id != video_id or not (own_name or record.linked_path):
        raise ValueError(f"it belongs to {record.video_id[:12]}, file {record.file_name[:80]!r}")
    return record


def open_media_files(settings: Settings, library: str, chunk_bytes: int) -> MediaFiles:
    """The videos of a library, wherever CLIPSEEK_MEDIA says. Raises: InvalidSetting, MediaUnreachable."""
    if settings.media_url:
        return open_shared_media(settings, library, chunk_bytes)
    return MediaFiles(
        media_folder(settings, library),
        settings.media_roots,
        chunk_bytes,
        max_video_gb=settings.max_video_gb,
        max_store_gb=settings.max_store_gb,
        all_roots=lambda: [media_folder(settings, name) for name in libraries_below(settings.home)],
    )


def open_shared_media(settings: Settings, library: str, chunk_bytes: int) -> SharedMediaFiles:
    """The videos of a library in the object store. Raises: InvalidSetting, MediaUnreachable."""
    return SharedMediaFiles(
        media_folder(settings, library),
        settings.media_roots,
        chunk_bytes,
        objects=ObjectStore(settings.media_url, library),
        cache=LocalCopies(settings.cache / "videos", settings.media_cache_gb * 1e9),
        library=library,
        max_video_gb=settings.max_video_gb,
        max_store_gb=settings.max_store_gb,
    )


def check_media_reachable(settings: Settings) -> None:
    """Check that videos can be kept where CLIPSEEK_MEDIA says. Raises: InvalidSetting, MediaUnreachable."""
    if settings.media_url:
        ObjectStore(settings.media_url, MAIN).check()
    elif settings.media and not Path(settings.media).is_dir():
        raise MediaUnreachable(
            f"{variable_of('media')} is {settings.media}, but this folder does not exist. Mount its disk, or create it"
        )
