"""A half of a model run by torch. It takes and gives arrays, as OpenVINO's halves do."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.quirks import mute_tracing
from executors.clip_encoder.model.spec import ModelSpec, Pictures, Vectors
from executors.clip_encoder.pytorch.weights import HalfName, load_half

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchHalf:
    """A module on a device: float32 [N, 3, height, width] or int64 [N, context] to float32 [N, D].

    Args:
        device: "cpu" or "cuda".
        precision: "fp32", or "bf16" or "fp16" for products; sums and normalisations stay in float32.
    """

    def __init__(self, module: nn.Module, device: str = "cpu", precision: str = "fp32") -> None:
        self._module, self._device, self._precision = module.to(device), device, precision
        if device == "cuda":
            self._module = self._module.to(memory_format=torch.channels_last)

    @classmethod
    def load(cls, spec: ModelSpec, name: HalfName, device: str = "cpu", precision: str = "fp32") -> Self:
        """Load one half of a model. Raises: ModelError: see `load_half`."""
        return cls(load_half(spec, name), device, precision)

    def __call__(self, values: NDArray[Any]) -> Vectors:
        return self._run(torch.from_numpy(values).to(self._device))

    def encode_pictures(self, pictures: Pictures, preprocessing: Preprocessing) -> Vectors:
        """Encode fitted pictures, uint8 [N, height, width, 3]; the device normalises: bytes travel faster than floats.

        Returns: float32 [N, D].
        """
        planes = torch.from_numpy(np.require(pictures, requirements=["C", "W"])).permute(0, 3, 1, 2)
        if self._device == "cuda":
            planes = planes.pin_memory().to(self._device, non_blocking=True)
        rgb = (preprocessing.mean, preprocessing.std)
        mean, std = (torch.tensor(values, device=self._device).view(1, 3, 1, 1) for values in rgb)
        return self._run((planes.float() / 255 - mean) / std)

    def convert(self, example: NDArray[Any]) -> Any:
        """Convert the module to OpenVINO's model, with inputs of any size.

        It calls OpenVINO's front end itself: `openvino.convert_model` around it would report its use.

        Args:
            example: an input of two rows.
        """
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        front_end, values = FrontEndManager().load_by_framework("pytorch"), torch.from_numpy(example)
        with mute_tracing():
            # The decoder must outlive the conversion. `compile_half` checks the trace together with all other steps.
            decoder = TorchScriptPythonDecoder(self._module, example_input=values, trace_kwargs={"check_trace": False})
            return front_end.convert(front_end.load(decoder))

    def _run(self, values: torch.Tensor) -> Vectors:
        half = torch.autocast(self._device, dtype=_PRECISIONS[self._precision], enabled=self._precision != "fp32")
        with torch.inference_mode(), half:
            rows = self._module(values)
        vectors: Vectors = rows.float().cpu().numpy()
        return vectors
