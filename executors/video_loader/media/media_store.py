"""The videos' files, named after their content: uploaded in pieces, or registered where they lie on the server.

Below the root a video with id `ID` (the SHA-256 of its content) has

    ID.film.mp4   the video, complete; the suffix is a hint for FFmpeg and nothing else
    ID.json       its record: title, size, and for a registered video where it lies
    ID.part       an upload on its way, as large as the video will be
    ID.chunks     beside it: one byte per chunk, 1 when the chunk's data is in the part

A chunk is marked only after its data was written, so chunks may come in any order, twice and at the same time, and an
upload goes on after a crash from what is missing.
"""

import contextlib
import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clipseek.api.errors import (
    EmptyFile,
    FileMissing,
    InvalidRequest,
    MediaMissing,
    PathNotAllowed,
    StoreCorrupt,
    UploadCorrupted,
    VideoNotFound,
)
from clipseek.api.limits import MAX_TITLE_LENGTH
from clipseek.config.limits import hold_against
from clipseek.watch.video_files import videos_below
from executors.machine.durable import sync
from executors.video_loader.media.disk import full_disk_reported, in_words, require_free
from executors.video_loader.media.folder_locks import FolderLocks

logger = logging.getLogger(__name__)

_VIDEO_ID = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(frozen=True)
class MediaRecord:
    """What is kept beside a video. `linked_path` and `mtime_ns` only for a video that is used where it lies.

    `untried` until FFmpeg has read the video once. Records from before there was this count as tried: nothing that may
    be in use is taken for what was never of use.
    """

    video_id: str
    title: str
    size_bytes: int
    file_name: str = ""
    linked_path: str = ""
    mtime_ns: int = 0
    untried: bool = False

    def to_json(self) -> str:
        """As it is kept. Loaders from before there was `untried` can read it, once the video was tried."""
        return json.dumps(
            {key: value for key, value in asdict(self).items() if key != "untried" or value}, ensure_ascii=False
        )


class MediaStore:
    """Content-addressed videos below `root`. Safe for use by several threads and processes.

    Args:
        root: folder of the videos, made if missing.
        allowed_roots: folders whose videos may be registered without a copy.
        chunk_bytes: size of an upload's pieces; the last one is shorter.
        max_video_gb, max_store_gb: size of one video, and of all uploaded ones with those on their way.
        all_roots: the folders of all stores of the server. Equal videos of several share their bytes on the disk, and
            nothing else.
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
        self._allowed_roots = tuple(folder.resolve() for folder in allowed_roots)
        self._chunk_bytes = chunk_bytes
        self._max_video_gb, self._max_store_gb = max_video_gb, max_store_gb
        self._locks = FolderLocks(root)
        root.mkdir(parents=True, exist_ok=True)

    def record(self, video_id: str) -> MediaRecord:
        """What is known of a complete video. Raises: VideoNotFound."""
        _check_id(video_id)
        found = self._kept(video_id)
        if found is None:
            raise VideoNotFound(f"There is no video {video_id} on the server, or its upload is not complete: upload it")
        return found

    def path(self, video_id: str) -> Path:
        """The video's file.

        Raises:
            VideoNotFound: nothing is known of it. MediaMissing: a registered video was moved, changed or deleted.
        """
        record = self.usable(video_id)
        return Path(record.linked_path) if record.linked_path else self._video_file(record)

    @contextlib.contextmanager
    def in_use(self, video_id: str) -> Iterator[Path]:
        """The video's file, which stays while it is in use unless the video is deleted. Raises: as `path`."""
        yield self.path(video_id)

    def usable(self, video_id: str) -> MediaRecord:
        """The record of a video that can be used. Raises: as `path`."""
        record = self.record(video_id)
        if not record.linked_path:
            return record
        path = Path(record.linked_path)
        try:
            state = path.stat()
        except OSError as error:
            raise MediaMissing(
                f"'{record.title}' is not at {path} any more ({error.strerror}). Put it back, or index it where it is"
            ) from error
        is_same = (state.st_size, state.st_mtime_ns) == (record.size_bytes, record.mtime_ns)
        if not is_same or path.resolve() != path:  # a folder became a link, perhaps to where nothing may be read
            raise MediaMissing(
                f"'{record.title}' at {path} was changed since it was indexed. Delete it and index it again"
            )
        return record

    def is_complete(self, video_id: str) -> bool:
        """Whether the video can be used."""
        try:
            self.usable(video_id)
        except (VideoNotFound, MediaMissing):
            return False
        return True

    def is_known(self, video_id: str) -> bool:
        """Whether the video is there, or, where it was registered, once was; a damaged record counts as none."""
        try:
            self.record(video_id)
        except (VideoNotFound, StoreCorrupt):
            return False
        return True

    def missing_offsets(self, video_id: str, size_bytes: int) -> list[int]:
        """Offsets of the chunks that have not arrived, ascending; none for a complete video.

        Raises:
            InvalidRequest, EmptyFile: the id or the size cannot be, or another size was announced before.
        """
        _check_id(video_id)
        if size_bytes <= 0:
            raise EmptyFile(f"The file is empty ({size_bytes} bytes announced): choose another file")
        hold_against("max_video_gb", self._max_video_gb, size_bytes / 1e9, f"The video's size, {in_words(size_bytes)},")
        if self._is_taken(video_id):
            return []
        self._check_announced(video_id, size_bytes)
        # All there, but not taken yet: the server was stopped while it checked them. Any chunk makes it go on.
        return self._unmarked(video_id, size_bytes) or [(size_bytes - 1) // self._chunk_bytes * self._chunk_bytes]

    def write_chunk(self, video_id: str, title: str, size_bytes: int, offset: int, data: bytes) -> list[int]:
        """Take a piece of a video; with the last one the video is checked and complete.

        Returns:
            The offsets that are still missing, ascending.

        Raises:
            InvalidRequest, EmptyFile: id, size, offset or length do not fit together.
            StoreFull: no room; nothing is counted as arrived.
            UploadCorrupted: all is there but is not what was announced. The upload begins anew.
        """
        self.missing_offsets(video_id, size_bytes)  # checks both
        self._check_chunk(size_bytes, offset, data)
        what = f"the upload of '{plain_title(title)}'"
        with self._locks[video_id], full_disk_reported(self.root, what):
            if not self.missing_offsets(video_id, size_bytes):
                return []
            unmarked = self._unmarked(video_id, size_bytes)
            if offset in unmarked:
                require_free(self.root, min(size_bytes, len(unmarked) * self._chunk_bytes), what)
                self._write(video_id, size_bytes, offset, data)
                unmarked.remove(offset)
            if not unmarked:
                self._finish(video_id, plain_title(title), size_bytes)
            return unmarked

    def register(self, server_path: str, title: str = "") -> MediaRecord:
        """Take a video that lies in an allowed folder, without a copy. Its content is read once, for its id.

        Raises:
            PathNotAllowed: it is, links resolved, outside the allowed folders.
            FileMissing, EmptyFile: there is no such file, or nothing in it.
        """
        path = self._allowed(server_path)
        if not path.is_file():
            raise FileMissing(f"There is no file {server_path} on the server")
        state = path.stat()
        if not state.st_size:
            raise EmptyFile(f"{server_path} is empty (0 bytes): choose another file")
        size = in_words(state.st_size)
        hold_against("max_video_gb", self._max_video_gb, state.st_size / 1e9, f"The video's size, {size},")
        video_id = sha256(path)
        with self._locks[video_id]:
            if self.is_complete(video_id):
                return self.record(video_id)
            record = MediaRecord(
                video_id,
                plain_title(title or path.name),
                state.st_size,
                linked_path=str(path),
                mtime_ns=state.st_mtime_ns,
                untried=not self.is_known(video_id),
            )
            with full_disk_reported(self.root, f"the record of '{record.title}'"):
                self._keep(record)
        return record

    def videos(self, server_path: str) -> list[Path]:
        """The videos that may be registered from a folder, in the order of their names; of a file, itself.

        Raises:
            PathNotAllowed, FileMissing, NoVideosFound.
        """
        path = self._allowed(server_path)
        if not path.exists():
            raise FileMissing(f"There is no folder {server_path} on the server")
        return list(videos_below(path))

    def _allowed(self, server_path: str) -> Path:
        try:
            path = Path(server_path).resolve()
            path.exists()  # raises where it can never be known
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
            raise PathNotAllowed(f"{server_path[:200]!r} is no path that the server can read ({error})") from error
        if not any(path.is_relative_to(folder) for folder in self._allowed_roots):
            raise PathNotAllowed(
                f"The server may not read {server_path}. Upload the file, or have the operator add its folder to "
                "CLIPSEEK_MEDIA_ROOTS"
            )
        return path

    def accept(self, video_id: str, title: str = "") -> MediaRecord:
        """Note that a video can be read, and give it another title, if any. Raises: VideoNotFound, StoreFull."""
        with self._locks[video_id]:
            record = self._record_now(video_id)
            accepted = replace(record, title=plain_title(title or record.title), untried=False)
            if accepted != record:
                with full_disk_reported(self.root, f"the record of '{record.title}'"):
                    self._keep(accepted)
            return accepted

    def refuse(self, video_id: str) -> None:
        """Remove a video that cannot be read, unless it once could: it may be the only copy, and its disk or FFmpeg at
        fault. Nothing to remove is fine."""
        with self._locks[video_id], contextlib.suppress(VideoNotFound):
            if self._record_now(video_id).untried:
                self._remove(video_id)

    def take(self, path: Path) -> MediaRecord:
        """Copy a video of this machine into the store. Raises: EmptyFile, StoreFull."""
        video_id, size_bytes = sha256(path), path.stat().st_size
        with path.open("rb") as file:
            for offset in self.missing_offsets(video_id, size_bytes):
                file.seek(offset)
                self.write_chunk(video_id, path.name, size_bytes, offset, file.read(self._chunk_bytes))
        return self.record(video_id)

    def delete(self, video_id: str) -> None:
        """Remove all that is kept of a video; a registered video's own file stays. Nothing to delete is fine."""
        _check_id(video_id)
        with self._locks[video_id]:
            self._remove(video_id)

    def records(self) -> Iterator[MediaRecord]:
        """The complete videos, in order of their ids."""
        for video_id in sorted(self._ids()):
            try:
                yield self.record(video_id)
            except (VideoNotFound, InvalidRequest):
                continue

    def facts(self) -> dict[str, str]:
        """How many videos there are, and what they take, for people."""
        records = list(self.records())
        size_bytes = sum(record.size_bytes for record in records if not record.linked_path)
        return {"media_files": str(len(records)), "media_bytes": str(size_bytes)}

    def _ids(self) -> Iterable[str]:
        return (file.stem for file in self.root.glob("*.json"))

    def _kept(self, video_id: str) -> MediaRecord | None:
        """The record of a video, if both are there."""
        try:
            found = MediaRecord(**json.loads(self._file(video_id, ".json").read_text()))
        except FileNotFoundError:
            return None
        return found if found.linked_path or (self.root / found.file_name).exists() else None

    def _record_now(self, video_id: str) -> MediaRecord:
        """`record`, whatever was believed of the video."""
        return self.record(video_id)

    def _video_file(self, record: MediaRecord) -> Path:
        """The file of a video that was uploaded."""
        return self.root / record.file_name

    def _is_taken(self, video_id: str) -> bool:
        """Whether nothing of the video needs to be sent."""
        return self.is_complete(video_id)

    def _keep(self, record: MediaRecord) -> None:
        keep_record(self.root, record)

    def _remove(self, video_id: str) -> None:
        self._file(video_id, ".chunks").unlink(missing_ok=True)  # first: marks must not outlive what they are of
        for file in self.root.glob(f"{video_id}.*"):
            file.unlink(missing_ok=True)
        sync(self.root)

    def _taken_bytes(self) -> int:
        """What all videos take, those on their way included: a part is as large as its video will be."""
        return sum(_size(file) for kind in ("*.film*", "*.part") for file in self.root.glob(kind))

    def _file(self, video_id: str, suffix: str) -> Path:
        return self.root / f"{video_id}{suffix}"

    def _unmarked(self, video_id: str, size_bytes: int) -> list[int]:
        marks = b""
        if self._file(video_id, ".part").exists():  # else marks are what a server left that was killed
            with contextlib.suppress(FileNotFoundError):
                marks = self._file(video_id, ".chunks").read_bytes()
        chunks = -(-size_bytes // self._chunk_bytes)
        return [i * self._chunk_bytes for i in range(chunks) if i >= len(marks) or marks[i] != 1]

    def _check_announced(self, video_id: str, size_bytes: int) -> None:
        try:
            before = self._file(video_id, ".part").stat().st_size
        except FileNotFoundError:
            self._check_room_for(size_bytes)
            return
        if before not in {0, size_bytes}:  # 0: made, but not given its size yet
            raise InvalidRequest(
                f"{size_bytes} bytes are announced for video {video_id[:12]}, but {before} when its upload began. "
                "The id must be the SHA-256 of the whole file; delete the video to begin anew"
            )

    def _check_room_for(self, size_bytes: int) -> None:
        if not math.isfinite(self._max_store_gb):
            return
        taken = size_bytes + self._taken_bytes()
        what = f"The size of all videos, with this one {in_words(taken)},"
        hold_against("max_store_gb", self._max_store_gb, taken / 1e9, what)

    def _check_chunk(self, size_bytes: int, offset: int, data: bytes) -> None:
        if offset % self._chunk_bytes or not 0 <= offset < size_bytes:
            raise InvalidRequest(
                f"Offset {offset} does not fit a file of {size_bytes} bytes in chunks of {self._chunk_bytes} bytes"
            )
        expected = min(self._chunk_bytes, size_bytes - offset)
        if len(data) != expected:
            raise InvalidRequest(f"The chunk at {offset} has {len(data)} bytes, but {expected} belong there")

    def _write(self, video_id: str, size_bytes: int, offset: int, data: bytes) -> None:
        if not self._file(video_id, ".part").exists():
            self._file(video_id, ".chunks").unlink(missing_ok=True)  # of a part that is gone
        with _opened(self._file(video_id, ".part")) as part:
            os.ftruncate(part, size_bytes)
            _write_all(part, data, offset)
        with _opened(self._file(video_id, ".chunks")) as chunks:
            _write_all(chunks, b"\x01", offset // self._chunk_bytes)

    def _finish(self, video_id: str, title: str, size_bytes: int) -> None:
        part, chunks = self._file(video_id, ".part"), self._file(video_id, ".chunks")
        if (found := sha256(part)) != video_id:
            chunks.unlink(missing_ok=True)  # first: marks must not outlive what they are of
            part.unlink()
            raise UploadCorrupted(
                f"What arrived of '{title}' has the SHA-256 {found}, but {video_id} was announced: the file was "
                "changed or damaged on its way. Upload it again"
            )
        sync(part)
        suffix = Path(title).suffix.lower() if _SUFFIX.fullmatch(Path(title).suffix) else ""
        untried = not self.is_known(video_id)
        record = MediaRecord(video_id, title, size_bytes, file_name=f"{video_id}.film{suffix}", untried=untried)
        self._take_in(part, record)
        chunks.unlink(missing_ok=True)
        logger.info("took '%s' as video %s, %d bytes", title, video_id[:12], size_bytes)

    def _take_in(self, part: Path, record: MediaRecord) -> None:
        """Keep a video that has come whole, and its record."""
        self._share(part, record.video_id)
        self._keep(record)
        part.replace(self.root / record.file_name)
        sync(self.root)

    def _share(self, part: Path, video_id: str) -> None:
        """Put a link to the same video of another store into the place of an upload, where there is one.

        Only now, when all bytes have come: whoever knows no more than the hash learns nothing of other stores.
        """
        twins = (twin for root in self._all_roots() if root != self.root for twin in root.glob(f"{video_id}.film*"))
        link = self._file(video_id, ".link")
        for twin in twins:
            link.unlink(missing_ok=True)
            try:
                os.link(twin, link)
            except OSError:  # gone by now, or on a disk without links: the copy stays
                continue
            if link.stat().st_size == part.stat().st_size:  # what is not whole is no video
                link.replace(part)
                return
        link.unlink(missing_ok=True)


def keep_record(root: Path, record: MediaRecord) -> None:
    """Write the record of a video, whole or not at all, and so that it outlives a power cut."""
    draft = root / f"{record.video_id}.json-part"
    draft.write_text(record.to_json())
    sync(draft)
    draft.replace(root / f"{record.video_id}.json")
    sync(root)


def plain_title(title: str) -> str:
    """A title without control characters, cut at `MAX_TITLE_LENGTH`. No file is named after it: it may hold a `/`."""
    return "".join(c for c in title if c.isprintable()).strip()[:MAX_TITLE_LENGTH] or "untitled"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file descriptor for reading and writing, the file made if missing and never cut."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _size(file: Path) -> int:
    """In bytes; 0 if it was deleted, or renamed, a moment ago."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, lower-case hex."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_id(video_id: str) -> None:
    if not _VIDEO_ID.fullmatch(video_id):
        raise InvalidRequest(f"'{video_id[:80]}' is not a video's id: 64 digits 0-9 a-f, the SHA-256 of its file")
