"""docarray without torch. Whoever needs documents imports this module first.

docarray imports torch where it is installed, only to offer types that ClipSeek does not use: 480 MB and 2.6 s for every
process, measured with torch 2.14.1. So torch is hidden from it while it is imported, and from nothing else: a program
that uses torch itself does not notice.
"""

import sys
import warnings
from typing import Any

_hide_torch = "torch" not in sys.modules
if _hide_torch:
    sys.modules["torch"] = None  # type: ignore[assignment]  # this is how Python marks a module that is not there
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # docarray was written for an older pydantic
        import docarray
        from docarray import DocList
finally:
    if _hide_torch:
        del sys.modules["torch"]


class BaseDoc(docarray.BaseDoc):
    """A document whose whole numbers may be large: docarray gives them 32 bit on the wire, and floats 64.

    So those that need it travel as floats, exact up to 2**53, and are whole numbers again where they arrive.
    """

    def to_protobuf(self) -> Any:
        """The message for this document."""
        wide = {name: _wide(value) for name, value in self if _is_wide(value)}
        return docarray.BaseDoc.to_protobuf(self.model_copy(update=wide) if wide else self)


def _is_wide(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_is_wide, value))
    return isinstance(value, int) and not -(2**31) <= value < 2**31


def _wide(value: Any) -> Any:
    return [float(each) if _is_wide(each) else each for each in value] if isinstance(value, list) else float(value)


__all__ = ["BaseDoc", "DocList"]
