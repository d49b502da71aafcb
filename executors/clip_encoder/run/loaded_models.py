"""The models that an encoder has loaded: the server's own, and those that libraries use or change to."""

import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from clipseek.api.errors import InvalidRequest, PathNotAllowed
from clipseek.config.profiles import AUTO, MODEL_NAMES, PROFILES, STARTER, is_folder
from clipseek.config.settings import Settings
from executors.clip_encoder.model.hub import WEIGHTS_NAMES, Hub
from executors.clip_encoder.model.registry import LOCAL_PREFIX, Registry, has_starter
from executors.clip_encoder.model.spec import model_id
from executors.clip_encoder.run.encoder import Encoder

logger = logging.getLogger(__name__)

_LONGEST_NAME = 300  # characters; a NAME/TAG has 60
MOST_MODELS = 3  # in memory at once: each takes up to 4.5 GB
LOADING, LOADING_THREADS = "loading", 8  # a queue for what may wait for its model, while others are at work
UNUSED_SECONDS = 60.0  # then a model leaves the memory, unless it was the last one that was used


class HasEncoder(Protocol):
    @property
    def encoder(self) -> Encoder[Any]: ...


T = TypeVar("T", bound=HasEncoder)


class LoadedModels(Generic[T]):
    """Loads models by their names when they are needed, and keeps the latest few. Any thread may use it.

    Args:
        load: takes the name of a model, "" for the server's own, which is loaded at once.
    """

    def __init__(self, load: Callable[[str], T]) -> None:
        self._load = load
        self.last = load("")  # that a library used
        self._own_name = self.last.encoder.spec.name
        self._loaded = {self._own_name: self.last}
        self._used_at: dict[str, float] = {}
        self._loading = threading.Lock()
        self._timer: threading.Timer | None = None

    def describe(self, name: str = "") -> tuple[dict[str, str], list[str]]:
        """The facts and warnings of a model for `/health`; the name only if it is not loaded."""
        name = name or self._own_name
        model = self._loaded.get(name)
        return (model.encoder.facts, list(model.encoder.spec.warnings)) if model else ({"model": name}, [])

    def get(self, name: str = "", *, answers: bool = True) -> T:
        """The model of a name; "": the server's own. `answers`: whether it is that of a library.

        Raises: UnknownModel, ModelUnavailable, ModelError: it cannot be loaded.
        """
        name = name or self._own_name
        self._used_at[name] = time.monotonic()
        model = self._loaded.get(name)  # without waiting for another one that is being loaded
        if model is None:
            with self._loading:
                model = self._loaded.get(name) or self._load_one_more(name)
        if answers:
            self.last = model
        if len(self._loaded) > 1 and not (self._timer and self._timer.is_alive()):
            self._watch_unused()
        return model

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _watch_unused(self) -> None:
        self._timer = threading.Timer(UNUSED_SECONDS, self._drop_unused)
        self._timer.daemon = True
        self._timer.start()

    def _load_one_more(self, name: str) -> T:
        """Load a model, after those that are too many beside it have left the memory."""
        self._drop(self._list_others()[: len(self._loaded) + 1 - MOST_MODELS])
        self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _list_others(self) -> list[str]:
        """The loaded models but the last one that a library used, those first that were not used for longest."""
        others = [name for name, model in self._loaded.items() if model is not self.last]
        return sorted(others, key=lambda name: self._used_at.get(name, 0.0))

    def _drop_unused(self) -> None:
        before = time.monotonic() - UNUSED_SECONDS
        with self._loading:
            self._drop([name for name in self._list_others() if self._used_at.get(name, 0.0) <= before])
        if len(self._loaded) > 1:
            self._watch_unused()

    def _drop(self, names: list[str]) -> None:
        for name in names:
            del self._loaded[name]
            logger.info("the model %s leaves the memory", name)
        if names:
            gc.collect()
            with suppress(AttributeError):  # not on Linux
                ctypes.CDLL(None).malloc_trim(0)  # otherwise the process keeps what the model took


def list_named_models() -> list[str]:
    """The short names of the models on this machine. It only looks for their weights: that takes no time."""
    hub = Hub(may_download=False)
    here = [name for name, profile in PROFILES.items() if hub.find_cached(profile.repository, WEIGHTS_NAMES)]
    return [*here, STARTER] if has_starter() else here


def find_model(settings: Settings, name: str, *, with_folders: bool) -> str:
    """The identity of a model that is on this machine; a start would load the same.

    Args:
        with_folders: whether the name may be a folder's.

    Raises: InvalidRequest: no name, or too long a one. UnknownModel, ModelUnavailable. PathNotAllowed.
    """
    name = name.strip()
    if name.lower() in ("", AUTO):
        raise InvalidRequest("Name the model to use: `clipseek model list` shows those on this machine.")
    if len(name) > _LONGEST_NAME:
        raise InvalidRequest(f"The name of a model has {_LONGEST_NAME} characters at most, not {len(name)}.")
    refused = PathNotAllowed("Your token does not allow folders of the server as models. Name a model of the machine.")
    names_folder = name.startswith((LOCAL_PREFIX, "/", ".", "~")) or is_folder(name)
    if names_folder and not with_folders and name.lower() not in MODEL_NAMES:
        raise refused
    spec = Registry(settings.cache, Hub(may_download=False)).resolve(name, None, settings.engine, settings.picture_fit)
    if Path(spec.name).is_absolute() and not with_folders:  # it was created a moment ago
        raise refused
    return model_id(spec, settings.cache)
