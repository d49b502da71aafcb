"""Finds the starter model, and has `recipe` build it at first use."""

import json
import logging
import time
from pathlib import Path

from filelock import FileLock

from clipseek.api.errors import ClipSeekError, ModelUnavailable
from clipseek.config.profiles import STARTER
from clipseek.machine.module_call import call_module
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import ModelSpec

logger = logging.getLogger(__name__)

RECIPE_VERSION = 3  # part of the identity: raise it if a change of recipe.py alters what the model computes
SOURCES_NAME = "starter.json"


def build_starter(models: Path) -> ModelSpec:
    """Build the starter model in `models/starter-VERSION`, if it is not there yet.

    The build happens in a temporary folder, which is renamed under a lock: two processes may start at once.

    Raises: ModelUnavailable: a package with its weights is not installed, or the folder cannot be written.
    """
    folder = models / f"{STARTER}-{RECIPE_VERSION}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / SOURCES_NAME).is_file():
                _make(folder)
        sources = json.loads((folder / SOURCES_NAME).read_text(encoding="utf-8"))
    except ClipSeekError:
        raise
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The starter model cannot be built in {folder}: {error}. Free some space, or set CLIPSEEK_CACHE to "
            "another folder."
        ) from error
    return read_model_folder(folder, STARTER, "the starter model", weights_sha256=sources["sha256"])


def _make(folder: Path) -> None:
    """Build the model in a process of its own, because that needs torch, and this process nothing of it."""
    started = time.monotonic()
    logger.info("building the starter model; this is needed only once")
    call_module(f"{__package__}.recipe", str(folder), failure=_failed, shows_progress=True)
    logger.info("starter model built in %.1f s: %s", time.monotonic() - started, folder)


def _failed(line: str) -> ModelUnavailable:
    return ModelUnavailable(f"The starter model cannot be built: {line}")
