"""Which engine is faster on a CPU, torch or OpenVINO, and whether they agree: `python -m benchmarks.engines`.

With --int8 it compares OpenVINO in float32 with int8 forms of the image halves, as `clipseek model optimise` makes
them. They are calibrated with noise here, so their speed is real, but their cosines are not.

The starter model has its real weights; architectures of the model hub have random ones, which take the same time. Both
engines encode the same batches in turn; it prints medians.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
from numpy.typing import NDArray
from open_clip.model import _build_vision_tower
from timm.utils.model import reparameterize_model
from torch import nn

from clipseek.config.settings import Settings
from executors.clip_encoder.int8.optimise import quantise
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.model.spec import Half
from executors.clip_encoder.pytorch.half import TorchHalf
from executors.clip_encoder.pytorch.weights import load_half
from executors.clip_encoder.run.openvino_model import CompiledHalf, least_cosine

ARCHITECTURES = ("ViT-B-32", "ViT-B-32-SigLIP2-256", "MobileCLIP2-S0")
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="runs of each engine, in turn (default: 7)")
    parser.add_argument("--int8", action="store_true", help="measure int8 forms of the image halves")
    options = parser.parse_args()
    runs, int8 = options.runs, options.int8
    engines = ("OpenVINO", "int8") if int8 else ("torch", "OpenVINO")
    starter = Registry(Settings.from_env().cache).resolve("starter")
    size = (starter.preprocessing.height, starter.preprocessing.width)
    print(f"{os.cpu_count()} processors, batches of {BATCH} pictures, median of {runs}\n")
    print(f"{'':32}{engines[0]:>10}{engines[1]:>10}{'times':>7}{'least cosine':>14}")
    compare("starter, pictures/s", load_half(starter, "image"), size, runs, int8=int8)
    for name in ARCHITECTURES:
        side = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
        compare(f"{name}, pictures/s", _build_untrained(name), (side, side), runs, int8=int8)


def _build_untrained(name: str) -> nn.Module:
    """Build the image half of an architecture, as it is loaded, with random weights."""
    config = open_clip.get_model_config(name)
    module: nn.Module = _build_vision_tower(config["embed_dim"], config["vision_cfg"])
    if "MobileCLIP" in name:
        reparameterize_model(module, inplace=True)
    return module.float().eval().requires_grad_(False)


def compare(label: str, module: nn.Module, size: tuple[int, int], runs: int, *, int8: bool) -> None:
    """Print the speeds of both engines, their ratio, and the least cosine between their vectors."""
    values = np.random.default_rng(0).random((BATCH, 3, *size), np.float32)
    before, after = _load_engines(TorchHalf(module), values, int8=int8)
    least = least_cosine(before(values), after, values)
    times = [(_measure_seconds(before, values), _measure_seconds(after, values)) for _ in range(runs)]
    one, other = (statistics.median(seconds) for seconds in zip(*times, strict=True))
    print(f"{label:32}{BATCH / one:10.1f}{BATCH / other:10.1f}{one / other:7.1f}{least:14.7f}", flush=True)


def _load_engines(half: TorchHalf, values: NDArray[np.float32], *, int8: bool) -> tuple[Half, Half]:
    by_openvino = CompiledHalf(half.convert(values[:2]))
    if not int8:
        return half, by_openvino
    with tempfile.TemporaryDirectory() as folder:
        quantise(half, values, Path(folder) / "image.xml")
        return by_openvino, CompiledHalf(Path(folder) / "image.xml")


def _measure_seconds(run: Half, values: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    run(values)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
