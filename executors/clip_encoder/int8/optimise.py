"""Makes an int8 form of a model's image half, and says whether it may take that half's place.

`python -m executors.clip_encoder.int8.optimise` prints, as JSON, how the settings' model wants its pictures, and what it was
told when such a form was made, if that is there. With `FRAMES.npz BAR`, uint8 [N, height, width, 3] `calibration` and
`check`, it makes one and prints what it found. `clipseek model optimise` calls both.

Weights and activations are quantised after training by NNCF: symmetrically, with a scale for each row of weights and
one for each activation, taken from the calibration frames. In float32 stay what NNCF leaves so in transformers, as one
of the two products of attention (ViT-B-32, random weights: a cosine of 0.999 in place of 0.990 at least), and depthwise
convolutions: they take little time, and on the starter much of the error was theirs. Weights take 7 bits of the 8:
without VNNI a processor adds products up in 16 bits, where 8 overflow, so processors would give different vectors for
the same model. Activations are not smoothed (SmoothQuant): what OpenVINO made of that on a ViT-B-32 differed from what
the same file gives in float32, by a cosine of 0.967; without it, that was 0.9998.
"""

import json
import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from clipseek.api.errors import ModelError, ModelUnavailable
from clipseek.config.settings import Settings
from clipseek.machine.module_call import print_result
from executors.clip_encoder.model.identity import INT8_NAME, int8_folder, model_id
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.model.store_model import read_store_model
from executors.clip_encoder.model.weights import load_half
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.openvino_model import converted
from executors.clip_encoder.run.preprocessing import Pictures
from executors.clip_encoder.run.towers import ImageTower, Vectors

REPORT_NAME = "made.json"
PROBE_NAME = "probe.npz"
NEIGHBOURS = 10
# Share of the ten nearest frames of a frame that must stay among them; those of one shot may change places. A cosine
# alone says little of a model whose vectors are all alike: with random weights MobileCLIP2-S0 reached 0.9998, while
# 0.59 of the nearest stayed.
LEAST_NEIGHBOURS_KEPT = 0.9
LEAST_COSINE_ELSEWHERE = 0.99  # of a processor's vectors to those of the processor that an int8 form was made on
_PROBES = 4
_TIMED_RUNS = 7


@dataclass(frozen=True)
class Made:
    """What was found of an int8 form, on frames that it was not calibrated with.

    Attributes:
        model_id: its identity.
        calibration_frames, check_frames: how many frames it was made with, and compared on.
        least_cosine, median_cosine: of its vectors to those of the checkpoint in float32.
        neighbours_kept: share of the ten check frames nearest to each one, by float32, that int8 has among its ten.
        float_pictures_per_second, int8_pictures_per_second: both by OpenVINO, in batches.
        why_refused: a sentence; empty where it was accepted.
        versions: of what made it.
    """

    model_id: str
    calibration_frames: int
    check_frames: int
    least_cosine: float
    median_cosine: float
    neighbours_kept: float
    float_pictures_per_second: float
    int8_pictures_per_second: float
    why_refused: str
    versions: dict[str, str]


def optimise(spec: ModelSpec, cache: Path, calibration: Pictures, check: Pictures, bar: float) -> Made:
    """Make an int8 form in the cache, in place of one that is there; one that is refused is not kept.

    Args:
        calibration, check: uint8 [N, height, width, 3], RGB.
        bar: cosine that every check frame must reach.

    Raises:
        ModelUnavailable: NNCF or OpenVINO is not installed.
        ModelError: the weights cannot be read.
    """
    if not (find_spec("nncf") and find_spec("openvino")):
        raise ModelUnavailable(
            "An int8 form is made by NNCF and OpenVINO, and they are not installed: install ClipSeek with its extra "
            "`int8` (in a clone: pip install '.[int8]')"
        )
    folder = int8_folder(spec, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        making = Path(temporary) / "making"
        making.mkdir()
        file = making / INT8_NAME
        quantise(load_half(spec, "image"), spec.preprocessing.to_tensor(calibration), file)
        device = choose_device("cpu")
        of_int8 = replace(spec, int8_image=file)
        towers = ImageTower(spec, device), ImageTower(of_int8, device)
        vectors = [tower.encode(check) for tower in towers]
        cosines = (vectors[0] * vectors[1]).sum(axis=1)
        kept = neighbours_kept(*vectors)
        before, after = _pictures_per_second(towers, check[: device.batch])
        least = float(cosines.min())
        made = Made(
            model_id(of_int8, cache),
            len(calibration),
            len(check),
            least,
            float(np.median(cosines)),
            kept,
            before,
            after,
            _why_refused(least, bar, kept),
            {name: version(name) for name in ("nncf", "openvino", "torch")},
        )
        np.savez(file.with_name(PROBE_NAME), pictures=check[:_PROBES], vectors=vectors[1][:_PROBES])
        (making / REPORT_NAME).write_text(json.dumps(asdict(made), indent=1), encoding="utf-8")
        if not made.why_refused:
            shutil.rmtree(folder, ignore_errors=True)
            making.rename(folder)
    return made


def check_int8(tower: ImageTower, file: Path) -> None:
    """Compare what this processor makes of an int8 form with what the one did that it was made on.

    Raises:
        ModelError: the vectors differ.
    """
    with np.load(file.with_name(PROBE_NAME)) as probe:
        least = float((tower.encode(probe["pictures"]) * probe["vectors"]).sum(axis=1).min())
    if not least >= LEAST_COSINE_ELSEWHERE:
        raise ModelError(
            f"This processor's vectors by the int8 form {file} differ from those of the one that it was made on: a "
            f"cosine of {least:.4f}, {LEAST_COSINE_ELSEWHERE:g} is wanted. Make it here, `clipseek model optimise "
            f"--again`, or set CLIPSEEK_ENGINE=auto"
        )


def quantise(module: nn.Module, pictures: torch.Tensor, file: Path) -> None:
    """Write the int8 form of an image half, calibrated with float32 [N, 3, height, width], to a file of OpenVINO's."""
    os.environ["NNCF_CI"] = "1"  # else it reports its use over the network
    import nncf
    import openvino
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        AdvancedSmoothQuantParameters,
        OverflowFix,
    )
    from openvino._offline_transformations import apply_moc_transformations

    nncf.set_log_level(logging.ERROR)
    model = converted(module, pictures[:2])
    model.reshape([-1, *pictures.shape[1:]])
    # Folds normalisations into the convolutions before them, as compiling does: else the ranges of what is quantised
    # are those of products that nobody computes. Median cosine on the starter's frames 0.982 in place of 0.962.
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    with redirect_stdout(sys.stderr):  # NNCF draws bars
        made = nncf.quantize(
            model,
            nncf.Dataset([picture[None].numpy() for picture in pictures]),
            subset_size=len(pictures),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(types=["GroupConvolution"], validate=False),
            advanced_parameters=AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.ENABLE, smooth_quant_alphas=AdvancedSmoothQuantParameters(matmul=-1)
            ),
        )
    openvino.save_model(made, file, compress_to_fp16=False)


def neighbours_kept(before: Vectors, after: Vectors) -> float:
    """The share of each row's nearest rows that are among its nearest afterwards, on average. Unit rows, [N, D]."""
    nearest = []
    for vectors in (before, after):
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -np.inf)
        nearest.append(np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS])
    return float(np.mean([len(np.intersect1d(*rows)) / NEIGHBOURS for rows in zip(*nearest, strict=True)]))


def _pictures_per_second(towers: tuple[ImageTower, ImageTower], pictures: Pictures) -> list[float]:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TIMED_RUNS):
        for tower, seconds in zip(towers, taken, strict=True):
            begun = time.perf_counter()
            tower.encode(pictures)
            seconds.append(time.perf_counter() - begun)
    return [len(pictures) / statistics.median(seconds) for seconds in taken]


def _why_refused(least: float, bar: float, kept: float) -> str:
    if not least >= bar:
        return f"a frame's vector has a cosine of {least:.3f} to the model's own, and {bar:g} is wanted of all"
    if not kept >= LEAST_NEIGHBOURS_KEPT:
        return f"{kept:.3f} of the ten nearest frames stay so, and {LEAST_NEIGHBOURS_KEPT:g} are wanted"
    return ""


def main() -> None:
    print_result(_answered)


def _answered() -> dict[str, Any]:
    settings = Settings.from_env()
    spec = Registry(settings.cache).resolve(settings.model, read_store_model(settings.home))
    if len(sys.argv) == 1:
        return _described(spec, settings.cache)
    frames, bar = sys.argv[1:]
    with np.load(frames) as pictures:
        return asdict(optimise(spec, settings.cache, pictures["calibration"], pictures["check"], float(bar)))


def _described(spec: ModelSpec, cache: Path) -> dict[str, Any]:
    report = int8_folder(spec, cache) / REPORT_NAME
    made = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else None
    return {"picture": asdict(spec.preprocessing.picture_format), "made": made}


if __name__ == "__main__":
    main()
