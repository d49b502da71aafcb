"""Where a model computes, by what, and in which precision."""

from dataclasses import dataclass

import torch

from clipseek.api.errors import InvalidSetting
from executors.clip_encoder.run import openvino_model

# Pictures per pass. On two CPU cores throughput stops growing near 16 (ViT-B-32: 12, 23 and 26 pictures/s at 1, 8 and
# 32), while memory goes on; a GPU wants more at a time.
CPU_BATCH = 16
CUDA_BATCH = 128

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """`name` "cpu" or "cuda", `precision` one of PRECISIONS, `batch` pictures a pass, `engine` torch or openvino."""

    name: str
    precision: str
    batch: int
    engine: str = "torch"

    def autocast(self) -> torch.autocast:
        """Half precision where that is asked for: products in it, sums and normalisations in float32."""
        return torch.autocast(self.name, dtype=PRECISIONS[self.precision], enabled=self.precision != "fp32")


def choose_device(setting: str, engine: str = "auto") -> Device:
    """Choose by the settings.

    Args:
        setting: `cpu`, `cuda`, or `auto` for CUDA if there is one.
        engine: `torch`, `openvino` (CPU only), `int8`, which OpenVINO runs, or `auto` for OpenVINO on a CPU where it is
            installed.

    Raises:
        InvalidSetting: CUDA or OpenVINO is asked for, but there is none; or a setting is another word.
    """
    if setting not in ("auto", "cpu", "cuda"):
        raise InvalidSetting(f"CLIPSEEK_DEVICE is '{setting}', but must be auto, cpu or cuda")
    has_cuda = setting != "cpu" and torch.cuda.is_available()
    if setting == "cuda" and not has_cuda:
        raise InvalidSetting(
            "CLIPSEEK_DEVICE is 'cuda', but torch finds no usable NVIDIA GPU. Check the driver and that torch was "
            "installed with CUDA, or set CLIPSEEK_DEVICE=auto"
        )
    if engine not in ("auto", "torch", "openvino", "int8"):
        raise InvalidSetting(f"CLIPSEEK_ENGINE is '{engine}', but must be auto, torch, openvino or int8")
    if engine in ("openvino", "int8") and (has_cuda or not openvino_model.is_available()):
        why = "it is for CPUs, and the GPU is used: set CLIPSEEK_DEVICE=cpu" if has_cuda else "OpenVINO is missing"
        raise InvalidSetting(f"CLIPSEEK_ENGINE is '{engine}', but {why}, or set CLIPSEEK_ENGINE=auto")
    if has_cuda:
        return Device("cuda", "fp16", CUDA_BATCH)
    is_compiled = engine != "torch" and openvino_model.is_available()
    return Device("cpu", "fp32", CPU_BATCH, "openvino" if is_compiled else "torch")
