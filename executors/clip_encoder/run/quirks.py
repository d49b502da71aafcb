"""open_clip and what it is built on, imported without torch's compiler.

torchvision and timm import the compiler only to except functions of theirs from it, or to ask whether it is there.
ClipSeek does not use it, and it costs an encoder 1.5 s of its start and 180 MB, measured with torch 2.14.1. Text models
of transformers bring it all the same.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

_COMPILER, _UTILS = "torch._dynamo", "torch._dynamo.utils"


class _StandIn(ModuleType):
    """In the place of a module until anything else is asked of it than what it is given here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what is asked of all modules alike
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _remove_stand_ins() -> None:
    for name in (_COMPILER, _UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(function: Any = None, *_: Any, **__: Any) -> Any:
    """The decorator that excepts a function, which nothing compiles anyway."""
    return function or (lambda given: given)


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo import utils

    return bool(utils.is_compile_supported(device_type))


def import_open_clip() -> None:
    """Do so; to be called before anything else imports it."""
    import torch  # noqa: F401 (it wants more of its compiler than that)

    if _COMPILER not in sys.modules:
        compiler, utils = sys.modules[_COMPILER], sys.modules[_UTILS] = _StandIn(_COMPILER), _StandIn(_UTILS)
        compiler.disable, utils.is_compile_supported = _disable, _is_compile_supported  # type: ignore[attr-defined]
    try:
        import open_clip  # noqa: F401
    finally:
        _remove_stand_ins()
