"""A half of a model compiled for the CPU by OpenVINO, which computes torch's vectors in less time.

OpenVINO is optional. Its front end is called directly: the converter around it reports its use over the network.
"""

import importlib.util
import logging
import threading
import warnings
from typing import Any

import torch
from torch import nn

from executors.machine.processors import has_quota, processor_count

logger = logging.getLogger(__name__)

# Cosine to torch's vectors that every row of the check must reach. Both compute in float32: what was measured is
# 0.9999999, see docs/performance.md.
LEAST_COSINE = 0.99999
# One request at a time, on all cores that there are.
_LATENCY: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
if has_quota():
    _LATENCY["INFERENCE_NUM_THREADS"] = processor_count()


def is_available() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


class CompiledHalf:
    """Called as the torch module it was made of, in any number of rows. Threads take turns.

    Args:
        model: OpenVINO's, or its file.
    """

    def __init__(self, model: object) -> None:
        import openvino

        self._compiled = openvino.Core().compile_model(model, "CPU", _LATENCY)
        self._lock = threading.Lock()

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        with self._lock:
            return torch.from_numpy(self._compiled(values.numpy())[0].copy())


def compiled(module: nn.Module, example: torch.Tensor, name: str) -> CompiledHalf | None:
    """Compile a half and compare its vectors with torch's.

    Returns: None where they differ or it cannot be compiled: then torch is to be used. The log says why.
    """
    try:
        half = CompiledHalf(converted(module, example))
        with torch.inference_mode():
            least = min(_least_cosine(module, half, example[:rows]) for rows in (1, 2))
    except Exception as error:  # noqa: BLE001 (whatever OpenVINO cannot do, torch can)
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        logger.warning("OpenVINO cannot run %s (%s): torch does", name, why)
        return None
    if not least >= LEAST_COSINE:
        logger.warning("OpenVINO's vectors of %s differ from torch's (cosine %.5f): torch is used", name, least)
        return None
    return half


def converted(module: nn.Module, example: torch.Tensor) -> Any:
    """OpenVINO's model of a torch module, with all sizes of its input left open.

    Args:
        module: float32 [N, 3, height, width] or int64 [N, context] to float32 [N, D], on the CPU.
        example: an input of it, of two rows.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    front_end = FrontEndManager().load_by_framework("pytorch")
    transformers = logging.getLogger("transformers")  # tracing reads all it has, and it warns of what it lacks
    level = transformers.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces the end of the tracing that OpenVINO is built on
        transformers.setLevel(logging.ERROR)
        try:
            # It must outlive the conversion. That the trace is right, `compiled` checks for all the steps together.
            decoder = TorchScriptPythonDecoder(module, example_input=example, trace_kwargs={"check_trace": False})
            return front_end.convert(front_end.load(decoder))
        finally:
            transformers.setLevel(level)


def _least_cosine(module: nn.Module, half: CompiledHalf, values: torch.Tensor) -> float:
    return float(torch.cosine_similarity(module(values), half(values), dim=-1).min())
