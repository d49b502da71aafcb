"""Videos that several loaders share in an object store: put there before they count as taken, fetched when needed.

There each library has a folder with the same files as the one of a `MediaStore`:

    ID.film.mp4   the video
    ID.json       its record, written after the video: what has no record is not there

Uploads are put together and checked in a local folder, and what FFmpeg opens are copies in a `LocalCopies`.
"""

import functools
import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipseek.api.errors import MediaMissing, MediaUnreachable, PathNotAllowed, StoreCorrupt, StoreFull
from clipseek.config.libraries import MAIN, libraries_below, media_folder
from clipseek.config.settings import Settings, variable_of
from executors.flow import metrics
from executors.video_loader.media.local_copies import LocalCopies, held
from executors.video_loader.media.media_store import MediaRecord, MediaStore
from executors.video_loader.media.object_store import ObjectStore

logger = logging.getLogger(__name__)

# A record is read again after so long. Until then a video that another loader has deleted may still be used here.
BELIEVED_SECONDS = 10.0


class SharedMediaStore(MediaStore):
    """The videos of one library in an object store. Methods raise also what those of `ObjectStore` do.

    Args:
        root: local folder of uploads on their way, and of videos from before there was an object store.
        objects: where the videos are.
        cache: of videos of all libraries.
        library: tells its videos apart there.
        others: see `MediaStore`.
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
        self.objects, self.cache, self._library, self._clock = objects, cache, library, clock
        self._believed: dict[str, tuple[float, MediaRecord]] = {}  # when it was read, and what

    @contextmanager
    def in_use(self, video_id: str) -> Iterator[Path]:
        while (path := self.path(video_id)).parent == self.cache.folder:
            video = held(path)
            if video:
                with video:
                    yield path
                return
        yield path

    def usable(self, video_id: str) -> MediaRecord:
        record = super().usable(video_id)
        if record.linked_path:  # as another host says, which may have other folders
            try:
                self._allowed(record.linked_path)
            except PathNotAllowed as error:
                raise MediaMissing(f"'{record.title}' is used where it lies on another host. {error}") from error
        return record

    def facts(self) -> dict[str, str]:
        """What is here: to ask the object store what is there could take long."""
        copies = self.cache.copies()
        return {
            "media": self.objects.shown_url,
            "media_copies": str(len(copies)),
            "media_copies_bytes": str(sum(size_bytes for _, size_bytes, _ in copies)),
        }

    def copy_name(self, name: str) -> str:
        """The name in the cache of what has this name in the object store."""
        return f"{self._library}_{name}"

    def local_only(self) -> Iterator[MediaRecord]:
        """The videos that are in the local folder, complete, and not in the object store."""
        for video_id in super()._ids():
            record = super()._kept(video_id)
            if record and self.read_record(video_id) is None:
                yield record

    def hand_over(self, record: MediaRecord) -> None:
        """Put a video that is only here into the object store."""
        if not record.linked_path:
            self.objects.put(self.root / record.file_name, record.file_name)
        self._keep(record)
        super()._remove(record.video_id)

    def _ids(self) -> Iterable[str]:
        return {*super()._ids(), *(Path(name).stem for name in self.objects.sizes() if name.endswith(".json"))}

    def _kept(self, video_id: str) -> MediaRecord | None:
        read_at, record = self._believed.get(video_id, (-math.inf, None))
        if record and self._clock() - read_at < BELIEVED_SECONDS:
            return record
        return self.read_record(video_id) or super()._kept(video_id)

    def read_record(self, video_id: str) -> MediaRecord | None:
        """The record as it is in the object store."""
        data = self.objects.read(f"{video_id}.json")
        if data is None:
            self._believed.pop(video_id, None)
            self.cache.forget(self.copy_name(video_id))  # another loader has deleted it
            return None
        try:
            record = _checked(MediaRecord(**json.loads(data)), video_id)
        except (ValueError, TypeError) as error:
            raise StoreCorrupt(
                f"The record of video {video_id[:12]} at {self.objects.shown_url} is damaged ({error}). Restore "
                "it, or delete the video and index its file again"
            ) from error
        self._believed[video_id] = (self._clock(), record)
        return record

    def _keep(self, record: MediaRecord) -> None:
        self.objects.write(f"{record.video_id}.json", record.to_json().encode())
        self._believed[record.video_id] = (self._clock(), record)

    def _remove(self, video_id: str) -> None:
        self.objects.delete(video_id)
        self._believed.pop(video_id, None)
        super()._remove(video_id)
        self.cache.forget(self.copy_name(video_id))

    def _is_taken(self, video_id: str) -> bool:
        # While an upload goes on here, nobody asks the object store about each piece.
        if self._file(video_id, ".part").exists():
            return False
        self._believed.pop(video_id, None)  # what another loader has deleted is to be sent
        return self.is_complete(video_id)

    def _record_now(self, video_id: str) -> MediaRecord:
        self._believed.pop(video_id, None)  # else a record could be put back whose video another loader has deleted
        return super()._record_now(video_id)

    def _video_file(self, record: MediaRecord) -> Path:
        local = self.root / record.file_name
        if local.exists():
            return local
        metrics.CACHE_LOOKUPS.labels("videos").inc()
        name = self.copy_name(record.file_name)
        return self.cache.path(name, record.size_bytes, functools.partial(self._fetch, record))

    def _fetch(self, record: MediaRecord, target: Path) -> None:
        metrics.CACHE_MISSES.labels("videos").inc()
        begun = time.monotonic()
        found = self.objects.get(record.file_name, target)
        if found != record.video_id:
            raise StoreCorrupt(
                f"'{record.title}' at {self.objects.shown_url} is damaged: its content has the SHA-256 {found}, but "
                f"it is named {record.video_id}. Restore it, or delete the video and index its file again"
            )
        seconds = time.monotonic() - begun
        logger.info("fetched video %s, %d bytes, %.2f s", record.video_id[:12], record.size_bytes, seconds)

    def _take_in(self, part: Path, record: MediaRecord) -> None:
        there = self.read_record(record.video_id)
        if there is None or there.linked_path:  # else it was put there before the server was killed, or by another
            self._check_room_for(0)  # others may have put videos there since this upload began
            self.objects.put(part, record.file_name)
            self._keep(record)
            there = record
        try:
            self.cache.adopt(self.copy_name(there.file_name), part)
        except (OSError, StoreFull) as error:
            logger.warning("no copy of '%s' is kept here (%s): whoever needs it fetches it", record.title, error)
            part.unlink(missing_ok=True)

    def _taken_bytes(self) -> int:
        there = sum(size_bytes for name, size_bytes in self.objects.sizes().items() if ".film" in name)
        return there + super()._taken_bytes()


def _checked(record: MediaRecord, video_id: str) -> MediaRecord:
    """A record out of an object store, where others may write. Raises: ValueError: it names another video's file."""
    own_name = re.fullmatch(rf"{re.escape(video_id)}\.film(\.[a-z0-9]{{1,8}})?", record.file_name)
    if record.video_id != video_id or not (own_name or record.linked_path):
        raise ValueError(f"it is that of {record.video_id[:12]}, file {record.file_name[:80]!r}")
    return record


def open_store(settings: Settings, library: str, chunk_bytes: int) -> MediaStore:
    """The videos of a library, wherever CLIPSEEK_MEDIA says. Raises: InvalidSetting, MediaUnreachable."""
    if settings.media_url:
        return open_shared_store(settings, library, chunk_bytes)
    return MediaStore(
        media_folder(settings, library),
        settings.media_roots,
        chunk_bytes,
        max_video_gb=settings.max_video_gb,
        max_store_gb=settings.max_store_gb,
        all_roots=lambda: [media_folder(settings, name) for name in libraries_below(settings.home)],
    )


def open_shared_store(settings: Settings, library: str, chunk_bytes: int) -> SharedMediaStore:
    """The videos of a library in the object store. Raises: InvalidSetting, MediaUnreachable."""
    return SharedMediaStore(
        media_folder(settings, library),
        settings.media_roots,
        chunk_bytes,
        objects=ObjectStore(settings.media_url, library),
        cache=LocalCopies(settings.cache / "videos", settings.media_cache_gb * 1e9),
        library=library,
        max_video_gb=settings.max_video_gb,
        max_store_gb=settings.max_store_gb,
    )


def check_reach(settings: Settings) -> None:
    """Find out whether videos can be kept where CLIPSEEK_MEDIA says. Raises: InvalidSetting, MediaUnreachable."""
    if settings.media_url:
        ObjectStore(settings.media_url, MAIN).check()
    elif settings.media and not Path(settings.media).is_dir():
        raise MediaUnreachable(
            f"{variable_of('media')} is {settings.media}, but there is no such folder. Mount its disk, or make it"
        )
