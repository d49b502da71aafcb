"""The int8 form of a model's image half: where it is, which identity it has, and whether it works on this processor."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from clipseek.api.errors import ModelError, ModelUnavailable
from clipseek.api.model_ids import INT8_MARK
from executors.clip_encoder.model.spec import Half, ModelSpec, Pictures, Vectors, hash_file, vectors_key
from executors.clip_encoder.run.openvino_model import CompiledHalf

MODEL_NAME = "image.xml"  # OpenVINO writes the weights beside it, in image.bin
PROBE_NAME = "probe.npz"
LEAST_COSINE_ELSEWHERE = 0.99  # of a processor's vectors to those of the processor that the form was made on


@dataclass(frozen=True)
class Int8Form:
    """An int8 form; implements `model.spec.ImageForm`."""

    file: Path  # OpenVINO's model
    weights_sha256: str  # 64 hex digits
    engine: str = "int8"

    @classmethod
    def read(cls, file: Path, cache: Path) -> Self:
        return cls(file, hash_file(file.with_suffix(".bin"), cache))

    @property
    def id_suffix(self) -> str:
        return INT8_MARK + self.weights_sha256[:8]

    def load(self) -> Half:
        try:
            return CompiledHalf(self.file)
        except RuntimeError as error:  # OpenVINO's own
            raise ModelError(
                f"The int8 form {self.file} cannot be loaded: {str(error)[:500]}. Make it again with `clipseek model "
                "optimise --again`, or set CLIPSEEK_ENGINE=auto"
            ) from error

    def check(self, encode: Callable[[Pictures], Vectors]) -> None:
        """Compare this processor's vectors with those of the processor that the form was made on."""
        with np.load(self.file.with_name(PROBE_NAME)) as probe:
            least = float((encode(probe["pictures"]) * probe["vectors"]).sum(axis=1).min())
        if not least >= LEAST_COSINE_ELSEWHERE:
            raise ModelError(
                f"The int8 form {self.file} gives other vectors on this processor than where it was made: their cosine "
                f"is {least:.4f}, it must be {LEAST_COSINE_ELSEWHERE:g}. Make it here with `clipseek model optimise "
                "--again`, or set CLIPSEEK_ENGINE=auto"
            )


def find_form(spec: ModelSpec, cache: Path) -> Int8Form:
    """Find the int8 form of a model's image half. Raises: ModelUnavailable: none was made, or none was accepted."""
    file = int8_folder(spec, cache) / MODEL_NAME
    if not file.is_file():
        raise ModelUnavailable(
            f"CLIPSEEK_ENGINE is 'int8', but there is no int8 form of {spec.name} in {file.parent}. Make one from your "
            "own videos with `clipseek model optimise`, or set CLIPSEEK_ENGINE=auto"
        )
    return Int8Form.read(file, cache)


def int8_folder(spec: ModelSpec, cache: Path) -> Path:
    """The folder of a model's int8 form. Raises: ModelUnavailable."""
    return cache / "int8" / vectors_key(spec, cache)
