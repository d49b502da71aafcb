"""The videos' files, named after their content: uploaded in chunks, or registered in place.

Below the root a video with id `ID` (the SHA-256 of its content) has

    ID.film.mp4   the complete video
    ID.json       its record: title, size, and for a registered video its path

and an upload on its way the files of `partial_upload.py`. These names never change: existing stores have them.
"""

import contextlib
import functools
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from clipseek.api.errors import (
    EmptyFile,
    FileMissing,
    InvalidRequest,
    LimitExceeded,
    MediaMissing,
    StoreCorrupt,
    UploadCorrupted,
    VideoNotFound,
)
from clipseek.api.formats import excerpt, plain_title, size
from clipseek.api.limits import MAX_SUBTITLE_BYTES, MAX_SUBTITLE_FILES, SUBTITLE_SUFFIXES
from clipseek.config.limits import hold_against
from clipseek.machine.changing_files import check_same_size
from clipseek.machine.store_size import measure_videos
from clipseek.machine.sync import sync
from executors.machine.disk import report_full_disk, require_free
from executors.machine.folder_cache import FolderLocks
from executors.video_loader.media.abandoned_uploads import make_room
from executors.video_loader.media.file_record import (
    FileRecord,
    check_video_id,
    compute_sha256,
    name_subtitle_file,
    name_video_file,
    own_name_of,
    parse_record,
    plain_name,
    write_record,
)
from executors.video_loader.media.partial_upload import PartialUpload
from executors.video_loader.media.same_video import link_same_video
from executors.video_loader.media.server_folders import ServerFolders, check_link

logger = logging.getLogger(__name__)


class UploadLimits(TypedDict, total=False):
    """How much may be uploaded. Without one of them there is no limit."""

    max_video_gb: float  # size of one video
    max_store_gb: float  # of all uploaded videos of all libraries
    idle_seconds: float  # an upload without a byte for so long is deleted when another one needs its room
    all_roots: Callable[[], Iterable[Path]]  # the folders of all libraries


class MediaFiles:
    """Content-addressed videos below `root`. Safe for several threads and processes.

    Args:
        root: folder of the videos, created if missing.
        allowed_roots: folders whose videos may be registered without a copy.
        chunk_bytes: size of an upload's chunks; the last one is shorter.
        limits: of uploads. Equal videos in several of `all_roots` share their bytes on the disk, and nothing else.

    Attributes:
        folders: those whose videos may be registered.
    """

    def __init__(
        self,
        root: Path,
        allowed_roots: tuple[Path, ...],
        chunk_bytes: int,
        **limits: Unpack[UploadLimits],
    ) -> None:
        self.root = root
        self._all_roots = limits.get("all_roots", tuple)
        self.folders = ServerFolders(allowed_roots)
        self._chunk_bytes = chunk_bytes
        self._max_video_gb = limits.get("max_video_gb", math.inf)
        self._max_store_gb = limits.get("max_store_gb", math.inf)
        self._idle_seconds = limits.get("idle_seconds", math.inf)
        self._locks = FolderLocks(root)
        root.mkdir(parents=True, exist_ok=True)

    def record(self, video_id: str) -> FileRecord:
        """The record of a complete video. Raises: VideoNotFound."""
        check_video_id(video_id)
        record = self._find_record(video_id)
        if record is None:
            raise VideoNotFound(f"Video {video_id} is not on the server, or its upload is not complete. Upload it")
        return record

    def path(self, video_id: str) -> Path:
        """The video's file.

        Raises: VideoNotFound: the video is unknown. MediaMissing: a registered video was moved, changed or deleted.
        """
        record = self.usable_record(video_id)
        return Path(record.linked_path) if record.linked_path else self._locate_file(record)

    @contextlib.contextmanager
    def in_use(self, video_id: str) -> Iterator[Path]:
        """The video's file. It stays during the block unless the video is deleted. Raises: the errors of `path`."""
        yield self.path(video_id)

    def usable_record(self, video_id: str) -> FileRecord:
        """The record of a video whose file can be used. Raises: the errors of `path`."""
        record = self.record(video_id)
        if record.linked_path:
            check_link(record)
        return record

    def keep_subtitles(self, video_id: str, name: str, data: bytes) -> None:
        """Keep a file of subtitles with a video, in place of one of the same name.

        Raises: VideoNotFound, MediaMissing, StoreFull. InvalidRequest: it has no known suffix. LimitExceeded: it is too
        large, or there are too many.
        """
        _check_subtitles(name, data)
        file_name = name_subtitle_file(video_id, name, data)
        with self._locks[video_id]:
            record = self._reread_record(video_id)
            same = {kept for kept in record.subtitles if own_name_of(kept) == own_name_of(file_name)}
            kept = (*(other for other in record.subtitles if other not in same), file_name)
            if len(kept) > MAX_SUBTITLE_FILES:
                most = f"{MAX_SUBTITLE_FILES} is the most"
                raise LimitExceeded(f"'{record.title}' has {len(record.subtitles)} files of subtitles, and {most}.")
            self._check_total_size(len(data))
            with report_full_disk(self.root, f"the subtitles of '{record.title}'"):
                self._write_subtitles(file_name, data)
                self._write_record(replace(record, subtitles=kept))
            for other in same - {file_name}:
                self._remove_subtitles(other)

    def subtitle_files(self, video_id: str) -> tuple[list[Path], str]:
        """The files of subtitles that belong to a video, and the video's own name without its suffix.

        Raises: VideoNotFound.
        """
        record = self.record(video_id)
        kept = [path for name in record.subtitles if (path := self._locate_subtitles(name))]
        if not record.linked_path:
            return kept, plain_name(Path(record.title).stem)
        video = Path(record.linked_path)
        return [*kept, *self.folders.list_subtitles(video)], video.stem

    def subtitle_names(self, video_id: str) -> list[str]:
        """The names of the files of subtitles, as their owners gave them. Raises: VideoNotFound."""
        record = self.record(video_id)
        video = Path(record.linked_path)
        beside = self.folders.list_subtitles(video) if record.linked_path else []
        return [*map(own_name_of, record.subtitles), *(path.name for path in beside)]

    def is_complete(self, video_id: str) -> bool:
        """Whether the video can be used."""
        with contextlib.suppress(VideoNotFound, MediaMissing):
            self.usable_record(video_id)
            return True
        return False

    def is_known(self, video_id: str) -> bool:
        """Whether the video has a record, even if a registered file is gone; a damaged record counts as none."""
        with contextlib.suppress(VideoNotFound, StoreCorrupt):
            self.record(video_id)
            return True
        return False

    def missing_offsets(self, video_id: str, size_bytes: int) -> list[int]:
        """Offsets of the chunks that have not arrived, ascending; none for a complete video.

        Raises: InvalidRequest, EmptyFile: the id or the size is invalid, or another size was announced before.
        LimitExceeded: the video, or all videos together, would be too large.
        """
        upload = self._find_upload(video_id, size_bytes)
        if upload is None:
            return []
        # If every chunk arrived, the server was stopped while it checked the video. Any chunk makes it continue.
        return upload.missing_offsets(size_bytes) or [upload.last_offset(size_bytes)]

    def write_chunk(self, video_id: str, title: str, size_bytes: int, offset: int, data: bytes) -> list[int]:
        """Store a chunk of a video. The last one completes the video, whose content is then checked.

        Returns: The offsets that are still missing, ascending.

        Raises: InvalidRequest, EmptyFile: id, size, offset or length do not fit together. LimitExceeded, StoreFull: no
        room; the chunk does not count as arrived. UploadCorrupted: all chunks arrived, but their SHA-256 is another.
        The upload starts again.
        """
        upload, title = self._find_upload(video_id, size_bytes), plain_title(title)
        if upload is None:
            return []
        upload.check_chunk(size_bytes, offset, data)
        what = f"the upload of '{title}'"
        check = functools.partial(self._check_room, upload, size_bytes, len(data), what)
        self._make_room(check, video_id)
        with report_full_disk(self.root, what):
            with self._locks[video_id]:
                if self.is_complete(video_id):
                    return []
                upload = self._upload(video_id)  # as it is now
                upload.check_size(size_bytes)  # another caller may have begun it meanwhile
                if offset in upload.missing_offsets(size_bytes):
                    upload.write(size_bytes, offset, data)
                missing = upload.missing_offsets(size_bytes)
            if not missing:
                self._finish(upload, FileRecord(video_id, title, size_bytes, name_video_file(video_id, title)))
                missing = self.missing_offsets(video_id, size_bytes)
            return missing

    def register(self, server_path: str, title: str = "") -> FileRecord:
        """Use a video of an allowed folder in place, without a copy. Reads its content once, for its id.

        Raises: PathNotAllowed: with links resolved, it is outside the allowed folders. FileMissing, EmptyFile: the file
        does not exist, or is empty. UploadCorrupted: it is being written.
        """
        path = self.folders.resolve(server_path)
        if not path.is_file():
            raise FileMissing(f"The server has no file {server_path}")
        state = path.stat()
        if not state.st_size:
            raise EmptyFile(f"{server_path} is empty (0 bytes): choose another file")
        self._check_video_size(state.st_size)
        video_id = compute_sha256(path)
        check_same_size(path.name, state.st_size, path.stat().st_size)
        with self._locks[video_id]:
            if self.is_complete(video_id):
                return self.record(video_id)
            record = FileRecord(
                video_id,
                plain_title(title or path.name),
                state.st_size,
                linked_path=str(path),
                mtime_ns=state.st_mtime_ns,
                untried=not self.is_known(video_id),
            )
            with report_full_disk(self.root, f"the record of '{record.title}'"):
                self._write_record(record)
        return record

    def accept(self, video_id: str, title: str = "", *, stream: int = 0, own_zero: bool = False) -> FileRecord:
        """Note that a video can be read, and change its title if one is given. `stream` counts the first time only.

        `own_zero` stays, once it is true: its times count from the file's zero from now on.

        Raises: VideoNotFound, StoreFull.
        """
        with self._locks[video_id]:
            record = self._reread_record(video_id)
            own_zero = own_zero or record.own_zero
            accepted = replace(record, title=plain_title(title or record.title), untried=False, own_zero=own_zero)
            if record.untried:
                accepted = replace(accepted, stream=stream)
            if accepted != record:
                with report_full_disk(self.root, f"the record of '{record.title}'"):
                    self._write_record(accepted)
            return accepted

    def refuse(self, video_id: str) -> None:
        """Remove a video that cannot be read. An unknown video is fine.

        A video that could be read once stays: it may be the only copy, and its disk or FFmpeg may be at fault.
        """
        with self._locks[video_id], contextlib.suppress(VideoNotFound):
            if self._reread_record(video_id).untried:
                self._remove_files(video_id)

    def add_file(self, path: Path) -> FileRecord:
        """Copy a video of this machine. Raises: EmptyFile, StoreFull."""
        video_id, size_bytes = compute_sha256(path), path.stat().st_size
        with path.open("rb") as file:
            for offset in self.missing_offsets(video_id, size_bytes):
                file.seek(offset)
                self.write_chunk(video_id, path.name, size_bytes, offset, file.read(self._chunk_bytes))
        return self.record(video_id)

    def delete(self, video_id: str) -> None:
        """Remove everything kept of a video. A registered video's own file stays. An unknown video is fine."""
        check_video_id(video_id)
        with self._locks[video_id]:
            self._remove_files(video_id)

    def records(self) -> Iterator[FileRecord]:
        """The complete videos whose records are whole, in order of their ids."""
        for video_id in sorted(self._list_ids()):
            with contextlib.suppress(VideoNotFound, InvalidRequest, StoreCorrupt):
                yield self.record(video_id)

    def facts(self) -> dict[str, str]:
        """The number of videos and their size, for people."""
        records = list(self.records())
        size_bytes = sum(record.size_bytes for record in records if not record.linked_path)
        return {"media_files": str(len(records)), "media_bytes": str(size_bytes)}

    def _find_upload(self, video_id: str, size_bytes: int) -> PartialUpload | None:
        """The upload of a video, begun or not; None for a complete video. Raises: the errors of `missing_offsets`."""
        check_video_id(video_id)
        if size_bytes <= 0:
            raise EmptyFile(f"The file is empty ({size_bytes} bytes announced): choose another file")
        self._check_video_size(size_bytes)
        if self._needs_no_upload(video_id):
            return None
        upload = self._upload(video_id)
        if not upload.has_begun:
            self._make_room(lambda more_bytes: self._check_total_size(size_bytes - more_bytes), video_id)
        upload.check_size(size_bytes)
        return upload

    def _upload(self, video_id: str) -> PartialUpload:
        return PartialUpload(self.root, video_id, self._chunk_bytes)

    def _list_roots(self) -> set[Path]:
        return {self.root, *self._all_roots()}

    def _check_video_size(self, size_bytes: int) -> None:
        hold_against("max_video_gb", self._max_video_gb, size_bytes / 1e9, f"The video's size, {size(size_bytes)},")

    def _check_total_size(self, new_bytes: int) -> None:
        if math.isfinite(self._max_store_gb):
            total = new_bytes + self._measure_used_bytes()
            what = f"The size of all videos, with {size(new_bytes)} more,"  # the total would tell of other libraries
            hold_against("max_store_gb", self._max_store_gb, total / 1e9, what)

    def _check_room(
        self, upload: PartialUpload, size_bytes: int, new_bytes: int, what: str, more_bytes: int = 0
    ) -> None:
        missing_bytes = len(upload.missing_offsets(size_bytes)) * self._chunk_bytes
        require_free(self.root, min(size_bytes, missing_bytes) - more_bytes, what)
        self._check_total_size(new_bytes - more_bytes)

    def _make_room(self, check: Callable[[int], None], video_id: str) -> None:
        make_room(check, self._list_roots(), self._idle_seconds, keep=video_id)

    def _finish(self, upload: PartialUpload, record: FileRecord) -> None:
        """Check a whole upload and store it. It is read without a lock that other uploads need."""
        with upload.alone() as part:
            if part is None:  # another thread stored it, or it was deleted
                return
            try:
                digest = compute_sha256(upload.file)
            except FileNotFoundError:  # deleted just now
                return
            if digest != record.video_id:
                with self._locks[record.video_id]:
                    if not upload.is_unchanged(part):  # deleted, and perhaps begun again
                        return
                    upload.discard()
                raise UploadCorrupted(
                    f"'{record.title}' was changed while it was read, or damaged on its way: it has the SHA-256 "
                    f"{digest}, but {record.video_id} was announced. Upload it again when nothing writes to it"
                )
            sync(upload.file)
            if self._store_upload(upload, part, record):
                logger.info("stored '%s' as video %s, %d bytes", record.title, record.video_id[:12], record.size_bytes)

    # `SharedMediaFiles` overrides the methods below.

    def _list_ids(self) -> Iterable[str]:
        return (file.stem for file in self.root.glob("*.json"))

    def _find_record(self, video_id: str) -> FileRecord | None:
        file = self.root / f"{video_id}.json"
        try:
            record = parse_record(file.read_bytes(), video_id, str(self.root))
        except FileNotFoundError:
            return None
        return record if record.linked_path or (self.root / record.file_name).exists() else None

    def _reread_record(self, video_id: str) -> FileRecord:
        return self.record(video_id)

    def _locate_file(self, record: FileRecord) -> Path:
        return self.root / record.file_name

    def _needs_no_upload(self, video_id: str) -> bool:
        return self.is_complete(video_id)

    def _write_record(self, record: FileRecord) -> None:
        write_record(self.root, record)

    def _write_subtitles(self, file_name: str, data: bytes) -> None:
        draft = self.root / f"{file_name}-part"
        draft.write_bytes(data)
        sync(draft)
        draft.replace(self.root / file_name)

    def _remove_subtitles(self, file_name: str) -> None:
        (self.root / file_name).unlink(missing_ok=True)

    def _locate_subtitles(self, file_name: str) -> Path | None:
        path = self.root / file_name
        return path if path.is_file() else None

    def _remove_files(self, video_id: str) -> None:
        self._upload(video_id).discard()
        for file in self.root.glob(f"{video_id}.*"):
            file.unlink(missing_ok=True)
        sync(self.root)

    def _measure_used_bytes(self) -> int:
        return measure_videos(self._list_roots())

    def _store_upload(self, upload: PartialUpload, part: os.stat_result, record: FileRecord) -> bool:
        """Move a checked upload, whose state is `part`, to its name. Returns: False if it was deleted meanwhile.

        Another library's file takes its place if it is the same: only now, when all bytes arrived, so that a client
        that knows no more than the hash learns nothing of other libraries.
        """
        link = self.root / f"{record.video_id}.{part.st_ino}.link"  # of this upload alone
        is_linked = link_same_video(record.video_id, link, self._list_roots() - {self.root})
        with self._locks[record.video_id]:
            is_there = upload.is_unchanged(part)
            if is_there:
                self._write_record(replace(record, untried=not self.is_known(record.video_id)))
                (link if is_linked else upload.file).replace(self.root / record.file_name)
                sync(self.root)
                upload.discard()
            link.unlink(missing_ok=True)
        return is_there


def _check_subtitles(name: str, data: bytes) -> None:
    if Path(name).suffix.lower() not in SUBTITLE_SUFFIXES:
        raise InvalidRequest(
            f"'{excerpt(name)}' is no file of subtitles: it must end in {', '.join(SUBTITLE_SUFFIXES)}."
        )
    if len(data) > MAX_SUBTITLE_BYTES:
        raise LimitExceeded(
            f"'{excerpt(name)}' has {size(len(data))}, and subtitles at most {size(MAX_SUBTITLE_BYTES)}."
        )
