"""An upload whose chunks may reach any loader: each chunk is an object, until one loader has them all.

In the folder of the library, `ID.chunks/SIZE-OFFSET-CRC` is a chunk of the video that will have SIZE bytes. Chunks that
came through this loader are also on its disk, so that they need not be fetched again. While a loader brings them
together it writes `ID.chunks/finishing` again and again: they are not abandoned, however long that takes.
"""

import contextlib
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clipseek.api.errors import MediaUnreachable, StoreFull
from executors.video_loader.media.object_store import CHUNKS_SUFFIX, ObjectStore
from executors.video_loader.media.partial_upload import PartialUpload

SIGN_SECONDS = 30.0  # between two signs of life
_SIGN = "finishing"


class Chunk(NamedTuple):
    """A chunk in the object store, as its name describes it."""

    size_bytes: int  # of the whole video
    offset: int
    crc: int

    @property
    def name(self) -> str:
        return f"{self.size_bytes}-{self.offset}-{self.crc:08x}"


class ObjectUpload(PartialUpload):
    """One upload into an object store, for one request: what others store later may be missing here.

    Methods also raise the store's errors.

    Args:
        root: of the files on this disk.
    """

    def __init__(self, root: Path, video_id: str, chunk_bytes: int, objects: ObjectStore) -> None:
        super().__init__(root, video_id, chunk_bytes)
        self._objects, self._folder = objects, f"{video_id}{CHUNKS_SUFFIX}"
        self._listed: dict[Chunk, int] | None = None  # with the bytes of each that arrived
        self._signing, self._ended = threading.Lock(), threading.Event()

    @property
    def has_begun(self) -> bool:
        return bool(self._chunks())

    def check_size(self, size_bytes: int) -> None:
        for chunk in self._chunks():
            self._check_announced(size_bytes, chunk.size_bytes)

    def missing_offsets(self, size_bytes: int) -> list[int]:
        there = {
            chunk.offset
            for chunk, arrived in self._chunks().items()
            if chunk.size_bytes == size_bytes and arrived == self._length(size_bytes, chunk.offset)
        }
        return [offset for offset in range(0, size_bytes, self._chunk_bytes) if offset not in there]

    def write(self, size_bytes: int, offset: int, data: bytes) -> None:
        """Store a chunk. It counts once it is in the object store."""
        super().write(size_bytes, offset, data)
        self._objects.write_now(f"{self._folder}/{Chunk(size_bytes, offset, zlib.crc32(data)).name}", data)
        self._listed = None  # other loaders store chunks, too: the one that stores the last must see them all

    def assemble(self, size_bytes: int) -> None:
        """Bring the chunks together on this disk: those that are not here, or others than in the object store.

        A chunk that is gone is left out: somebody deleted the upload, or has just stored the video.
        """
        self._listed = None
        for chunk in sorted(self._chunks()):
            if chunk.size_bytes == size_bytes and self._crc_here(chunk) != chunk.crc:
                data = self._objects.read(f"{self._folder}/{chunk.name}")
                if data is not None:
                    super().write(size_bytes, chunk.offset, data)

    @contextlib.contextmanager
    def signs_of_life(self) -> Iterator[None]:
        """Show other loaders during the block that this upload is not abandoned."""
        threading.Thread(target=self._give_signs, name="upload-signs", daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()

    def _give_signs(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(MediaUnreachable, StoreFull), self._signing:
                if not self._ended.is_set() and self._objects.sizes(self._folder):
                    self._objects.write_now(f"{self._folder}/{_SIGN}", b"")
            self._ended.wait(SIGN_SECONDS)

    def is_unchanged(self, state: os.stat_result) -> bool:
        self._listed = None
        return super().is_unchanged(state) and self.has_begun

    def discard(self) -> None:
        with self._signing:  # else a sign could come after it
            self._ended.set()
            self._objects.delete_folder(self._folder)
        self._listed = None
        super().discard()

    def _chunks(self) -> dict[Chunk, int]:
        if self._listed is None:
            found = self._objects.sizes(self._folder)
            self._listed = {chunk: size for name, size in found.items() if (chunk := _parse(name))}
        return self._listed

    def _crc_here(self, chunk: Chunk) -> int | None:
        """The checksum of a chunk on this disk; None if it is not here."""
        if chunk.offset in super().missing_offsets(chunk.size_bytes):
            return None
        with self.file.open("rb") as file:
            file.seek(chunk.offset)
            return zlib.crc32(file.read(self._chunk_bytes))


def _parse(name: str) -> Chunk | None:
    """What the name of a chunk says. None: it is no chunk's."""
    try:
        size_bytes, offset, crc = name.split("-")
        return Chunk(int(size_bytes), int(offset), int(crc, 16))
    except ValueError:
        return None
