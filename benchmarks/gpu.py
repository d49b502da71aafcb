"""How fast a GPU runs a model, by precision and pictures at a time: `python -m benchmarks.gpu`.

It runs architectures of the model hub with random weights, which take the same time. Pictures start as uint8 in system
memory and come back as unit vectors, as in the encoder. It prints medians of several runs; the least cosine is to
float32 on the CPU. If torch finds no GPU, it says why and exits with 1.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
from open_clip.model import _build_vision_tower
from safetensors.torch import save_file

from clipseek.api.errors import InvalidSetting
from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.spec import ModelSpec, Pictures
from executors.clip_encoder.run.device import Device, choose_device
from executors.clip_encoder.run.towers import ImageTower

ARCHITECTURES = ("ViT-B-32", "ViT-B-32-SigLIP2-256", "ViT-L-14")
PRECISIONS = ("fp32", "bf16", "fp16")
BATCHES = (1, 32, 128, 512)
COMPARED = 16  # pictures whose vectors are compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement (default: 5)")
    runs = parser.parse_args().runs
    try:
        choose_device("cuda")
    except InvalidSetting as error:
        raise SystemExit(str(error)) from error
    print(f"{torch.cuda.get_device_name()}, {os.cpu_count()} processors, torch {torch.__version__}, median of {runs}\n")
    print(
        f"{'pictures/s':32}" + "".join(f"{f'{batch} at once':>12}" for batch in BATCHES) + "   least cosine    memory"
    )
    with tempfile.TemporaryDirectory(prefix="clipseek-gpu-") as folder:
        for name in ARCHITECTURES:
            compare(write_untrained(name, Path(folder)), runs)


def write_untrained(architecture: str, folder: Path) -> ModelSpec:
    """Write the image half of a model, with random weights."""
    config = open_clip.get_model_config(architecture)
    torch.manual_seed(0)
    half = _build_vision_tower(config["embed_dim"], config["vision_cfg"])
    checkpoint = folder / f"{architecture}.safetensors"
    save_file({f"visual.{name}": tensor.contiguous() for name, tensor in half.state_dict().items()}, checkpoint)
    preprocessing = Preprocessing.from_config(config["vision_cfg"]["image_size"], {})
    return ModelSpec(architecture, config, preprocessing, checkpoint, None, "random weights")


def compare(spec: ModelSpec, runs: int) -> None:
    """Print pictures a second by precision and batch, how close the vectors are, and the GPU's memory."""
    pictures = draw_pictures(COMPARED, spec.preprocessing.width)
    expected = ImageTower(spec, Device("cpu", "fp32", COMPARED)).encode(pictures)
    for precision in PRECISIONS:
        torch.cuda.reset_peak_memory_stats()
        speeds = [measure_speed(ImageTower(spec, Device("cuda", precision, batch)), batch, runs) for batch in BATCHES]
        vectors = ImageTower(spec, Device("cuda", precision, COMPARED)).encode(pictures)
        cells = "".join(f"{speed:12.0f}" for speed in speeds)
        least = float((vectors * expected).sum(axis=1).min())
        memory = torch.cuda.max_memory_allocated() / 1e6
        print(f"{f'{spec.name}, {precision}':32}{cells}{least:15.6f}{memory:7.0f} MB", flush=True)


def draw_pictures(count: int, side: int) -> Pictures:
    """Returns: different colourful pictures, uint8 [count, side, side, 3]."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC) for picture in coarse])


def measure_speed(tower: ImageTower, batch: int, runs: int) -> float:
    """Returns: pictures a second, after two runs that warm up."""
    pictures = draw_pictures(batch, tower.spec.preprocessing.width)
    times = []
    for run in range(2 + runs):
        started = time.perf_counter()
        tower.encode(pictures)
        if run >= 2:
            times.append(time.perf_counter() - started)
    return batch / statistics.median(times)


if __name__ == "__main__":
    main()
