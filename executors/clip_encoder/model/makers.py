"""The rooms that make models, `starter` and `int8`. Each is imported only when it is needed, so it can be left out."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from clipseek.api.errors import ModelUnavailable
from executors.clip_encoder.model.spec import ImageForm, ModelSpec

_PACKAGE = __name__.rpartition(".model.")[0]


def build_starter(models: Path) -> ModelSpec:
    """Build the starter model below `models`, or find it there. Raises: ModelUnavailable."""
    missing = "The starter model is not part of this installation. Set CLIPSEEK_MODEL to another one."
    spec: ModelSpec = _import_maker("starter", "starter", missing).build_starter(models)
    return spec


def find_int8_form(spec: ModelSpec, cache: Path) -> ImageForm:
    """Find the int8 form of a model's image half. Raises: ModelUnavailable."""
    missing = (
        "CLIPSEEK_ENGINE is 'int8', which is not part of this installation. Install ClipSeek with its extra `int8` (in "
        "a clone: pip install '.[int8]'), or set CLIPSEEK_ENGINE=auto"
    )
    form: ImageForm = _import_maker("int8", "form", missing).find_form(spec, cache)
    return form


def _import_maker(room: str, module: str, missing: str) -> ModuleType:
    if find_spec(f"{_PACKAGE}.{room}") is None:
        raise ModelUnavailable(missing)
    return import_module(f"{_PACKAGE}.{room}.{module}")
