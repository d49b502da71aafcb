"""An image half in OpenVINO's files, kept in the cache: made with torch once, then loaded without it."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from executors.clip_encoder.model.spec import ModelSpec, Vectors, vectors_key
from executors.clip_encoder.run.openvino_model import LEAST_COSINE, CompiledHalf, least_cosine

logger = logging.getLogger(__name__)

_MODEL_NAME = "image.xml"  # OpenVINO writes the weights beside it, in image.bin
_EXPECTED_NAME = "expected.npy"  # torch's vectors of the two example pictures


def make_example(spec: ModelSpec) -> NDArray[np.float32]:
    """The two pictures that a form is checked with: the same at each start."""
    size = (2, 3, spec.preprocessing.height, spec.preprocessing.width)
    return np.random.default_rng(0).random(size, np.float32)


@dataclass(frozen=True)
class SavedHalf:
    """The files of one model's image half, as one version of OpenVINO wrote them."""

    folder: Path

    @classmethod
    def of(cls, spec: ModelSpec, cache: Path) -> "SavedHalf":
        """Raises: ModelUnavailable: the weights cannot be read."""
        return cls(cache / "openvino" / f"{vectors_key(spec, cache)}-{version('openvino')}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time make it. Where nothing can be written, there is nothing to guard."""
        lock = FileLock(f"{self.folder}.lock")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError:
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def load(self, example: NDArray[np.float32]) -> CompiledHalf | None:
        """Load the half. Returns: None if there is none, or it does not compute torch's vectors of `example` here."""
        if not (self.folder / _EXPECTED_NAME).is_file():
            return None
        try:
            half = CompiledHalf(self.folder / _MODEL_NAME)
            least = least_cosine(np.load(self.folder / _EXPECTED_NAME), half, example)
        except (OSError, RuntimeError, ValueError) as error:
            logger.warning("%s cannot be read (%s) and is made again", self.folder, error)
            return None
        if not least >= LEAST_COSINE:
            logger.warning("%s computes wrong vectors (cosine %.5f) and is made again", self.folder, least)
            return None
        return half

    def save(self, model: Any, expected: Vectors) -> None:
        """Keep a converted model and torch's vectors of the example. If that fails, the next start converts again."""
        import openvino

        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder.parent) as temporary:
                draft = Path(temporary) / "draft"
                draft.mkdir()
                openvino.save_model(model, draft / _MODEL_NAME, compress_to_fp16=False)
                np.save(draft / _EXPECTED_NAME, expected)
                self._remove_others()
                draft.rename(self.folder)
        except (OSError, RuntimeError) as error:
            logger.warning("the converted model cannot be kept in %s: %s", self.folder, error)

    def _remove_others(self) -> None:
        """Remove a damaged one, and those of other versions of OpenVINO."""
        key = self.folder.name.rpartition("-")[0]
        for folder in filter(Path.is_dir, self.folder.parent.glob(f"{key}-*")):
            shutil.rmtree(folder, ignore_errors=True)
