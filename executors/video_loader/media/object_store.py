"""Where several loaders share the videos: an object store, or anything else that fsspec reaches by a URL.

No request waits forever: each runs in a thread of its own, and times out when no data moves.
"""

import contextlib
import hashlib
import posixpath
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from clipseek.api.errors import ClipSeekError, InvalidSetting, MediaMissing, MediaUnreachable, StoreFull
from clipseek.config.libraries import SUBTITLE_MARK, VIDEO_MARK, is_library
from clipseek.config.settings import variable_of
from executors.machine.disk import DISK_FULL, report_full_disk

T = TypeVar("T")

PATIENCE_SECONDS = 60.0  # clients of object stores retry shorter failures by themselves
CHUNKS_SUFFIX = ".chunks"  # of a folder with the chunks of an upload
_CHUNKS_NAME = re.compile(rf"[0-9a-f]{{64}}{re.escape(CHUNKS_SUFFIX)}")  # anything else is somebody else's
_BLOCK_BYTES = 8 * 1024 * 1024
_VARIABLE = variable_of("media")


@dataclass(frozen=True)
class StoredChunks:
    """The chunks of an unfinished upload of any library: their folder's path, and when the last one came."""

    path: str
    size_bytes: int
    changed_at: float


class ObjectStore:
    """The objects of one library, by their names. Safe for threads.

    Every method raises `MediaUnreachable` if the store cannot be reached, denies access or does not answer.

    Args:
        url: of all libraries. fsspec takes credentials and other options from the environment.
        library: name of the folder with its objects.
        patience_seconds: a request times out if no data moves for this long.

    Raises: InvalidSetting: unknown scheme. MediaUnreachable: the package for the scheme is not installed.
    """

    def __init__(self, url: str, library: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.shown_url = re.sub(r"//[^/@]*@", "//", url.rstrip("/"))  # without a password
        self._patience_seconds = patience_seconds
        self._fs, self._root = self._do("be opened", lambda _: self._open_url(url))  # some connect at once
        self._folder = posixpath.join(self._root, library)

    def check(self) -> None:
        """Test whether objects can be written, read and deleted."""
        path = posixpath.join(self._root, f"clipseek-check-{uuid.uuid4().hex}")

        def work(_: Callable[[], None]) -> None:
            self._fs.pipe_file(path, b"clipseek")
            self._fs.cat_file(path)
            self._fs.rm_file(path)

        self._do("write, read and delete a test object", work)

    def read(self, name: str) -> bytes | None:
        """A small object's content; None if it does not exist."""

        def work(_: Callable[[], None]) -> bytes | None:
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

        return self._do(f"read {name}", work)

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a small object: readers see the old or the new one, whole. Raises: StoreFull."""

        def work(_: Callable[[], None]) -> None:
            with self._draft(name) as draft:
                self._in_folder(lambda: self._fs.pipe_file(draft, data))
                self._fs.mv(draft, self._path(name))

        self._do(f"write {name}", work)

    def write_now(self, name: str, data: bytes) -> None:
        """Write a small object that readers know by its size to be whole. Raises: StoreFull."""
        self._do(f"write {name}", lambda _: self._in_folder(lambda: self._fs.pipe_file(self._path(name), data), name))

    def get(self, name: str, target: Path) -> str:
        """Copy an object to a file. Returns: the SHA-256 of its content. Raises: MediaMissing, StoreFull."""

        def work(moved: Callable[[], None]) -> str:
            digest = hashlib.sha256()
            try:
                source = self._fs.open(self._path(name), "rb")
            except FileNotFoundError as error:
                raise MediaMissing(
                    f"{name} is no longer at {self.shown_url}. Put it back, or delete the video"
                ) from error
            with source, target.open("wb") as file:
                while block := source.read(_BLOCK_BYTES):
                    moved()
                    with report_full_disk(target.parent, f"the copy of {name}"):
                        file.write(block)
                    digest.update(block)
            return digest.hexdigest()

        return self._do(f"read {name}", work)

    def put(self, source: Path, name: str) -> None:
        """Copy a file to an object. Raises: StoreFull.

        It gets its name once it is whole: others may be writing it too, or reading one of that name. An interrupted
        copy may leave a draft, which is deleted with the video.
        """

        def work(moved: Callable[[], None]) -> None:
            with self._draft(name) as draft:
                with source.open("rb") as file, self._in_folder(lambda: self._fs.open(draft, "wb")) as target:
                    while block := file.read(_BLOCK_BYTES):
                        moved()
                        target.write(block)
                arrived, sent = self._fs.info(draft)["size"], source.stat().st_size
                if arrived != sent:
                    raise OSError(f"only {arrived} of {sent} bytes arrived")
                self._fs.mv(draft, self._path(name))

        self._do(f"write {name}", work)

    def delete(self, video_id: str) -> None:
        """Remove everything kept of a video, its record first. An unknown video is fine."""

        def work(_: Callable[[], None]) -> None:
            names = [name for name in self._sizes() if name.startswith(f"{video_id}.")]
            for name in sorted(names, key=lambda name: not name.endswith(".json")):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(self._path(name))
            self._remove_folder(self._path(f"{video_id}{CHUNKS_SUFFIX}"))

        self._do(f"delete video {video_id}", work)

    def remove(self, name: str) -> None:
        """Remove one object. An unknown one is fine."""

        def work(_: Callable[[], None]) -> None:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

        self._do(f"delete {name}", work)

    def delete_folder(self, name: str) -> None:
        """Remove a folder with all its objects. An unknown one is fine."""
        self._do(f"delete {name}", lambda _: self._remove_folder(self._path(name)))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The names of all objects, or of those in a folder, with their sizes in bytes."""
        return self._do("list its objects", lambda _: self._sizes(folder))

    def measure_videos(self) -> int:
        """Bytes of the videos of all libraries with their subtitles, and of unfinished uploads and copies of them."""

        def work(moved: Callable[[], None]) -> int:
            entries = list(self._list_libraries(moved))
            named = ((posixpath.basename(entry["name"]), int(entry["size"])) for entry in entries)
            videos = sum(size for name, size in named if VIDEO_MARK in name or SUBTITLE_MARK in name)
            return videos + sum(chunks.size_bytes for chunks in self._measure_chunks(entries, moved))

        return self._do("list its objects", work)

    def abandoned_chunks(self, oldest: float) -> list[StoredChunks]:
        """The unfinished uploads of all libraries whose last chunk came before `oldest`, in seconds since the epoch."""

        def work(moved: Callable[[], None]) -> list[StoredChunks]:
            found = self._measure_chunks(self._list_libraries(moved), moved)
            return [chunks for chunks in found if chunks.changed_at < oldest]

        return self._do("list its objects", work)

    def delete_chunks(self, chunks: StoredChunks) -> None:
        """Remove an unfinished upload of any library, unless it has changed since it was listed."""

        def work(_: Callable[[], None]) -> None:
            if self._measure_folder(chunks.path) == chunks:
                self._remove_folder(chunks.path)

        self._do(f"delete {chunks.path}", work)

    def _open_url(self, url: str) -> tuple[Any, str]:
        try:
            file_system, root = fsspec.url_to_fs(url)
        except ImportError as error:
            raise MediaUnreachable(
                f"{_VARIABLE} is {self.shown_url}, but the package for it is not installed ({error}). Install it where "
                f"the server runs, in the same version as fsspec, {fsspec.__version__}"
            ) from error
        except ValueError as error:
            raise InvalidSetting(f"{_VARIABLE} is {self.shown_url}, which is no URL of a store ({error})") from error
        return file_system, root

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    def _list_libraries(self, moved: Callable[[], None]) -> Iterator[dict[str, Any]]:
        """What is in the folders of all libraries."""
        for folder in self._list(self._root):
            if folder["type"] == "directory" and is_library(_name_of(folder)):
                moved()
                yield from self._list(folder["name"])

    def _measure_chunks(self, entries: Iterable[dict[str, Any]], moved: Callable[[], None]) -> Iterator[StoredChunks]:
        for folder in entries:
            if folder["type"] == "directory" and _CHUNKS_NAME.fullmatch(_name_of(folder)):
                moved()
                if chunks := self._measure_folder(folder["name"]):
                    yield chunks

    def _measure_folder(self, path: str) -> StoredChunks | None:
        """The chunks in a folder; None if it holds other folders, too. "Never ago" if it is empty: one may come."""
        chunks = [entry for entry in self._list(path) if _name_of(entry) != posixpath.basename(path.rstrip("/"))]
        if any(chunk["type"] == "directory" for chunk in chunks):
            return None
        changed = max((self._changed_at(chunk["name"]) for chunk in chunks), default=float("inf"))
        return StoredChunks(path, sum(chunk["size"] for chunk in chunks), changed)

    def _changed_at(self, path: str) -> float:
        """When an object was written; "never ago" where the store does not say."""
        try:
            changed = self._fs.modified(path)
        except (NotImplementedError, FileNotFoundError):
            return float("inf")
        return float((changed if changed.tzinfo else changed.replace(tzinfo=UTC)).timestamp())

    def _remove_folder(self, path: str) -> None:
        self._fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(path, recursive=True)

    def _sizes(self, folder: str = "") -> dict[str, int]:
        entries = self._list(self._path(folder) if folder else self._folder)
        sizes = {posixpath.basename(entry["name"]): entry["size"] for entry in entries if entry["type"] == "file"}
        sizes.pop("", None)  # consoles of object stores create an empty object for the folder
        return sizes

    @contextlib.contextmanager
    def _draft(self, name: str) -> Iterator[str]:
        """A path of its own, to write what will be an object of this name. After an error, nothing is left there."""
        draft = self._path(f"{name}-{uuid.uuid4().hex}-part")
        try:
            yield draft
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm_file(draft)
            raise

    def _list(self, folder: str) -> list[dict[str, Any]]:
        self._fs.invalidate_cache()
        try:
            entries: list[dict[str, Any]] = self._fs.ls(folder, detail=True)
        except FileNotFoundError:  # nothing was ever written
            return []
        return entries

    def _in_folder(self, write: Callable[[], T], name: str = "") -> T:
        """Write an object, creating the library's folder, and the one in it that the name says, if needed.

        The folder of all libraries is never created: its disk may not be mounted at the moment.
        """
        try:
            return write()
        except FileNotFoundError:
            for folder in dict.fromkeys((self._folder, posixpath.dirname(self._path(name)))):
                with contextlib.suppress(FileExistsError):
                    self._fs.mkdir(folder, create_parents=False)
            return write()

    def _do(self, what: str, work: Callable[[Callable[[], None]], T]) -> T:
        """Run `work` until it is done or times out. It calls its argument whenever data has moved."""
        watch, future = _Watch(), futures.Future[T]()

        def run() -> None:
            try:
                future.set_result(work(watch.moved))
            except BaseException as error:  # noqa: BLE001 (the waiting thread raises it)
                future.set_exception(error)

        threading.Thread(target=run, name="object-store", daemon=True).start()
        try:
            return self._wait_for(future, watch)
        except ClipSeekError:
            raise
        except Exception as error:  # each kind of store has errors of its own
            raise self._translate(what, error) from error

    def _wait_for(self, future: futures.Future[T], watch: "_Watch") -> T:
        while True:
            moves_before = watch.moves
            if futures.wait([future], self._patience_seconds).done:
                return future.result()
            if watch.moves == moves_before:
                watch.is_given_up = True
                raise TimeoutError(f"no data moved for {self._patience_seconds:g} s")

    def _translate(self, what: str, error: Exception) -> ClipSeekError:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return StoreFull(
                f"{self.shown_url} is full and could not {what}. Delete videos you do not need, or add space"
            )
        match error:
            case PermissionError():
                why = f"access denied ({error})"
            case FileNotFoundError():
                why = f"no such folder or bucket ({error})"
            case _:
                why = str(error) if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        return MediaUnreachable(
            f"The object store of the videos, {self.shown_url}, could not {what}: {why}. Check {_VARIABLE}, the "
            "network, and the service's permissions there, then repeat"
        )


def _name_of(entry: dict[str, Any]) -> str:
    return posixpath.basename(str(entry["name"]).rstrip("/"))


class _Watch:
    def __init__(self) -> None:
        self.moves = 0
        self.is_given_up = False

    def moved(self) -> None:
        self.moves += 1
        if self.is_given_up:
            raise TimeoutError
