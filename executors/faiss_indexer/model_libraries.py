"""A library by each of its models: the one that answers, and others while their vectors are stored or searched."""

import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

from executors.faiss_indexer.library import Library
from executors.faiss_indexer.store.database import Database
from executors.faiss_indexer.store.models import StoredModels

UNUSED_SECONDS = 60.0  # then the index of a model that does not answer leaves the memory


class ModelLibraries(AbstractContextManager["ModelLibraries"]):
    """One library. A query goes to the vectors of the model that embedded it, also while the answering one changes.

    Any thread may use it, and any number of processes may share its store.

    Args:
        folder, exact_frames, database, replica: as of `Library`.
    """

    def __init__(self, folder: Path, exact_frames: float, database: Database | None = None, replica: int = 0) -> None:
        first = Library(folder, exact_frames, database, replica)
        self._database = first.store.database
        self._arguments = folder, exact_frames, self._database, replica if database else None
        self._words = first.words
        self.models = StoredModels(self._database)
        self._answering = first.store.slot  # as far as this process has seen
        self._libraries = {self._answering: first}
        self._used_at: dict[str, float] = {}
        self._opening = threading.Lock()
        self._timer: threading.Timer | None = None

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save the indexes and close the store."""
        with self._opening:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            for library in self._libraries.values():
                library.release()
        self._words.close()
        self._database.close()

    def of_model(self, model_id: str = "") -> Library:
        """The library by a model, if the store has its vectors; by default, and otherwise, by the one that answers."""
        library = self._open(self._answering)
        state = library.store.state()
        if state.answering != self._answering:
            library = self._open(state.answering)
            self._answering = state.answering
            state = library.store.state()
        if model_id in ("", state.model_id):
            return library
        slot = self.models.find(model_id)
        return library if slot is None else self._open(slot)

    def forget(self, name: str) -> None:
        """Remove the vectors of a model, and the index of them. Raises: NotFound, InvalidRequest: it answers."""
        models = [model for model in self.models.all() if name in (model.name, model.model_id)]
        self.models.forget(name)
        for slot in [model.slot for model in models if not model.answers]:
            self._open(slot)  # so that its saved index leaves the disk, too
            with self._opening:
                self._release(slot)

    def _open(self, slot: str) -> Library:
        self._used_at[slot] = time.monotonic()
        if library := self._libraries.get(slot):  # without waiting for another one that is being opened
            return library
        with self._opening:
            if slot not in self._libraries:
                self._libraries[slot] = Library(*self._arguments, slot, self._words)
                self._watch_unused()
            return self._libraries[slot]

    def _release(self, slot: str) -> None:
        """Take the index of a model out of memory. Those who search it finish."""
        if library := self._libraries.pop(slot, None):
            library.release()

    def _watch_unused(self) -> None:
        self._timer = threading.Timer(UNUSED_SECONDS, self._drop_unused)
        self._timer.daemon = True
        self._timer.start()

    def _drop_unused(self) -> None:
        before = time.monotonic() - UNUSED_SECONDS
        with self._opening:
            for slot in self._libraries.keys() - {self._answering}:
                if self._used_at.get(slot, 0.0) <= before:
                    self._release(slot)
            if len(self._libraries) > 1 and self._timer:
                self._watch_unused()
