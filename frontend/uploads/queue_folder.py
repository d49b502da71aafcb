"""The queue of videos on disk, so that it outlives the page's process.

NUMBER.json   what there is to do
NUMBER.upload   the upload that belongs to it
*.part        an upload that is still on its way from the browser
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from clipseek.api.errors import StoreFull


@dataclass(frozen=True)
class Task:
    """A video to put in: an upload in the folder, a video of the server, a video to go on with, or else the samples."""

    title: str
    size_bytes: int = 0
    is_upload: bool = False
    server_path: str = ""
    video_id: str = ""
    is_cancelled: bool = False


class QueueFolder:
    """Tasks and uploads below `folder`, which is made if missing and which no other process uses."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        for file in folder.glob("*.film"):  # the name in 0.1
            file.rename(file.with_suffix(".upload"))
        known = {f"{number}.upload" for number, _ in self.tasks()}
        for file in [*folder.glob("*.part"), *folder.glob("*.upload")]:
            if file.name not in known:
                file.unlink()

    def tasks(self) -> Iterator[tuple[int, Task]]:
        """What is kept, by number. An upload without its file is left out."""
        for file in sorted(self._folder.glob("*.json"), key=lambda file: int(file.stem)):
            task = Task(**json.loads(file.read_text(encoding="utf-8")))
            if not task.is_upload or self.video(int(file.stem)).exists():
                yield int(file.stem), task

    def video(self, number: int) -> Path:
        """Where the upload of a task is."""
        return self._folder / f"{number}.upload"

    def take(self, number: int, file: BinaryIO | Path) -> None:
        """Keep an upload: a file of this folder is renamed, an open one is copied. Raises: StoreFull."""
        try:
            if isinstance(file, Path):
                file.replace(self.video(number))
                return
            with self.video(number).open("wb") as copy:
                shutil.copyfileobj(file, copy)
        except OSError as error:
            self.video(number).unlink(missing_ok=True)
            raise StoreFull(f"The page cannot keep the upload in {self._folder} ({error.strerror}).") from error

    def keep(self, number: int, task: Task) -> None:
        """Keep a task in place of what was kept under its number. Raises: StoreFull."""
        draft = self._folder / f"{number}.draft"
        try:
            draft.write_text(json.dumps(asdict(task), ensure_ascii=False), encoding="utf-8")
            draft.replace(self._folder / f"{number}.json")
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StoreFull(f"The page cannot keep its queue in {self._folder} ({error.strerror}).") from error

    def forget(self, number: int) -> None:
        """Drop a task and its upload."""
        (self._folder / f"{number}.json").unlink(missing_ok=True)
        self.video(number).unlink(missing_ok=True)
