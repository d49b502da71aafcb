"""A half of a model compiled for the CPU by OpenVINO, an option: it computes torch's vectors in less time."""

import importlib.util
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from executors.clip_encoder.model.spec import Half, Vectors
from executors.machine.processors import has_quota, processor_count

logger = logging.getLogger(__name__)

# Cosine to torch's vectors that each row of the check must reach. Both compute in float32: the measured cosine is
# 0.9999999, see docs/performance.md.
LEAST_COSINE = 0.99999
_COMPILED_NAME = "compiled"
# One request at a time, on all cores.
_LATENCY: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
if has_quota():
    _LATENCY["INFERENCE_NUM_THREADS"] = processor_count()


def is_installed() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


class Convertible(Protocol):
    """A half that torch runs."""

    def __call__(self, values: NDArray[Any]) -> Vectors: ...
    def convert(self, example: NDArray[Any]) -> Any: ...


class CompiledHalf:
    """OpenVINO's model, or its file: a `Half` that takes any number of rows. Threads take turns.

    Beside a file OpenVINO keeps what it made of it for this processor: that loads in a quarter of the time, and takes
    30 MB less. It makes a damaged one again.
    """

    def __init__(self, model: object | Path) -> None:
        import openvino

        compiled = (
            model.parent / _COMPILED_NAME if isinstance(model, Path) and os.access(model.parent, os.W_OK) else None
        )
        options = _LATENCY | ({"CACHE_DIR": str(compiled)} if compiled else {})
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        for file in compiled.iterdir() if compiled else ():
            file.chmod(0o600)  # OpenVINO lets the group read it
        self._lock = threading.Lock()

    def __call__(self, values: NDArray[Any]) -> Vectors:
        with self._lock:
            vectors: Vectors = self._compiled(values)[0].copy()
        return vectors


def compile_half(
    half: Convertible, example: NDArray[Any], name: str, keep: Callable[[Any], None] = lambda _: None
) -> CompiledHalf | None:
    """Compile a half and compare its vectors with torch's.

    Args:
        example: an input of two rows.
        keep: is given the converted model, if its vectors are right.

    Returns: None if it cannot be compiled, or its vectors differ: then use torch. The log says why.
    """
    try:
        model = half.convert(example)
        compiled = CompiledHalf(model)
        least = min(least_cosine(half(example[:rows]), compiled, example[:rows]) for rows in (1, 2))
    except Exception as error:  # noqa: BLE001 (torch can do whatever OpenVINO cannot)
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        logger.warning("OpenVINO cannot run %s (%s): torch runs it", name, why)
        return None
    if not least >= LEAST_COSINE:
        logger.warning("OpenVINO's vectors of %s differ from torch's (cosine %.5f): torch runs it", name, least)
        return None
    keep(model)
    return compiled


def least_cosine(expected: Vectors, half: Half, values: NDArray[Any]) -> float:
    """The least cosine between expected vectors, [N, D], and those that a half computes."""
    rows = half(values)
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(rows, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # of a damaged model; not a number is no cosine
        return float(((expected * rows).sum(axis=1) / lengths).min())
