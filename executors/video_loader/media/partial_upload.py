"""An upload on its way: chunks arrive in any order, twice and at the same time, and survive a crash.

Beside the kept videos an upload with id `ID` has

    ID.part       the video, as large as it will be
    ID.chunks     one byte per chunk, 1 once the chunk's data is in the part
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from clipseek.api.errors import InvalidRequest


class PartialUpload:
    """The files of one upload below `root`, in chunks of `chunk_bytes`; the last one is shorter.

    A chunk is marked only after its data was written.
    """

    def __init__(self, root: Path, video_id: str, chunk_bytes: int) -> None:
        self.file, self._marks = root / f"{video_id}.part", root / f"{video_id}.chunks"
        self._video_id, self._chunk_bytes = video_id, chunk_bytes

    @property
    def has_begun(self) -> bool:
        return self.file.exists()

    def check_size(self, size_bytes: int) -> None:
        """Raises: InvalidRequest: another size was announced when the upload began."""
        try:
            before = self.file.stat().st_size
        except FileNotFoundError:
            return
        if before not in {0, size_bytes}:  # 0: the file was created, but not given its size yet
            raise InvalidRequest(
                f"{size_bytes} bytes are announced for video {self._video_id[:12]}, but {before} when its upload "
                "began. The id must be the SHA-256 of the whole file. Delete the video to start again"
            )

    def check_chunk(self, size_bytes: int, offset: int, data: bytes) -> None:
        """Raises: InvalidRequest: the chunk's place or length is wrong."""
        if offset % self._chunk_bytes or not 0 <= offset < size_bytes:
            raise InvalidRequest(
                f"Offset {offset} does not fit a file of {size_bytes} bytes in chunks of {self._chunk_bytes} bytes"
            )
        expected = min(self._chunk_bytes, size_bytes - offset)
        if len(data) != expected:
            raise InvalidRequest(f"The chunk at {offset} has {len(data)} bytes, but {expected} belong there")

    def missing_offsets(self, size_bytes: int) -> list[int]:
        """Offsets of the chunks that have not arrived, ascending."""
        marks = b""
        if self.has_begun:  # otherwise a server was killed and left the marks behind
            with contextlib.suppress(FileNotFoundError):
                marks = self._marks.read_bytes()
        chunks = -(-size_bytes // self._chunk_bytes)
        return [i * self._chunk_bytes for i in range(chunks) if i >= len(marks) or marks[i] != 1]

    def last_offset(self, size_bytes: int) -> int:
        return (size_bytes - 1) // self._chunk_bytes * self._chunk_bytes

    def write(self, size_bytes: int, offset: int, data: bytes) -> None:
        """Write a chunk, then mark it."""
        if not self.has_begun:
            self.drop_marks()  # they belong to an upload that is gone
        with _open_for_writing(self.file) as part:
            os.ftruncate(part, size_bytes)
            _write_all(part, data, offset)
        with _open_for_writing(self._marks) as marks:
            _write_all(marks, b"\x01", offset // self._chunk_bytes)

    def drop_marks(self) -> None:
        """Delete the marks. Do this before deleting the part: marks must not outlive their data."""
        self._marks.unlink(missing_ok=True)


@contextlib.contextmanager
def _open_for_writing(path: Path) -> Iterator[int]:
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
