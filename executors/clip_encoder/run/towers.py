"""The two halves of a model at work: pictures and texts to unit vectors of one space."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clipseek.api.errors import EmptyQuery, ModelError
from executors.clip_encoder.model.spec import Half, ModelSpec
from executors.clip_encoder.model.weights import load_half
from executors.clip_encoder.run.device import Device
from executors.clip_encoder.run.openvino_model import compile_half
from executors.clip_encoder.run.preprocessing import Pictures, to_tensor
from executors.clip_encoder.run.sentence_encoder import SentenceEncoder
from executors.clip_encoder.run.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


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

    Raises: ModelError: the weights cannot be loaded, or another form of it computes wrong vectors here.
    """

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        started = time.monotonic()
        self.spec, self.device = spec, device
        if form := spec.image_form:
            self._half, self.engine = form.load(), form.engine
            form.check(self.encode)
        else:
            self._half, self.engine = self._load()
        _log_loaded("image", self, started)

    def _load(self) -> tuple[Half, str]:
        module = load_half(self.spec, "image").to(self.device.name)
        if self.device.name == "cuda":
            module = module.to(memory_format=torch.channels_last)
        pictures = torch.rand(2, 3, self.spec.preprocessing.height, self.spec.preprocessing.width)
        return _choose_engine(module, pictures, self.device, f"the image half of {self.spec.name}")

    def encode(self, pictures: Pictures) -> Vectors:
        """Encode pictures, uint8 [N, H, W, 3] in RGB; N may be 0. The preprocessing fits sizes other than the model's.

        Returns: float32 [N, D], unit rows, in input order.
        Raises: InvalidRequest: the array has another type or shape; ModelError: a vector has no direction.
        """
        starts = range(0, max(1, len(pictures)), self.device.batch)
        return np.concatenate([self._encode_batch(pictures[i : i + self.device.batch]) for i in starts])

    def _encode_batch(self, pictures: Pictures) -> Vectors:
        tensor = to_tensor(pictures, self.spec.preprocessing, self.device.name)
        if not len(tensor):
            return np.empty((0, self.spec.dimensions), np.float32)
        return _make_unit(_run_half(self._half, tensor, self.device), len(tensor), self.spec)


class TextTower:
    """The text half of a model. Any number of threads may use it; they take turns at what cannot be shared.

    Raises: ModelError, ModelUnavailable: the weights or the tokenizer cannot be loaded.
    """

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        started = time.monotonic()
        self.spec, self.device = spec, device
        self._reader = SentenceEncoder() if spec.has_sentence_encoder else _TokenReader(spec, device)
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
    """A tokenizer, and a module that reads token numbers."""

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        self._device = device
        self._tokenizer = Tokenizer(spec)
        self.context_length = self._tokenizer.context_length
        self._lock = threading.Lock()
        module = load_half(spec, "text").to(device.name)
        example = self._tokenizer.encode(["a dog", "a dog jumps into a lake"])
        self._half, self.engine = _choose_engine(module, example, device, f"the text half of {spec.name}")

    def read(self, texts: Sequence[str]) -> tuple[Vectors, tuple[int, ...]]:
        with self._lock:
            numbers = self._tokenizer.encode(texts)
            counts = tuple(self._tokenizer.count(text) for text in texts)
        return _run_half(self._half, numbers.to(self._device.name), self._device), counts


def _choose_engine(module: nn.Module, example: torch.Tensor, device: Device, name: str) -> tuple[Half, str]:
    """Returns: what runs a half on the device, and the name of its engine: torch if the device's own cannot."""
    half = compile_half(module, example, name) if device.engine == "openvino" else None
    return (half, "openvino") if half else (module, "torch")


def _log_loaded(half: str, tower: ImageTower | TextTower, started: float) -> None:
    seconds = time.monotonic() - started
    logger.info("%s half of %s ready (%s, %s), %.1f s", half, tower.spec.name, tower.device.name, tower.engine, seconds)


def _run_half(half: Half, values: torch.Tensor, device: Device) -> Vectors:
    """Returns: float32 [N, D] on the CPU."""
    with torch.inference_mode(), device.autocast():
        rows = half(values)
    vectors: Vectors = rows.float().cpu().numpy()
    return vectors


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
