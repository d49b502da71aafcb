"""Where a model runs, on which engine, and in which precision."""

import ctypes
import sys
from dataclasses import dataclass

from clipseek.api.errors import InvalidSetting
from executors.clip_encoder.run import openvino_model

# Pictures per pass. On two CPU cores throughput stops growing near 16 (ViT-B-32: 12, 23 and 26 pictures/s at 1, 8 and
# 32), while memory keeps growing; a GPU needs more at a time.
CPU_BATCH = 16
CUDA_BATCH = 128

DEVICES = ("auto", "cpu", "cuda")
ENGINES = ("auto", "torch", "openvino", "int8")
_ON_OPENVINO = ("openvino", "int8")


@dataclass(frozen=True)
class Device:
    """`name` cpu or cuda, `precision` fp32, bf16 or fp16, `batch` pictures a pass, `engine` torch or openvino."""

    name: str
    precision: str
    batch: int
    engine: str = "torch"


def choose_device(setting: str, engine: str = "auto") -> Device:
    """Choose by the settings.

    Args:
        setting: `cpu`, `cuda`, or `auto` for CUDA if there is a GPU.
        engine: `torch`, `openvino` (CPU only), `int8` on OpenVINO, or `auto` for OpenVINO on a CPU if it is installed.

    Raises: InvalidSetting: a value is unknown, or this machine cannot do what it asks for.
    """
    _check_choice("CLIPSEEK_DEVICE", setting, DEVICES)
    _check_choice("CLIPSEEK_ENGINE", engine, ENGINES)
    has_cuda = setting != "cpu" and has_gpu()
    if setting == "cuda" and not has_cuda:
        raise InvalidSetting(
            "CLIPSEEK_DEVICE is 'cuda', but torch finds no usable NVIDIA GPU. Check the driver and that torch was "
            "installed with CUDA, or set CLIPSEEK_DEVICE=auto"
        )
    if engine in _ON_OPENVINO:
        _check_openvino(engine, has_cuda)
    if has_cuda:
        return Device("cuda", "fp16", CUDA_BATCH)
    uses_openvino = engine != "torch" and openvino_model.is_installed()
    return Device("cpu", "fp32", CPU_BATCH, "openvino" if uses_openvino else "torch")


def has_gpu() -> bool:
    """Whether torch finds a usable NVIDIA GPU. Without its driver's library there is none: torch is not imported."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def _check_choice(variable: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidSetting(f"{variable} is '{value}', but must be {', '.join(choices[:-1])} or {choices[-1]}")


def _check_openvino(engine: str, has_cuda: bool) -> None:
    if has_cuda:
        raise InvalidSetting(
            f"CLIPSEEK_ENGINE is '{engine}', which runs on CPUs only, and ClipSeek would use the GPU. Set "
            "CLIPSEEK_DEVICE=cpu or CLIPSEEK_ENGINE=auto"
        )
    if not openvino_model.is_installed():
        raise InvalidSetting(
            f"CLIPSEEK_ENGINE is '{engine}', but OpenVINO is not installed. Install ClipSeek with its extra `{engine}` "
            f"(in a clone: pip install '.[{engine}]'), or set CLIPSEEK_ENGINE=auto"
        )
