"""Converts an image half for OpenVINO in a process of its own: so the encoder's own process needs no torch.

`python -m executors.clip_encoder.run.convert_half FOLDER < SPEC` keeps it in the folder, and prints whether OpenVINO
computes torch's vectors. SPEC is a `ModelSpec` in JSON.
"""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from clipseek.api.errors import ModelError
from clipseek.machine.module_call import call_module, print_result
from executors.clip_encoder.model.picture_format import Preprocessing
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.run.openvino_model import compile_half
from executors.clip_encoder.run.saved_half import SavedHalf, make_example

logger = logging.getLogger(__name__)


def convert_elsewhere(spec: ModelSpec, saved: SavedHalf) -> bool:
    """Have another process convert the image half. Returns: whether OpenVINO computes torch's vectors.

    Raises: ModelError: the weights cannot be loaded.
    """
    logger.info("converting the image half of %s for OpenVINO; this is needed only once", spec.name)

    def failed(line: str) -> ModelError:
        return ModelError(f"The image half of {spec.name} cannot be converted for OpenVINO: {line}")

    with saved.locked():
        if saved.load(make_example(spec)):  # another process has made it while this one waited
            return True
        result: bool = call_module(__name__, str(saved.folder), failure=failed, stdin=_write(spec), shows_progress=True)
    return result


def _write(spec: ModelSpec) -> str:
    return json.dumps(asdict(spec), default=str)  # paths as text


def _read(text: str) -> ModelSpec:
    """Read what an image half needs of a written spec."""
    values = json.loads(text)
    values |= {"preprocessing": Preprocessing(**values["preprocessing"]), "checkpoint": Path(values["checkpoint"])}
    return ModelSpec(**values | {"tokenizer_folder": None})


def _convert() -> bool:
    from executors.clip_encoder.pytorch.half import TorchHalf

    spec = _read(sys.stdin.read())
    half, example = TorchHalf.load(spec, "image"), make_example(spec)
    saved = SavedHalf(Path(sys.argv[1]))
    name = f"the image half of {spec.name}"
    return bool(compile_half(half, example, name, lambda model: saved.save(model, half(example))))


if __name__ == "__main__":
    print_result(_convert)
