"""Makes an int8 form of a model's image half, and decides whether it may replace that half.

`python -m executors.clip_encoder.int8.optimise` prints, as JSON, how the settings' model wants its pictures, and the
report on its int8 form, if there is one. With `FRAMES.npz BAR`, uint8 [N, height, width, 3] `calibration` and `check`,
it makes a form and prints the report on it. `clipseek model optimise` runs both.

NNCF quantises after training, symmetrically, with a scale for each row of weights and one for each activation, taken
from the calibration frames. Some things stay in float32. One is what NNCF leaves so in transformers, for example one of
the two products of attention (ViT-B-32, random weights: a cosine of 0.999 instead of 0.990 at least). Another are
depthwise convolutions: they take little time, and caused much of the error on the starter. Weights use 7 of the 8 bits:
without VNNI a processor adds products up in 16 bits, where 8 overflow, so processors would give different vectors for
the same model. Activations are not smoothed (SmoothQuant): with it, what OpenVINO made of a ViT-B-32 differed from what
the same file gives in float32, by a cosine of 0.967; without it, the cosine was 0.9998.
"""

import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipseek.api.errors import ModelUnavailable
from clipseek.config.settings import Settings
from clipseek.machine.module_call import print_result
from clipseek.machine.stored_model import read_store_model
from executors.clip_encoder.int8.form import MODEL_NAME, PROBE_NAME, Int8Form, int8_folder
from executors.clip_encoder.model.hub import Hub
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.model.spec import ModelSpec, Pictures, Vectors, model_id
from executors.clip_encoder.pytorch.half import TorchHalf
from executors.clip_encoder.pytorch.weights import load_half
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.preprocessing import prepare
from executors.clip_encoder.run.towers import ImageTower

REPORT_NAME = "made.json"
NEIGHBOURS = 10
# Share of a frame's ten nearest frames that must still be among its nearest; frames of one shot may change places. The
# cosine alone says little about a model whose vectors are all alike: with random weights MobileCLIP2-S0 reached 0.9998,
# but only 0.59 of the nearest frames stayed.
LEAST_NEIGHBOURS_KEPT = 0.9
_PROBES = 4
_TIMED_RUNS = 7


@dataclass(frozen=True)
class Int8Report:
    """How good an int8 form is, on frames that it was not calibrated with."""

    model_id: str
    calibration_frames: int  # it was made with
    check_frames: int  # it was compared on
    least_cosine: float  # of its vectors to those of the checkpoint in float32
    median_cosine: float
    neighbours_kept: (
        float  # share of the ten check frames nearest to each one in float32 that are among its ten in int8
    )
    float_pictures_per_second: float  # both on OpenVINO, in batches
    int8_pictures_per_second: float
    why_refused: str  # a sentence; empty if it was accepted
    versions: dict[str, str]  # of the packages that made it


class _DraftForm(Int8Form):
    """A form whose probe is not written yet."""

    def check(self, encode: Callable[[Pictures], Vectors]) -> None:
        pass


def optimise(spec: ModelSpec, cache: Path, calibration: Pictures, check: Pictures, bar: float) -> Int8Report:
    """Make an int8 form in the cache. It replaces an earlier one if it is accepted, else it is thrown away.

    Args:
        calibration, check: uint8 [N, height, width, 3], RGB.
        bar: cosine that every check frame must reach.

    Raises:
        ModelUnavailable: NNCF or OpenVINO is not installed.
        ModelError: the weights cannot be read.
    """
    _check_packages()
    folder = int8_folder(spec, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        draft = Path(temporary) / "draft"
        draft.mkdir()
        file = draft / MODEL_NAME
        quantise(TorchHalf(load_half(spec, "image")), prepare(calibration, spec.preprocessing), file)
        draft_spec = replace(spec, image_form=_DraftForm.read(file, cache))
        towers = [ImageTower(half, choose_device("cpu")) for half in (spec, draft_spec)]
        vectors = [tower.encode(check) for tower in towers]
        report = _judge(model_id(draft_spec, cache), len(calibration), vectors, _measure_speeds(towers, check), bar)
        np.savez(draft / PROBE_NAME, pictures=check[:_PROBES], vectors=vectors[1][:_PROBES])
        (draft / REPORT_NAME).write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
        if not report.why_refused:
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
    return report


def quantise(half: TorchHalf, pictures: NDArray[np.float32], file: Path) -> None:
    """Write the int8 form of an image half to OpenVINO's file; calibrate with float32 [N, 3, height, width]."""
    import nncf
    import openvino
    from nncf.quantization import advanced_parameters as advanced
    from openvino._offline_transformations import apply_moc_transformations

    nncf.set_log_level(logging.ERROR)
    model = half.convert(pictures[:2])
    model.reshape([-1, *pictures.shape[1:]])
    # Folds normalisations into the convolutions before them, as compiling does: otherwise quantising would take the
    # ranges of products that nobody computes. Median cosine on the starter's frames: 0.982 instead of 0.962.
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    with redirect_stdout(sys.stderr):  # NNCF draws progress bars
        quantised = nncf.quantize(
            model,
            nncf.Dataset([picture[None] for picture in pictures]),
            subset_size=len(pictures),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(types=["GroupConvolution"], validate=False),
            advanced_parameters=advanced.AdvancedQuantizationParameters(
                overflow_fix=advanced.OverflowFix.ENABLE,
                smooth_quant_alphas=advanced.AdvancedSmoothQuantParameters(matmul=-1),
            ),
        )
    openvino.save_model(quantised, file, compress_to_fp16=False)


def count_kept_neighbours(before: Vectors, after: Vectors) -> float:
    """Returns: the mean share of a row's nearest rows that are still among its nearest. Both are unit rows, [N, D]."""
    nearest = []
    for vectors in (before, after):
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -np.inf)
        nearest.append(np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS])
    return float(np.mean([len(np.intersect1d(*rows)) / NEIGHBOURS for rows in zip(*nearest, strict=True)]))


def _check_packages() -> None:
    if not (find_spec("nncf") and find_spec("openvino")):
        raise ModelUnavailable(
            "NNCF and OpenVINO make int8 forms, but they are not installed. Install ClipSeek with its extra `int8` (in "
            "a clone: pip install '.[int8]')"
        )


def _judge(
    identity: str, calibration_frames: int, vectors: list[Vectors], speeds: list[float], bar: float
) -> Int8Report:
    cosines = (vectors[0] * vectors[1]).sum(axis=1)
    neighbours_kept = count_kept_neighbours(*vectors)
    least = float(cosines.min())
    return Int8Report(
        model_id=identity,
        calibration_frames=calibration_frames,
        check_frames=len(cosines),
        least_cosine=least,
        median_cosine=float(np.median(cosines)),
        neighbours_kept=neighbours_kept,
        float_pictures_per_second=speeds[0],
        int8_pictures_per_second=speeds[1],
        why_refused=_why_refused(least, bar, neighbours_kept),
        versions={name: version(name) for name in ("nncf", "openvino", "torch")},
    )


def _why_refused(least: float, bar: float, neighbours_kept: float) -> str:
    if not least >= bar:
        return f"one frame's vector has a cosine of only {least:.3f} to the model's own; every frame must reach {bar:g}"
    if not neighbours_kept >= LEAST_NEIGHBOURS_KEPT:
        return f"only {neighbours_kept:.3f} of the ten nearest frames stay so; {LEAST_NEIGHBOURS_KEPT:g} must stay"
    return ""


def _measure_speeds(towers: list[ImageTower], pictures: Pictures) -> list[float]:
    batch = pictures[: towers[0].device.batch]
    seconds: list[list[float]] = [[] for _ in towers]
    for _ in range(_TIMED_RUNS):
        for tower, times in zip(towers, seconds, strict=True):  # they take turns
            started = time.perf_counter()
            tower.encode(batch)
            times.append(time.perf_counter() - started)
    return [len(batch) / statistics.median(times) for times in seconds]


def main() -> None:
    print_result(_answer)


def _answer() -> dict[str, Any]:
    settings = Settings.from_env()
    registry = Registry(settings.cache, Hub(may_download=settings.model_download))
    spec = registry.resolve(settings.model, read_store_model(settings))
    if len(sys.argv) == 1:
        return _describe(spec, settings.cache)
    frames, bar = sys.argv[1:]
    with np.load(frames) as pictures:
        return asdict(optimise(spec, settings.cache, pictures["calibration"], pictures["check"], float(bar)))


def _describe(spec: ModelSpec, cache: Path) -> dict[str, Any]:
    report = int8_folder(spec, cache) / REPORT_NAME
    report_data = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else None
    return {"picture": asdict(spec.preprocessing.picture_format), "made": report_data}


if __name__ == "__main__":
    main()
