"""A half of a model compiled for the CPU by OpenVINO, an option: it computes torch's vectors in less time."""

import importlib.util
import logging
import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

from executors.clip_encoder.run.quirks import mute_tracing
from executors.machine.processors import has_quota, processor_count

logger = logging.getLogger(__name__)

# Cosine to torch's vectors that each row of the check must reach. Both compute in float32: the measured cosine is
# 0.9999999, see docs/performance.md.
LEAST_COSINE = 0.99999
# One request at a time, on all cores.
_LATENCY: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
if has_quota():
    _LATENCY["INFERENCE_NUM_THREADS"] = processor_count()


def is_installed() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


class CompiledHalf:
    """OpenVINO's model, or its file: call it like its torch module, with any number of rows. Threads take turns."""

    def __init__(self, model: object | Path) -> None:
        import openvino

        self._compiled = openvino.Core().compile_model(model, "CPU", _LATENCY)
        self._lock = threading.Lock()

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        with self._lock:
            return torch.from_numpy(self._compiled(values.numpy())[0].copy())


def compile_half(module: nn.Module, example: torch.Tensor, name: str) -> CompiledHalf | None:
    """Compile a half and compare its vectors with torch's.

    Returns: None if it cannot be compiled, or its vectors differ: then use torch. The log says why.
    """
    try:
        half = CompiledHalf(convert_module(module, example))
        with torch.inference_mode():
            least = min(_compare_rows(module, half, example[:rows]) for rows in (1, 2))
    except Exception as error:  # noqa: BLE001 (torch can do whatever OpenVINO cannot)
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        logger.warning("OpenVINO cannot run %s (%s): torch runs it", name, why)
        return None
    if not least >= LEAST_COSINE:
        logger.warning("OpenVINO's vectors of %s differ from torch's (cosine %.5f): torch runs it", name, least)
        return None
    return half


def convert_module(module: nn.Module, example: torch.Tensor) -> Any:
    """Convert a torch module to OpenVINO's model, with inputs of any size.

    It calls OpenVINO's front end itself: `openvino.convert_model` around it would report its use.

    Args:
        module: float32 [N, 3, height, width] or int64 [N, context] to float32 [N, D], on the CPU.
        example: an input for it, of two rows.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    front_end = FrontEndManager().load_by_framework("pytorch")
    with mute_tracing():
        # The decoder must outlive the conversion. `compile_half` checks the trace together with all other steps.
        decoder = TorchScriptPythonDecoder(module, example_input=example, trace_kwargs={"check_trace": False})
        return front_end.convert(front_end.load(decoder))


def _compare_rows(module: nn.Module, half: CompiledHalf, values: torch.Tensor) -> float:
    return float(torch.cosine_similarity(module(values), half(values), dim=-1).min())
