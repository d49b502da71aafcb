"""The two halves of a model at work: pictures and texts to unit vectors of one space."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipseek.api.errors import EmptyQuery, ModelError
from executors.clip_encoder.model.spec import Half, ModelSpec, Pictures, Vectors
from executors.clip_encoder.run.convert_half import convert_elsewhere
from executors.clip_encoder.run.device import Device
from executors.clip_encoder.run.openvino_model import compile_half
from executors.clip_encoder.run.preprocessing import fit, normalise
from executors.clip_encoder.run.saved_half import SavedHalf, make_example
from executors.machine.sentence_encoder import shared_encoder

if TYPE_CHECKING:
    from executors.clip_encoder.pytorch.half import TorchHalf

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as vectors, in their order."""

    vectors: Vectors  # float32 [N, D], unit rows
    token_counts: tuple[int, ...]  # how many tokens each whole text has
    context_length: int  # how many of them the model reads

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.token_counts):
            raise ModelError(f"vectors {self.vectors.shape} do not fit {len(self.token_counts)} texts")

    @property
    def truncation_warnings(self) -> list[str]:
        """One sentence for each text whose end the model does not read."""
        return [
            f"The text has {count} tokens; this model reads the first {self.context_length} and ignores the rest."
            for count in self.token_counts
            if count > self.context_length
        ]


class ImageTower:
    """The image half of a model. Any number of threads may use it.

    Args:
        cache: where OpenVINO's form of the half is kept, so that the next start needs no torch; None: nowhere.

    Raises: ModelError: the weights cannot be loaded, or another form of it computes wrong vectors here.
    """

    def __init__(self, spec: ModelSpec, device: Device, cache: Path | None = None) -> None:
        started = time.monotonic()
        self.spec, self.device = spec, device
        if form := spec.image_form:
            self._encode_fitted, self.engine = self._with_arrays(form.load()), form.engine
            form.check(self.encode)
        elif self.device.engine == "openvino" and (half := self._find_openvino_half(cache)):
            self._encode_fitted, self.engine = self._with_arrays(half), "openvino"
        else:
            by_torch = self._load_torch_half()
            self._encode_fitted, self.engine = lambda rows: by_torch.encode_pictures(rows, spec.preprocessing), "torch"
        _log_loaded("image", self, started)

    def _find_openvino_half(self, cache: Path | None) -> Half | None:
        """Returns: None if OpenVINO does not compute torch's vectors."""
        example = make_example(self.spec)
        if cache:
            saved = SavedHalf.of(self.spec, cache)
            if half := saved.load(example):
                return half
            if not convert_elsewhere(self.spec, saved):
                return None
            if half := saved.load(example):
                return half
        return compile_half(self._load_torch_half(), example, f"the image half of {self.spec.name}")

    def _load_torch_half(self) -> "TorchHalf":
        from executors.clip_encoder.pytorch.half import TorchHalf

        return TorchHalf.load(self.spec, "image", self.device.name, self.device.precision)

    def _with_arrays(self, half: Half) -> Callable[[Pictures], Vectors]:
        return lambda pictures: half(normalise(pictures, self.spec.preprocessing))

    def encode(self, pictures: Pictures) -> Vectors:
        """Encode pictures, uint8 [N, H, W, 3] in RGB; N may be 0. Other sizes than the model's are fitted.

        Returns: float32 [N, D], unit rows, in input order.
        Raises: InvalidRequest: the array has another type or shape; ModelError: a vector has no direction.
        """
        starts = range(0, max(1, len(pictures)), self.device.batch)
        return np.concatenate([self._encode_batch(pictures[i : i + self.device.batch]) for i in starts])

    def _encode_batch(self, pictures: Pictures) -> Vectors:
        fitted = fit(pictures, self.spec.preprocessing)
        if not len(fitted):
            return np.empty((0, self.spec.dimensions), np.float32)
        return _make_unit(self._encode_fitted(fitted), len(fitted), self.spec)


class TextTower:
    """The text half of a model. Any number of threads may use it; they take turns at what cannot be shared.

    Raises: ModelError, ModelUnavailable: the weights or the tokenizer cannot be loaded.
    """

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        started = time.monotonic()
        self.spec, self.device = spec, device
        self._reader = shared_encoder() if spec.has_sentence_encoder else _TokenReader(spec, device)
        self.engine = self._reader.engine
        _log_loaded("text", self, started)

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encode texts. What exceeds the model's context is ignored; the token counts show it.

        Raises: EmptyQuery: a text is blank; ModelError: a vector has no direction.
        """
        if not all(text.strip() for text in texts):
            raise EmptyQuery("The text to search for is empty. Describe what you want to see, e.g. 'a red car'.")
        context_length = self._reader.context_length
        if not texts:
            return EncodedTexts(np.empty((0, self.spec.dimensions), np.float32), (), context_length)
        rows, counts = self._reader.read(texts)
        return EncodedTexts(_make_unit(rows, len(texts), self.spec), counts, context_length)


class _TokenReader:
    """A tokenizer, and a half that reads token numbers."""

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        from executors.clip_encoder.pytorch.half import TorchHalf
        from executors.clip_encoder.pytorch.tokenizer import Tokenizer

        self._tokenizer = Tokenizer(spec)
        self.context_length = self._tokenizer.context_length
        self._lock = threading.Lock()
        self._half: Half = TorchHalf.load(spec, "text", device.name, device.precision)
        self.engine = "torch"
        example = self._tokenizer.encode(["a dog", "a dog jumps into a lake"])
        name = f"the text half of {spec.name}"
        if device.engine == "openvino" and (half := compile_half(self._half, example, name)):
            self._half, self.engine = half, "openvino"

    def read(self, texts: Sequence[str]) -> tuple[Vectors, tuple[int, ...]]:
        with self._lock:
            numbers = self._tokenizer.encode(texts)
            counts = tuple(self._tokenizer.count(text) for text in texts)
        return self._half(numbers), counts


def _log_loaded(half: str, tower: ImageTower | TextTower, started: float) -> None:
    seconds = time.monotonic() - started
    logger.info("%s half of %s ready (%s, %s), %.1f s", half, tower.spec.name, tower.device.name, tower.engine, seconds)


def _make_unit(vectors: Vectors, count: int, spec: ModelSpec) -> Vectors:
    """Check a half's vectors and make them unit length: the one place that does. Returns: float32 [count, D]."""
    expected = (count, spec.dimensions)
    if vectors.shape != expected:
        raise ModelError(f"{spec.name} gave vectors of shape {vectors.shape}; its configuration says {expected}")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise ModelError(
            f"{spec.name} gave a vector without a direction (zero or not a number): its weights are damaged"
        )
    unit: Vectors = vectors / lengths
    return unit
