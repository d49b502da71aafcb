"""An upload on its way: chunks arrive in any order, twice and at the same time, and survive a crash or a power cut.

Beside the kept videos an upload with id `ID` has

    ID.part       the video, as large as it will be
    ID.chunks     one byte per chunk, 1 once the chunk's data is in the part
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from clipseek.api.errors import InvalidRequest
from clipseek.machine.store_size import PART_SUFFIX
from clipseek.machine.sync import sync

MARKS_SUFFIX = ".chunks"
_ARRIVED = 1


class PartialUpload:
    """The files of one upload below `root`, in chunks of `chunk_bytes`; the last one is shorter.

    A chunk is marked only after its data is on the disk. Both files belong to this upload alone: what is a link, or has
    a second name, is never written to, but replaced.
    """

    def __init__(self, root: Path, video_id: str, chunk_bytes: int) -> None:
        self.file, self._marks = root / f"{video_id}{PART_SUFFIX}", root / f"{video_id}{MARKS_SUFFIX}"
        self._video_id, self._chunk_bytes = video_id, chunk_bytes

    @property
    def has_begun(self) -> bool:
        return _stat_own(self.file) is not None

    def check_size(self, size_bytes: int) -> None:
        """Raises: InvalidRequest: another size was announced when the upload began."""
        state = _stat_own(self.file)
        if state and state.st_size:  # 0: the file was created, but not given its size yet
            self._check_announced(size_bytes, state.st_size)

    def check_chunk(self, size_bytes: int, offset: int, data: bytes) -> None:
        """Raises: InvalidRequest: the chunk's place or length is wrong."""
        if offset % self._chunk_bytes or not 0 <= offset < size_bytes:
            raise InvalidRequest(
                f"Offset {offset} does not fit a file of {size_bytes} bytes in chunks of {self._chunk_bytes} bytes"
            )
        expected = self._length(size_bytes, offset)
        if len(data) != expected:
            raise InvalidRequest(f"The chunk at {offset} has {len(data)} bytes, but {expected} belong there")

    def missing_offsets(self, size_bytes: int) -> list[int]:
        """Offsets of the chunks that have not arrived, ascending."""
        marks = self._read_marks(size_bytes)
        chunks = self._count_chunks(size_bytes)
        return [i * self._chunk_bytes for i in range(chunks) if i >= len(marks) or marks[i] != _ARRIVED]

    def last_offset(self, size_bytes: int) -> int:
        return (size_bytes - 1) // self._chunk_bytes * self._chunk_bytes

    def write(self, size_bytes: int, offset: int, data: bytes) -> None:
        """Write a chunk to the disk, then mark it."""
        is_new = not self._read_marks(size_bytes)
        if is_new:
            self._drop_marks()  # damaged ones, or those of an upload that is gone
        if _stat_own(self.file) is None:
            self.file.unlink(missing_ok=True)
        with _open_for_writing(self.file) as part:
            os.ftruncate(part, size_bytes)
            _write_all(part, data, offset)
            os.fsync(part)
        with _open_for_writing(self._marks) as marks:
            _write_all(marks, bytes([_ARRIVED]), offset // self._chunk_bytes)
            os.fsync(marks)
        if is_new:
            sync(self.file.parent)

    @contextlib.contextmanager
    def alone(self, *, wait: bool = True) -> Iterator[os.stat_result | None]:
        """The state of the part, which nobody else checks, stores or ends meanwhile. Other uploads go on.

        None: there is no part any more, or another one has it and `wait` is false.
        """
        with contextlib.ExitStack() as opened:
            try:
                part = opened.enter_context(_open_for_writing(self.file, create=False))
                fcntl.flock(part, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (FileNotFoundError, BlockingIOError):
                yield None
                return
            state = os.fstat(part)
            yield state if self.is_unchanged(state) else None

    def is_unchanged(self, state: os.stat_result) -> bool:
        """Whether the part is the file whose state this is, and nobody has written to it since."""
        now = _stat_own(self.file)
        return now is not None and os.path.samestat(now, state) and now.st_mtime_ns == state.st_mtime_ns

    def discard(self) -> None:
        """Delete the upload, its marks first: they must not outlive their data."""
        self._drop_marks()
        self.file.unlink(missing_ok=True)

    def _check_announced(self, size_bytes: int, before: int) -> None:
        if size_bytes != before:
            raise InvalidRequest(
                f"{size_bytes} bytes are announced for video {self._video_id[:12]}, but {before} when its upload "
                "began. The id must be the SHA-256 of the whole file. Delete the video to start again"
            )

    def _length(self, size_bytes: int, offset: int) -> int:
        """How many bytes the chunk at an offset has."""
        return min(self._chunk_bytes, size_bytes - offset)

    def _count_chunks(self, size_bytes: int) -> int:
        return -(-size_bytes // self._chunk_bytes)

    def _read_marks(self, size_bytes: int) -> bytes:
        """The marks; none if they are damaged, or do not belong to a part of this size: then all is sent again."""
        part, marks = _stat_own(self.file), b""
        if part and part.st_size == size_bytes and _stat_own(self._marks):
            with contextlib.suppress(FileNotFoundError):
                marks = self._marks.read_bytes()
        is_sound = len(marks) <= self._count_chunks(size_bytes) and set(marks) <= {0, _ARRIVED}
        return marks if is_sound else b""

    def _drop_marks(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._marks.unlink()
            sync(self._marks.parent)  # otherwise a power cut could bring them back beside another part


def _stat_own(path: Path) -> os.stat_result | None:
    """The state of a file that has no second name and is no link; None for everything else."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return None
    return state if stat.S_ISREG(state.st_mode) and state.st_nlink <= 1 else None


@contextlib.contextmanager
def _open_for_writing(path: Path, *, create: bool = True) -> Iterator[int]:
    """Open a file of this upload. Raises: OSError: it is a link."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0), 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
