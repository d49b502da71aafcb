"""Where several loaders share the videos: an object store, or whatever else fsspec reaches by a URL.

Nobody waits there for ever: each request runs in a thread of its own, and is given up when it stands still.
"""

import contextlib
import hashlib
import posixpath
import re
import threading
import uuid
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from clipseek.api.errors import ClipSeekError, InvalidSetting, MediaMissing, MediaUnreachable, StoreFull
from clipseek.config.settings import variable_of
from executors.video_loader.media.disk import DISK_FULL, full_disk_reported

T = TypeVar("T")

PATIENCE_SECONDS = 60.0  # the clients of object stores repeat by themselves what fails for less than that
_BLOCK_BYTES = 8 * 1024 * 1024
_VARIABLE = variable_of("media")


class ObjectStore:
    """The objects of one library, by their names. Safe for threads.

    Every method raises `MediaUnreachable` where the store is not to be reached, denies something or does not answer.

    Args:
        url: of all libraries. Credentials and the like fsspec takes from the environment.
        library: its objects are those in the folder of this name.
        patience_seconds: for as long a request may stand still.

    Raises:
        InvalidSetting: no such scheme. MediaUnreachable: the package for it is not installed.
    """

    def __init__(self, url: str, library: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.shown_url = re.sub(r"//[^/@]*@", "//", url.rstrip("/"))  # without the password that may be in it
        self._patience_seconds = patience_seconds
        self._fs, self._root = self._do("be opened", lambda _: self._opened(url))  # some connect at once
        self._folder = posixpath.join(self._root, library)

    def check(self) -> None:
        """Find out whether objects can be written, read and deleted."""
        path = posixpath.join(self._root, f"clipseek-check-{uuid.uuid4().hex}")

        def work(_: Callable[[], None]) -> None:
            self._fs.pipe_file(path, b"clipseek")
            self._fs.cat_file(path)
            self._fs.rm_file(path)

        self._do("take, give and delete a test object", work)

    def read(self, name: str) -> bytes | None:
        """A small object's content; None where there is none."""

        def work(_: Callable[[], None]) -> bytes | None:
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

        return self._do(f"give {name}", work)

    def write(self, name: str, data: bytes) -> None:
        """Put a small object in place of what was there: readers see either, whole. Raises: StoreFull."""
        draft = self._path(f"{name}-part")

        def work(_: Callable[[], None]) -> None:
            self._in_folder(lambda: self._fs.pipe_file(draft, data))
            self._fs.mv(draft, self._path(name))

        self._do(f"take {name}", work)

    def get(self, name: str, target: Path) -> str:
        """Copy an object to a file. Returns: the SHA-256 of its content. Raises: MediaMissing, StoreFull."""

        def work(moved: Callable[[], None]) -> str:
            digest = hashlib.sha256()
            try:
                source = self._fs.open(self._path(name), "rb")
            except FileNotFoundError as error:
                raise MediaMissing(
                    f"There is no {name} at {self.shown_url} any more. Put it back, or delete the video"
                ) from error
            with source, target.open("wb") as file:
                while block := source.read(_BLOCK_BYTES):
                    moved()
                    with full_disk_reported(target.parent, f"the copy of {name}"):
                        file.write(block)
                    digest.update(block)
            return digest.hexdigest()

        return self._do(f"give {name}", work)

    def put(self, source: Path, name: str) -> None:
        """Copy a file to an object. If that is cut off the object may be torn: whatever says that it is there must be
        written afterwards. Raises: StoreFull."""
        path = self._path(name)

        def work(moved: Callable[[], None]) -> None:
            with source.open("rb") as file, self._in_folder(lambda: self._fs.open(path, "wb")) as target:
                while block := file.read(_BLOCK_BYTES):
                    moved()
                    target.write(block)
            arrived, sent = self._fs.info(path)["size"], source.stat().st_size
            if arrived != sent:
                raise OSError(f"{arrived} of {sent} bytes have arrived")

        self._do(f"take {name}", work)

    def delete(self, video_id: str) -> None:
        """Remove what is kept of a video, its record first. Nothing to delete is fine."""

        def work(_: Callable[[], None]) -> None:
            names = [name for name in self._sizes() if name.startswith(f"{video_id}.")]
            for name in sorted(names, key=lambda name: not name.endswith(".json")):
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(self._path(name))

        self._do(f"delete video {video_id}", work)

    def sizes(self) -> dict[str, int]:
        """The names of all objects, with their sizes in bytes."""
        return self._do("list its objects", lambda _: self._sizes())

    def _opened(self, url: str) -> tuple[Any, str]:
        try:
            file_system, root = fsspec.url_to_fs(url)
        except ImportError as error:
            raise MediaUnreachable(
                f"{_VARIABLE} is {self.shown_url}, and the package for that is not installed ({error}). Install it "
                f"where the server runs, in the version of fsspec there, which is {fsspec.__version__}"
            ) from error
        except ValueError as error:
            raise InvalidSetting(f"{_VARIABLE} is {self.shown_url}, which is no URL of a store ({error})") from error
        return file_system, root

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    def _sizes(self) -> dict[str, int]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(self._folder, detail=True)
        except FileNotFoundError:  # nothing was ever put there
            return {}
        sizes = {posixpath.basename(each["name"]): each["size"] for each in found if each["type"] == "file"}
        sizes.pop("", None)  # an empty object that stands for the folder, as consoles of object stores make them
        return sizes

    def _in_folder(self, write: Callable[[], T]) -> T:
        """Write, and make the library's folder where one is needed. The folder of all libraries must be there before:
        it may be that of a disk which is not mounted just now."""
        try:
            return write()
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(self._folder, create_parents=False)
            return write()

    def _do(self, what: str, work: Callable[[Callable[[], None]], T]) -> T:
        """Run `work` until it is done or stands still; it calls what it is given whenever something has moved."""
        watch, future = _Watch(), futures.Future[T]()

        def run() -> None:
            try:
                future.set_result(work(watch.moved))
            except BaseException as error:  # noqa: BLE001 (it is raised where the result is waited for)
                future.set_exception(error)

        threading.Thread(target=run, name="object-store", daemon=True).start()
        try:
            return self._waited_for(future, watch)
        except ClipSeekError:
            raise
        except Exception as error:  # each kind of store has errors of its own
            raise self._told(what, error) from error

    def _waited_for(self, future: futures.Future[T], watch: "_Watch") -> T:
        while True:
            seen = watch.moves
            if futures.wait([future], self._patience_seconds).done:
                return future.result()
            if watch.moves == seen:
                watch.is_given_up = True
                raise TimeoutError(f"nothing has moved for {self._patience_seconds:g} s")

    def _told(self, what: str, error: Exception) -> ClipSeekError:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return StoreFull(
                f"{self.shown_url} is full and could not {what}. Delete videos you do not need, or make room"
            )
        match error:
            case PermissionError():
                why = f"it denies that ({error})"
            case FileNotFoundError():
                why = f"there is no such folder or bucket ({error})"
            case _:
                why = str(error) if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        return MediaUnreachable(
            f"The store of the videos, {self.shown_url}, could not {what}: {why}. Look at {_VARIABLE}, the network, and "
            "what the service may do there, then repeat"
        )


class _Watch:
    """Sees whether a request moves, and stops one that was given up when it moves again."""

    def __init__(self) -> None:
        self.moves = 0
        self.is_given_up = False

    def moved(self) -> None:
        self.moves += 1
        if self.is_given_up:
            raise TimeoutError
