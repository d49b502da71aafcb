"""A video to upload, read in pieces: a file of this machine, or an open binary file such as a page receives."""

import hashlib
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from clipseek.api.documents import CHUNK_BYTES
from clipseek.api.errors import EmptyFile, FileMissing, UnreadableVideo
from clipseek.machine.changing_files import check_same_size


class UploadSource(Protocol):
    """The video that an upload reads. `read` may be called from several threads at once."""

    name: str
    size_bytes: int

    def read(self, offset: int) -> bytes:
        """The chunk that begins at `offset`: CHUNK_BYTES, fewer at the end.

        Raises: UploadCorrupted: the video has another size than when it was opened.
        """


def upload_source(video: str | Path | BinaryIO) -> UploadSource:
    """The source that `video` is read from.

    Raises: FileMissing, EmptyFile: the file does not exist, or is empty. UnreadableVideo: it is a folder, or no open
    binary file.
    """
    return _PathSource(Path(video)) if isinstance(video, str | Path) else _OpenSource(video)


def sha256(source: UploadSource, progress: Callable[[int], None]) -> str:
    """The hash of the whole video in lower-case hex; `progress` gets the count of bytes read so far.

    Raises: FileMissing: it cannot be read. UploadCorrupted: it is being written.
    """
    digest = hashlib.sha256()
    done = 0
    try:
        while chunk := source.read(done):
            digest.update(chunk)
            done += len(chunk)
            progress(done)
    except OSError as error:
        raise FileMissing(
            f"'{source.name}' cannot be read ({error.strerror}). Check the file and its permissions."
        ) from error
    return digest.hexdigest()


class _PathSource:
    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        if path.is_dir():
            raise UnreadableVideo(
                f"'{path}' is a folder, not a video. Use `clipseek index` for a folder, or call `Client.index` for "
                "each video in it."
            )
        try:
            self.size_bytes = path.stat().st_size
        except OSError as error:
            raise FileMissing(f"The file '{path}' cannot be read ({error.strerror}). Check the path.") from error
        if not self.size_bytes:
            raise EmptyFile(f"'{path}' is empty (0 bytes). Choose another file.")

    def read(self, offset: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset)
            data = file.read(CHUNK_BYTES)
            check_same_size(self.name, self.size_bytes, os.fstat(file.fileno()).st_size)  # after reading: it may grow
            return data


class _OpenSource:
    """Reads the open file in place, so that its content is not held in memory twice."""

    def __init__(self, file: BinaryIO) -> None:
        self.name = Path(str(getattr(file, "name", ""))).name or "untitled"
        self._file = file
        self._lock = threading.Lock()
        self.size_bytes = self._measure()
        if not self.size_bytes:
            raise EmptyFile(f"'{self.name}' is empty (0 bytes). Choose another file.")

    def _measure(self) -> int:
        """The size of the file in bytes. Raises: UnreadableVideo: it is no open binary file."""
        try:
            is_binary = isinstance(self._file.read(0), bytes)
            size_bytes = self._file.seek(0, io.SEEK_END)
        except (AttributeError, OSError, ValueError) as error:  # no file, a pipe, a closed file
            raise UnreadableVideo(
                f"The video must be a path, or an open binary file that can seek, not {self._file!r}."
            ) from error
        if not is_binary:
            raise UnreadableVideo(f"'{self.name}' is open as text. Open it with the mode 'rb'.")
        return size_bytes

    def read(self, offset: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(CHUNK_BYTES)
            check_same_size(self.name, self.size_bytes, self._file.seek(0, io.SEEK_END))
            return data
