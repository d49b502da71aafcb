"""The model hub: look in its local cache, ask whether it answers, and fetch files without waiting forever.

huggingface_hub starts a broken download again from its beginning, and compares no checksum. So files are fetched here,
into its cache: a part stays where it is until it is whole and has the hub's checksum.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
from filelock import FileLock
from huggingface_hub import errors
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils._headers import build_hf_headers

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


_PART_SUFFIX = ".clipseek-part"


class NotDownloaded(ModelUnavailable):
    """A file is not here, and nobody asked to download it."""


@dataclass(frozen=True)
class Hub:
    """The hub as huggingface_hub knows it. Tests set `endpoint` and `cache_dir`; None means the user's own.

    Attributes:
        may_download: whether `fetch` may use the network; else it raises NotDownloaded.
    """

    endpoint: str | None = None
    cache_dir: Path | None = None
    may_download: bool = True
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

        Raises: ModelUnavailable: no file came; the message says why and what to do. NotDownloaded.
        """
        names = tuple(names)
        if path := self.find_cached(repository, names):
            return path
        self._check_allowed(repository)
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
        """Get the folder with a text model's tokenizer and configuration, downloading what is not cached.

        Raises: ModelUnavailable: the files did not come.
        """
        vocabulary = (_TEXT_FILES[0], *_OLD_TEXT_FILES)
        if path := self.find_cached(repository, vocabulary):
            return path.parent
        self._check_allowed(repository)
        if reason := self.why_unreachable(repository):
            raise _unavailable(repository, reason)
        downloads = [self._download(repository, name) for name in _TEXT_FILES]
        if downloads[0] is None:
            for name in _OLD_TEXT_FILES:
                self._download(repository, name)
        if path := self.find_cached(repository, vocabulary):
            return path.parent
        raise _unavailable(repository, "it has no tokenizer files")

    def _check_allowed(self, repository: str) -> None:
        if not self.may_download:
            raise NotDownloaded(f"The files of {repository} are not on this machine.")

    def _download(self, repository: str, name: str) -> Path | None:
        """Returns: None if the repository has no such file. Raises: ModelUnavailable."""
        try:
            self._fetch_blob(repository, name)
            path = huggingface_hub.hf_hub_download(  # finds the blob, and gives it its name
                repository, name, endpoint=self.endpoint, cache_dir=self.cache_dir, etag_timeout=REQUEST_SECONDS
            )
        except errors.EntryNotFoundError as error:
            if isinstance(error, errors.LocalEntryNotFoundError):  # not an answer: the hub went away
                raise _unavailable(repository, f"fetching {name} failed ({_describe(error)})") from error
            return None
        except ModelUnavailable:
            raise
        except Exception as error:
            raise _unavailable(repository, f"fetching {name} failed ({_describe(error)})") from error
        return Path(path)

    def _fetch_blob(self, repository: str, name: str) -> None:
        """Download a file's content into the cache, continuing where an earlier try ended.

        Raises: ModelUnavailable: the content has another checksum than the hub names; it is deleted.
        """
        url = huggingface_hub.hf_hub_url(repository, name, endpoint=self.endpoint)
        headers = build_hf_headers()
        metadata = huggingface_hub.get_hf_file_metadata(url, timeout=REQUEST_SECONDS)
        if metadata.etag is None:
            raise _unavailable(repository, f"the hub names no checksum for {name}")
        cache = self.cache_dir or Path(huggingface_hub.constants.HF_HUB_CACHE)
        blobs = cache / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
        blob = blobs / metadata.etag
        blobs.mkdir(parents=True, exist_ok=True)
        part = blob.with_name(blob.name + _PART_SUFFIX)
        with FileLock(f"{part}.lock"):
            if blob.exists():
                return
            if urlsplit(metadata.location).netloc != urlsplit(url).netloc:
                headers.pop("authorization", None)  # the token is for the hub, not for another host
            with part.open("ab") as file:
                start = file.tell()
                if metadata.size is None or start <= metadata.size:
                    http_get(
                        metadata.location,
                        file,
                        resume_size=start,
                        headers=headers,
                        expected_size=metadata.size,
                        displayed_filename=name,
                    )
            _check_checksum(part, metadata.etag, repository, name)
            part.replace(blob)


def _check_checksum(file: Path, etag: str, repository: str, name: str) -> None:
    """The hub's tag of a large file is its SHA-256, of a small one git's SHA-1. Raises: ModelUnavailable."""
    if len(etag) not in (40, 64):
        raise _unavailable(repository, f"the hub's tag of {name}, '{etag}', is no checksum")
    digest = hashlib.sha256() if len(etag) == 64 else hashlib.sha1(usedforsecurity=False)
    if len(etag) == 40:
        digest.update(f"blob {file.stat().st_size}\0".encode())
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != etag:
        file.unlink()
        raise _unavailable(
            repository,
            f"{name} arrived damaged: its checksum is {digest.hexdigest()}, not {etag}. The damaged file was deleted",
        )


def _ask_within(seconds: float, ask: Callable[[], str]) -> str:
    """Returns: what `ask` returns, or that no answer came in time; the thread that asks is then left running."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), name="model-hub-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else f"no answer from the model hub within {seconds:g} s"


def _describe(error: Exception) -> str:
    if isinstance(error, errors.GatedRepoError):
        return "its owner grants access only on request: ask for it on the hub's page, then set HF_TOKEN"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the hub wants a valid token (401): set HF_TOKEN"
    if status == 404 or isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return "there is no such repository"
    first_line = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _unavailable(repository: str, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The model's files ({repository}) are not here and could not be fetched: {reason}. Try again: what has "
        f"arrived is kept. Or bring them by hand: run `hf download {repository} --local-dir FOLDER` elsewhere, "
        "copy the folder here, and set CLIPSEEK_MODEL to its path. CLIPSEEK_MODEL=starter needs no download."
    )
