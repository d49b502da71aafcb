"""The model hub: what is in its local cache, whether it answers, and fetching from it without waiting for ever."""

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

# `auto` decides within 5 s, whatever the network does: one question for at most this long, asked in a thread of its
# own, because looking up a host's name can hang past every timeout that is given.
PROBE_SECONDS = 4.0
# Of each request while fetching; the hub's client adds a few retries of its own.
REQUEST_SECONDS = 10.0

WEIGHTS_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# A text model's files besides its weights: first those that suffice today, then what older repositories have instead.
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
    """The hub as huggingface_hub knows it. Tests give their own `endpoint` and `cache_dir`; None is the user's."""

    endpoint: str | None = None
    cache_dir: Path | None = None
    probe_seconds: float = PROBE_SECONDS

    def cached(self, repository: str, names: Iterable[str]) -> Path | None:
        """The first of the named files that lies in the local cache. Asks nobody."""
        for name in names:
            found = huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=self.cache_dir)
            if isinstance(found, str):
                return Path(found)
        return None

    def why_unreachable(self, repository: str) -> str:
        """Ask once whether the hub answers for this repository. Returns: "" if so, else the reason in words."""
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            return "HF_HUB_OFFLINE forbids to ask the model hub"
        return _within(self.probe_seconds, lambda: self._probe(repository))

    def _probe(self, repository: str) -> str:
        try:
            huggingface_hub.HfApi(endpoint=self.endpoint).model_info(repository, timeout=self.probe_seconds)
        except Exception as error:  # noqa: BLE001 (what the network stack raises is open-ended; all of it means no)
            return f"the model hub does not give it ({_in_words(error)})"
        return ""

    def fetch(self, repository: str, names: Iterable[str]) -> Path:
        """The first of the named files that the repository has: from the cache, else downloaded.

        Raises:
            ModelUnavailable: it cannot be had; says why and what to do.
        """
        names = tuple(names)
        if found := self.cached(repository, names):
            return found
        if reason := self.why_unreachable(repository):
            raise _unavailable(repository, reason)
        logger.warning("Fetching %s of %s from the model hub; this is done once", names[0], repository)
        started = time.monotonic()
        for name in names:
            if path := self._download(repository, name):
                logger.warning(
                    "Fetched %s, %d MB in %.0f s", name, path.stat().st_size >> 20, time.monotonic() - started
                )
                return path
        raise _unavailable(repository, f"it has none of {', '.join(names)}")

    def fetch_text_files(self, repository: str) -> Path:
        """The folder with the tokenizer and the configuration of a text model; fetched if they are not cached.

        Raises:
            ModelUnavailable: they cannot be had.
        """
        vocabulary = (_TEXT_FILES[0], *_OLD_TEXT_FILES)
        if found := self.cached(repository, vocabulary):
            return found.parent
        if reason := self.why_unreachable(repository):
            raise _unavailable(repository, reason)
        fetched = [self._download(repository, name) for name in _TEXT_FILES]
        if fetched[0] is None:
            fetched += [self._download(repository, name) for name in _OLD_TEXT_FILES]
        if found := self.cached(repository, vocabulary):
            return found.parent
        raise _unavailable(repository, "it has no tokenizer files")

    def _download(self, repository: str, name: str) -> Path | None:
        """None where the repository has no such file. Raises ModelUnavailable."""
        try:
            path = huggingface_hub.hf_hub_download(
                repository, name, endpoint=self.endpoint, cache_dir=self.cache_dir, etag_timeout=REQUEST_SECONDS
            )
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):  # not an answer: the hub went away
                raise _unavailable(repository, f"fetching {name} failed ({_in_words(error)})") from error
            return None
        except Exception as error:
            raise _unavailable(repository, f"fetching {name} failed ({_in_words(error)})") from error
        return Path(path)


def _within(seconds: float, ask: Callable[[], str]) -> str:
    """What `ask` says, or that it said nothing in time; then it is left to itself."""
    answer: list[str] = []
    thread = threading.Thread(target=lambda: answer.append(ask()), name="model-hub-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else f"no answer from the model hub within {seconds:g} s"


def _in_words(error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return "its owner wants to be asked for access first"
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return "there is no such repository"
    first_line = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _unavailable(repository: str, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The model's files ({repository}) cannot be had: {reason}. Connect to the model hub and try again, or copy "
        "the model's folder here and set CLIPSEEK_MODEL to its path, or to 'starter', which needs no download."
    )
