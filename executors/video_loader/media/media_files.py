"""The videos' files, named after their content: uploaded in chunks, or registered in place.

Below the root a video with id `ID` (the SHA-256 of its content) has

    ID.film.mp4   the complete video
    ID.json       its record: title, size, and for a registered video its path

and an upload on its way the files of `partial_upload.py`. These names never change: existing stores have them.
"""

import contextlib
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from clipseek.api.errors import (
    EmptyFile,
    FileMissing,
    InvalidRequest,
    MediaMissing,
    StoreCorrupt,
    UploadCorrupted,
    VideoNotFound,
)
from clipseek.api.formats import size
from clipseek.config.libraries import VIDEO_MARK
from clipseek.config.limits import hold_against
from executors.machine.disk import report_full_disk, require_free, sync
from executors.machine.folder_cache import FolderLocks
from executors.video_loader.media.file_record import (
    FileRecord,
    check_video_id,
    compute_sha256,
    name_video_file,
    plain_title,
    write_record,
)
from executors.video_loader.media.partial_upload import PartialUpload
from executors.video_loader.media.server_folders import ServerFolders, check_link

logger = logging.getLogger(__name__)


class MediaFiles:
    """Content-addressed videos below `root`. Safe for several threads and processes.

    Args:
        root: folder of the videos, created if missing.
        allowed_roots: folders whose videos may be registered without a copy.
        chunk_bytes: size of an upload's chunks; the last one is shorter.
        max_video_gb, max_store_gb: size limit of one video, and of all uploaded ones with unfinished uploads.
        all_roots: the folders of all libraries of the server. Equal videos in several of them share their bytes on the
            disk, and nothing else.

    Attributes:
        folders: those whose videos may be registered.
    """

    def __init__(
        self,
        root: Path,
        allowed_roots: tuple[Path, ...],
        chunk_bytes: int,
        *,
        max_video_gb: float = math.inf,
        max_store_gb: float = math.inf,
        all_roots: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        self.root = root
        self._all_roots = all_roots
        self.folders = ServerFolders(allowed_roots)
        self._chunk_bytes = chunk_bytes
        self._max_video_gb, self._max_store_gb = max_video_gb, max_store_gb
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
        check_video_id(video_id)
        if size_bytes <= 0:
            raise EmptyFile(f"The file is empty ({size_bytes} bytes announced): choose another file")
        self._check_video_size(size_bytes)
        if self._needs_no_upload(video_id):
            return []
        upload = self._upload(video_id)
        if not upload.has_begun:
            self._check_total_size(size_bytes)
        upload.check_size(size_bytes)
        # If every chunk is marked, the server was stopped while it checked the video. Any chunk makes it continue.
        return upload.missing_offsets(size_bytes) or [upload.last_offset(size_bytes)]

    def write_chunk(self, video_id: str, title: str, size_bytes: int, offset: int, data: bytes) -> list[int]:
        """Store a chunk of a video. The last one completes the video, whose content is then checked.

        Returns: The offsets that are still missing, ascending.

        Raises: InvalidRequest, EmptyFile: id, size, offset or length do not fit together. StoreFull: no room; the chunk
        does not count as arrived. UploadCorrupted: all chunks arrived, but their SHA-256 is another. The upload starts
        again.
        """
        self.missing_offsets(video_id, size_bytes)  # checks id and size
        upload = self._upload(video_id)
        upload.check_chunk(size_bytes, offset, data)
        what = f"the upload of '{plain_title(title)}'"
        with self._locks[video_id], report_full_disk(self.root, what):
            if not self.missing_offsets(video_id, size_bytes):
                return []
            missing = upload.missing_offsets(size_bytes)
            if offset in missing:
                require_free(self.root, min(size_bytes, len(missing) * self._chunk_bytes), what)
                upload.write(size_bytes, offset, data)
                missing.remove(offset)
            if not missing:
                self._finish(upload, video_id, plain_title(title), size_bytes)
            return missing

    def register(self, server_path: str, title: str = "") -> FileRecord:
        """Use a video of an allowed folder in place, without a copy. Reads its content once, for its id.

        Raises: PathNotAllowed: with links resolved, it is outside the allowed folders. FileMissing, EmptyFile: the file
        does not exist, or is empty.
        """
        path = self.folders.resolve(server_path)
        if not path.is_file():
            raise FileMissing(f"The server has no file {server_path}")
        state = path.stat()
        if not state.st_size:
            raise EmptyFile(f"{server_path} is empty (0 bytes): choose another file")
        self._check_video_size(state.st_size)
        video_id = compute_sha256(path)
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

    def accept(self, video_id: str, title: str = "") -> FileRecord:
        """Note that a video can be read, and change its title if one is given. Raises: VideoNotFound, StoreFull."""
        with self._locks[video_id]:
            record = self._reread_record(video_id)
            accepted = replace(record, title=plain_title(title or record.title), untried=False)
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
        """The complete videos, in order of their ids."""
        for video_id in sorted(self._list_ids()):
            with contextlib.suppress(VideoNotFound, InvalidRequest):
                yield self.record(video_id)

    def facts(self) -> dict[str, str]:
        """The number of videos and their size, for people."""
        records = list(self.records())
        size_bytes = sum(record.size_bytes for record in records if not record.linked_path)
        return {"media_files": str(len(records)), "media_bytes": str(size_bytes)}

    def _upload(self, video_id: str) -> PartialUpload:
        return PartialUpload(self.root, video_id, self._chunk_bytes)

    def _check_video_size(self, size_bytes: int) -> None:
        hold_against("max_video_gb", self._max_video_gb, size_bytes / 1e9, f"The video's size, {size(size_bytes)},")

    def _check_total_size(self, new_bytes: int) -> None:
        if math.isfinite(self._max_store_gb):
            total = new_bytes + self._measure_used_bytes()
            what = f"The size of all videos, with this one {size(total)},"
            hold_against("max_store_gb", self._max_store_gb, total / 1e9, what)

    def _finish(self, upload: PartialUpload, video_id: str, title: str, size_bytes: int) -> None:
        if (digest := compute_sha256(upload.file)) != video_id:
            upload.drop_marks()
            upload.file.unlink()
            raise UploadCorrupted(
                f"The upload of '{title}' has the SHA-256 {digest}, but {video_id} was announced: the file was "
                "changed, or damaged on its way. Upload it again"
            )
        sync(upload.file)
        untried = not self.is_known(video_id)
        name = name_video_file(video_id, title)
        self._store_upload(upload.file, FileRecord(video_id, title, size_bytes, file_name=name, untried=untried))
        upload.drop_marks()
        logger.info("stored '%s' as video %s, %d bytes", title, video_id[:12], size_bytes)

    def _share_bytes(self, part: Path, video_id: str) -> None:
        """Replace an upload by a hard link to the same video of another library, if there is one.

        Only after all bytes arrived: a client that knows no more than the hash learns nothing of other libraries.
        """
        roots = (root for root in self._all_roots() if root != self.root)
        link = self.root / f"{video_id}.link"
        for twin in (twin for root in roots for twin in root.glob(f"{video_id}{VIDEO_MARK}*")):
            link.unlink(missing_ok=True)
            try:
                os.link(twin, link)
            except OSError:  # deleted meanwhile, or on a disk without links: the upload's own bytes stay
                continue
            if link.stat().st_size == part.stat().st_size:  # a file of another size is not whole
                link.replace(part)
                return
        link.unlink(missing_ok=True)

    # `SharedMediaFiles` overrides the methods below.

    def _list_ids(self) -> Iterable[str]:
        return (file.stem for file in self.root.glob("*.json"))

    def _find_record(self, video_id: str) -> FileRecord | None:
        try:
            record = FileRecord.from_json((self.root / f"{video_id}.json").read_text())
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

    def _remove_files(self, video_id: str) -> None:
        self._upload(video_id).drop_marks()
        for file in self.root.glob(f"{video_id}.*"):
            file.unlink(missing_ok=True)
        sync(self.root)

    def _measure_used_bytes(self) -> int:
        return sum(_measure_bytes(file) for kind in (f"*{VIDEO_MARK}*", "*.part") for file in self.root.glob(kind))

    def _store_upload(self, part: Path, record: FileRecord) -> None:
        self._share_bytes(part, record.video_id)
        self._write_record(record)
        part.replace(self.root / record.file_name)
        sync(self.root)


def _measure_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
