"""Patches of other people's packages that models need.

tests/unit/clip_encoder/test_model_quirks.py fails once one of them is not needed.

- torch 2.14.1, torchvision 0.29.1, timm 1.0.31: importing open_clip imports torch's compiler (`import_open_clip`).
- openvino 2026.4.1, nncf 3.4.0: they report their use over the network (`hide_openvino_telemetry`).
- torch 2.14.1, transformers 5.23.0: tracing a model warns about what we cannot change (`mute_tracing`).
"""

import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_COMPILER, _UTILS = "torch._dynamo", "torch._dynamo.utils"
_TELEMETRY = "openvino_telemetry"


class _StandIn(ModuleType):
    """Stands for a module until someone uses more of it than the stand-in has; then the module itself is imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python asks every module for
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _remove_stand_ins() -> None:
    for name in (_COMPILER, _UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(function: Any = None, *_: Any, **__: Any) -> Any:
    """The decorator that keeps a function away from the compiler, which we do not use."""
    return function or (lambda decorated: decorated)


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo import utils

    return bool(utils.is_compile_supported(device_type))


def import_open_clip() -> Any:
    """Import open_clip without torch's compiler. Call this before anything else imports open_clip.

    torchvision and timm import the compiler only to keep functions away from it, or to ask whether it is there.
    ClipSeek does not use it, and it costs an encoder 1.5 s of its start and 180 MB, measured with torch 2.14.1. Text
    models of transformers import it anyway.
    """
    import torch  # noqa: F401 (it uses more of its compiler than the stand-ins have)

    if _COMPILER not in sys.modules:
        compiler, utils = sys.modules[_COMPILER], sys.modules[_UTILS] = _StandIn(_COMPILER), _StandIn(_UTILS)
        compiler.disable, utils.is_compile_supported = _disable, _is_compile_supported  # type: ignore[attr-defined]
    try:
        import open_clip
    finally:
        _remove_stand_ins()
    return open_clip


def hide_openvino_telemetry() -> None:
    """Make OpenVINO and NNCF run as if openvino_telemetry were not installed. Call this before anything imports them.

    OpenVINO sends an event as soon as it is imported, NNCF another for each quantisation; on a terminal they may ask
    for consent first.
    """
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]  # None: importing it fails


@contextmanager
def mute_tracing() -> Iterator[None]:
    """Hide the warnings of tracing, which OpenVINO relies on: torch has deprecated it.

    Tracing also reads every attribute of a model, and transformers warns about those that a model does not have.
    """
    transformers = logging.getLogger("transformers")
    level = transformers.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.setLevel(logging.ERROR)
        try:
            yield
        finally:
            transformers.setLevel(level)
