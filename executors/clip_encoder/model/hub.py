"""The model hub: look in its local cache, ask whether it answers, and fetch files without waiting forever."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from clipseek.api.errors import ModelUnavailable

logger = logging.getLogger(__name__)

# `auto` decides within 5 s, whatever the network does: it asks once, for at most this long. A thread of its own asks,
# because looking up a host's name can hang past every timeout.
PROBE_SECONDS = 4.0
# For each request while fetching; the hub's client adds a few retries of its own.
REQUEST_SECONDS = 10.0

WEIGHTS_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# A text model's files besides its weights: first the ones that are enough today, then what older repositories have.
_TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")
_OLD_TEXT_FILES = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)


@dataclass(frozen=True)
class Hub:
    """The hub as huggingface_hub knows it. Tests set `endpoint` and `cache_dir`; None means the user's own."""

    endpoint: str | None = None
    cache_dir: Path | None = None
    probe_seconds: float = PROBE_SECONDS

    def find_cached(self, repository: str, names: Iterable[str]) -> Path | None:
        """Find the first of the named files that the local cache has. Uses no network."""
        for name in names:
            path = huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=self.cache_dir)
            if isinstance(path, str):
                return Path(path)
        return None

    def why_unreachable(self, repository: str) -> str:
        """Ask once whether the hub answers for this repository. Returns: "" if it does, else the reason in words."""
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            return "HF_HUB_OFFLINE forbids asking the model hub"
        return _ask_within(self.probe_seconds, lambda: self._probe(repository))

    def _probe(self, repository: str) -> str:
        try:
            huggingface_hub.HfApi(endpoint=self.endpoint).model_info(repository, timeout=self.probe_seconds)
        except Exception as error:  # noqa: BLE001 (a network can fail in any way; every failure means no)
            return f"asking the model hub failed ({_describe(error)})"
        return ""

    def fetch(self, repository: str, names: Iterable[str]) -> Path:
        """Get the first of the named files that the repository has: from the cache, else by downloading it.

        Raises:
            ModelUnavailable: no file came; the message says why and what to do.
        """
        names = tuple(names)
        if path := self.find_cached(repository, names):
            return path
        if reason := self.why_unreachable(repository):
            raise _unavailable(repository, reason)
        logger.warning("Fetching %s of %s from the model hub; this is needed only once", names[0], repository)
        started = time.monotonic()
        for name in names:
            if path := self._download(repository, name):
                seconds = time.monotonic() - started
                logger.warning("Fetched %s, %d MB in %.0f s", name, path.stat().st_size >> 20, seconds)
                return path
        raise _unavailable(repository, f"it has none of {', '.join(names)}")

    def fetch_text_files(self, repository: str) -> Path:
        """Get the folder with the tokenizer and the configuration of a text model, downloading what is not cached.

        Raises:
            ModelUnavailable: the files did not come.
        """
        vocabulary = (_TEXT_FILES[0], *_OLD_TEXT_FILES)
        if path := self.find_cached(repository, vocabulary):
            return path.parent
        if reason := self.why_unreachable(repository):
            raise _unavailable(repository, reason)
        downloads = [self._download(repository, name) for name in _TEXT_FILES]
        if downloads[0] is None:
            for name in _OLD_TEXT_FILES:
                self._download(repository, name)
        if path := self.find_cached(repository, vocabulary):
            return path.parent
        raise _unavailable(repository, "it has no tokenizer files")

    def _download(self, repository: str, name: str) -> Path | None:
        """Returns: None if the repository has no such file. Raises: ModelUnavailable."""
        try:
            path = huggingface_hub.hf_hub_download(
                repository, name, endpoint=self.endpoint, cache_dir=self.cache_dir, etag_timeout=REQUEST_SECONDS
            )
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):  # not an answer: the hub went away
                raise _unavailable(repository, f"fetching {name} failed ({_describe(error)})") from error
            return None
        except Exception as error:
            raise _unavailable(repository, f"fetching {name} failed ({_describe(error)})") from error
        return Path(path)


def _ask_within(seconds: float, ask: Callable[[], str]) -> str:
    """Returns: what `ask` returns, or that no answer came in time; the thread that asks is then left running."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), name="model-hub-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else f"no answer from the model hub within {seconds:g} s"


def _describe(error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return "its owner grants access only on request"
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return "there is no such repository"
    first_line = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _unavailable(repository: str, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The model's files ({repository}) are not here and could not be fetched: {reason}. Connect to the model hub "
        "and try again, or copy the model's folder here and set CLIPSEEK_MODEL to its path, or to 'starter', which "
        "needs no download."
    )
