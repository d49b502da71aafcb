"""The two halves of a model at work: pictures and texts to unit vectors of one space."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clipseek.api.errors import EmptyQuery, ModelError
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.model.weights import load_half
from executors.clip_encoder.run.device import Device
from executors.clip_encoder.run.openvino_model import CompiledHalf, compiled
from executors.clip_encoder.run.preprocessing import Pictures
from executors.clip_encoder.run.tokenizer import Tokens

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]
Half = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as vectors.

    Attributes:
        vectors: float32 [N, D], unit rows, in the order of the texts.
        token_counts: how many tokens each whole text takes.
        context_length: how many the model reads of each.
    """

    vectors: Vectors
    token_counts: tuple[int, ...]
    context_length: int

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.token_counts):
            raise ModelError(f"vectors {self.vectors.shape} do not fit {len(self.token_counts)} texts")

    @property
    def truncated(self) -> tuple[bool, ...]:
        """For each text, whether its end was not read."""
        return tuple(count > self.context_length for count in self.token_counts)

    @property
    def truncation_warnings(self) -> list[str]:
        """One sentence for each text whose end was not read."""
        return [
            f"The text has {count} tokens; this model reads the first {self.context_length}, the rest was ignored."
            for count in self.token_counts
            if count > self.context_length
        ]


class ImageTower:
    """The image half of a model. Any number of threads may use it.

    Raises:
        ModelError: the weights cannot be loaded.
    """

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        started = time.monotonic()
        self.spec, self.device = spec, device
        self._half, self.engine = self._int8(spec.int8_image) if spec.int8_image else self._float()
        _log_loaded("image", self, started)

    def _float(self) -> tuple[Half, str]:
        module = load_half(self.spec, "image").to(self.device.name)
        if self.device.name == "cuda":
            module = module.to(memory_format=torch.channels_last)
        pictures = torch.rand(2, 3, self.spec.preprocessing.height, self.spec.preprocessing.width)
        return _fastest(module, pictures, self.device, f"the image half of {self.spec.name}")

    def _int8(self, file: Path) -> tuple[Half, str]:
        try:
            return CompiledHalf(file), "int8"
        except RuntimeError as error:  # OpenVINO's own
            raise ModelError(
                f"The int8 form of {self.spec.name}, {file}, cannot be loaded: {str(error)[:500]}. Make it anew with "
                "`clipseek model optimise --again`, or set CLIPSEEK_ENGINE=auto"
            ) from error

    def encode(self, pictures: Pictures) -> Vectors:
        """Encode pictures, in batches.

        Args:
            pictures: uint8 [N, H, W, 3], RGB; of another size than the model's they are fitted as its
                preprocessing says. N may be 0.

        Returns: float32 [N, D], unit rows, in input order.

        Raises:
            InvalidRequest: the array is of another type or shape.
            ModelError: the model gave a vector without a direction.
        """
        starts = range(0, max(1, len(pictures)), self.device.batch)
        return np.concatenate([self._encode_batch(pictures[i : i + self.device.batch]) for i in starts])

    def _encode_batch(self, pictures: Pictures) -> Vectors:
        tensor = self.spec.preprocessing.to_tensor(pictures, self.device.name)
        if not len(tensor):
            return np.empty((0, self.spec.dimensions), np.float32)
        return _unit_rows(self._half, tensor, self.device, self.spec)


class TextTower:
    """The text half of a model. Any number of threads may use it; they take turns at the tokenizer.

    Raises:
        ModelError: the weights or the tokenizer cannot be loaded.
    """

    def __init__(self, spec: ModelSpec, device: Device) -> None:
        started = time.monotonic()
        self.spec, self.device = spec, device
        self._tokens = Tokens(spec)
        self._lock = threading.Lock()
        module = load_half(spec, "text").to(device.name)
        numbers = self._tokens.numbers(["a dog", "a dog jumps into a lake"])
        self._half, self.engine = _fastest(module, numbers, device, f"the text half of {spec.name}")
        _log_loaded("text", self, started)

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encode texts; what does not fit into the model's context is cut off, and counted.

        Raises:
            EmptyQuery: a text is blank.
            ModelError: the model gave a vector without a direction.
        """
        if not all(text.strip() for text in texts):
            raise EmptyQuery("The text to look for is empty. Describe what should be seen, e.g. 'a red car'.")
        if not texts:
            return EncodedTexts(np.empty((0, self.spec.dimensions), np.float32), (), self._tokens.context_length)
        with self._lock:
            numbers = self._tokens.numbers(texts)
            counts = tuple(self._tokens.count(text) for text in texts)
        vectors = _unit_rows(self._half, numbers.to(self.device.name), self.device, self.spec)
        return EncodedTexts(vectors, counts, self._tokens.context_length)


def _fastest(module: nn.Module, example: torch.Tensor, device: Device, name: str) -> tuple[Half, str]:
    """What runs a half on the device, and the name of its engine: the device's own where that can."""
    half = compiled(module, example, name) if device.engine == "openvino" else None
    return (half, "openvino") if half else (module, "torch")


def _log_loaded(half: str, tower: ImageTower | TextTower, started: float) -> None:
    seconds = time.monotonic() - started
    logger.info("%s half of %s ready (%s, %s), %.1f s", half, tower.spec.name, tower.device.name, tower.engine, seconds)


def _unit_rows(half: Half, values: torch.Tensor, device: Device, spec: ModelSpec) -> Vectors:
    """Run a half and make its vectors unit length: the one place where that is done.

    Returns: float32 [N, D] on the CPU.
    """
    with torch.inference_mode(), device.autocast():
        vectors = half(values)
    features: Vectors = vectors.float().cpu().numpy()
    if features.shape != (len(values), spec.dimensions):
        expected = (len(values), spec.dimensions)
        raise ModelError(f"{spec.name} gave vectors of shape {features.shape} where its configuration says {expected}")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise ModelError(
            f"{spec.name} gave a vector without a direction (zero or not a number): its weights are damaged"
        )
    unit: Vectors = features / lengths
    return unit
