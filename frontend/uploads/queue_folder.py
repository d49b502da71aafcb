"""The queue on disk, so that it outlives the page's process.

NUMBER.json     a task
NUMBER.upload   the upload that belongs to it
*.part          an upload that is still arriving from the browser
"""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from clipseek.api.errors import StoreFull
from clipseek.config.settings import Settings
from clipseek.machine.sync import sync
from frontend.uploads.room import check_room


@dataclass(frozen=True)
class Task:
    """What to index: an upload, a file on the server, the rest of a known video, or else the sample library."""

    title: str
    size_bytes: int = 0
    is_upload: bool = False
    server_path: str = ""
    video_id: str = ""
    is_cancelled: bool = False


class QueueFolder:
    """Tasks and uploads in `folder`, which is created if missing. No other process may use it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        for file in folder.glob("*.film"):  # their suffix in version 0.1
            file.rename(file.with_suffix(".upload"))
        known = {f"{number}.upload" for number, _ in self.tasks()}
        for file in [*folder.glob("*.part"), *folder.glob("*.upload")]:
            if file.name not in known:
                file.unlink()

    def tasks(self) -> Iterator[tuple[int, Task]]:
        """The stored tasks with their numbers. A task whose upload is missing is left out."""
        for file in sorted(self._folder.glob("*.json"), key=lambda file: int(file.stem)):
            task = Task(**json.loads(file.read_text(encoding="utf-8")))
            if not task.is_upload or self.upload(int(file.stem)).exists():
                yield int(file.stem), task

    def upload(self, number: int) -> Path:
        """The path of a task's upload."""
        return self._folder / f"{number}.upload"

    def store_upload(self, number: int, file: BinaryIO | Path) -> None:
        """Store an upload: a file in this folder is renamed, an open one is copied. Raises: see `check_room`."""
        if not isinstance(file, Path):
            check_room(self._folder, file.seek(0, io.SEEK_END), Settings.from_env())
            file.seek(0)
        try:
            if isinstance(file, Path):
                file.replace(self.upload(number))
            else:
                with self.upload(number).open("wb") as copy:
                    shutil.copyfileobj(file, copy)
            sync(self.upload(number))
        except OSError as error:
            for remains in (self.upload(number), file):
                if isinstance(remains, Path):
                    remains.unlink(missing_ok=True)
            raise StoreFull(
                f"The page cannot store the upload in {self._folder} ({error.strerror}). "
                "Make room there, then upload it again."
            ) from error

    def save_task(self, number: int, task: Task) -> None:
        """Store a task; it replaces one with the same number. Raises: StoreFull."""
        draft = self._folder / f"{number}.draft"
        try:
            draft.write_text(json.dumps(asdict(task), ensure_ascii=False), encoding="utf-8")
            sync(draft)
            draft.replace(self._folder / f"{number}.json")
            sync(self._folder)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StoreFull(
                f"The page cannot save its queue in {self._folder} ({error.strerror}). Make room there, then try again."
            ) from error

    def delete(self, number: int) -> None:
        """Delete a task and its upload."""
        (self._folder / f"{number}.json").unlink(missing_ok=True)
        self.upload(number).unlink(missing_ok=True)
