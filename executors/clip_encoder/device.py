"""Where a model computes, and in which precision."""

from dataclasses import dataclass

import torch

from clipseek.errors import InvalidSetting

# Pictures per pass. On two CPU cores throughput stops growing near 16 (ViT-B-32: 12, 23 and 26 pictures/s at 1, 8 and
# 32), while memory goes on; a GPU wants more at a time.
CPU_BATCH = 16
CUDA_BATCH = 128


@dataclass(frozen=True)
class Device:
    """`name` "cpu" or "cuda", `precision` "fp32" or "fp16", `batch` pictures per pass."""

    name: str
    precision: str
    batch: int

    def autocast(self) -> torch.autocast:
        """Half precision where that pays: products in float16, sums and normalisations in float32."""
        return torch.autocast(self.name, dtype=torch.float16, enabled=self.precision == "fp16")


def choose_device(setting: str) -> Device:
    """Choose by the setting: `cpu`, `cuda`, or `auto` for CUDA if there is one.

    Raises:
        InvalidSetting: CUDA is asked for, but there is none; or the setting is another word.
    """
    if setting not in ("auto", "cpu", "cuda"):
        raise InvalidSetting(f"CLIPSEEK_DEVICE is '{setting}', but must be auto, cpu or cuda")
    has_cuda = setting != "cpu" and torch.cuda.is_available()
    if setting == "cuda" and not has_cuda:
        raise InvalidSetting(
            "CLIPSEEK_DEVICE is 'cuda', but torch finds no usable NVIDIA GPU. Check the driver and that torch was "
            "installed with CUDA, or set CLIPSEEK_DEVICE=auto"
        )
    return Device("cuda", "fp16", CUDA_BATCH) if has_cuda else Device("cpu", "fp32", CPU_BATCH)
