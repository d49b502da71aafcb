"""A stand-in for an object store: `fake:///FOLDER` keeps its objects in a folder, and tests decide how it behaves."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from fsspec.implementations.local import LocalFileSystem


class FakeObjects(LocalFileSystem):
    """Counts each operation, and calls `meddle` with it and the object's name before it is done."""

    protocol = "fake"
    cachable = False
    done: ClassVar[Counter[tuple[str, str]]] = Counter()
    meddle: ClassVar[Callable[[str, str], None]]

    @classmethod
    def reset(cls) -> None:
        cls.done.clear()
        cls.meddle = staticmethod(lambda operation, name: None)

    @classmethod
    def note(cls, operation: str, path: str) -> None:
        name = re.sub("-[0-9a-f]{32}-part$", "", path.rsplit("/", 1)[-1])  # a video's draft is called as the video
        cls.done[operation, name] += 1
        cls.meddle(operation, name)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).removeprefix("fake://"))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self.note("open " + mode, path)
        file = super()._open(path, mode, **options)
        if mode == "rb":
            read = file.f.read

            def watched(size: int = -1) -> bytes:
                self.note("read", path)
                return read(size)

            file.read = watched
        return file

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        self.note("name", path2)
        super().mv(path1, path2, **options)

    def rm_file(self, path: str) -> None:
        self.note("delete", path)
        super().rm_file(path)

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:
        self.note("list", path)
        return super().ls(path, detail=detail, **options)
