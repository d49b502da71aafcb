"""docarray without torch. Whoever needs documents imports this module first.

docarray imports torch where it is installed, only to offer types that ClipSeek does not use: 480 MB and 2.6 s for every
process, measured with torch 2.14.1. So torch is hidden from it while it is imported, and from nothing else: a program
that uses torch itself does not notice.
"""

import sys
import warnings
from array import array
from collections.abc import Sized
from itertools import chain
from typing import Any, Self

from clipseek.api.errors import InvalidRequest

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

_LEAST_PACKED = 16  # numbers; shorter lists stay as they are


class BaseDoc(docarray.BaseDoc):
    """A document as docarray has it, but for three things on the wire.

    docarray gives whole numbers 32 bit and floats 64. So whole numbers that need more travel as floats, exact up to
    2**53, and are whole numbers again where they arrive. And it wraps each number of a list by itself: a query with
    three vectors of 512 takes 14 ms to write and 7 ms to read. So long lists of floats travel as one run of bytes. What
    has its default value does not travel at all.
    """

    packed: bytes = b""  # on the wire: the lists of floats that `packed_lengths` names, float64 one after the other
    packed_lengths: dict[str, int] = {}

    def to_protobuf(self) -> Any:
        """The message for this document."""
        sent = self.model_copy()
        for name, value in list(self):
            if _is_nothing_new(value, self.model_fields[name].default):
                del sent.__dict__[name]
            elif _is_wide(value):
                sent.__dict__[name] = _wide(value)
        lists = {name: value for name, value in sorted(sent.__dict__.items()) if _is_long_list_of_floats(value)}
        if lists:
            for name in lists:
                del sent.__dict__[name]
            sent.packed = array("d", chain.from_iterable(lists.values())).tobytes()
            sent.packed_lengths = {name: len(value) for name, value in lists.items()}
        return docarray.BaseDoc.to_protobuf(sent)

    @classmethod
    def from_protobuf(cls, message: Any) -> Self:
        """The document of a message."""
        made: Self = super().from_protobuf(message)
        if made.packed or made.packed_lengths:
            made._unpack()
        return made

    def _unpack(self) -> None:
        lengths = self.packed_lengths
        known = all(name in self.model_fields and isinstance(getattr(self, name), list) for name in lengths)
        if not known or min(lengths.values(), default=0) < 0 or 8 * sum(lengths.values()) != len(self.packed):
            raise InvalidRequest(f"The numbers of a {type(self).__name__} arrived in disorder. Send it again.")
        numbers = memoryview(self.packed).cast("d")
        for name, length in sorted(lengths.items()):  # as they were packed: a message keeps no order
            setattr(self, name, numbers[:length].tolist())
            numbers = numbers[length:]
        self.packed, self.packed_lengths = b"", {}


def _is_nothing_new(value: object, default: object) -> bool:
    """Whether a value is the default, so that it need not be sent."""
    if type(value) is not type(default):
        return False
    return not value and not default if isinstance(value, Sized) else value == default


def _is_long_list_of_floats(value: object) -> bool:
    return isinstance(value, list) and len(value) >= _LEAST_PACKED and all(type(each) is float for each in value)


def _is_wide(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_is_wide, value))
    return isinstance(value, int) and not -(2**31) <= value < 2**31


def _wide(value: Any) -> Any:
    return [float(each) if _is_wide(each) else each for each in value] if isinstance(value, list) else float(value)


__all__ = ["BaseDoc", "DocList"]
