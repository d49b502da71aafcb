"""The base class of all documents, and copies between records that share field names.

Import documents through this module, and before Jina: it keeps torch out of docarray, and cloud clients out of Jina.
"""

import dataclasses
from array import array
from collections.abc import Sized
from copy import copy
from functools import cache
from itertools import chain
from typing import Any, ClassVar, Self

from clipseek.api.bounds import DEFAULT_RANGE, MAX_ENTRIES, Range, check_value
from clipseek.api.errors import InvalidRequest
from clipseek.api.quirks import stand_in_for_cloud_clients, without_torch

stand_in_for_cloud_clients()
with without_torch():
    import docarray
    from docarray import DocList

_MIN_PACKED = 16  # numbers; shorter lists stay as they are


class BaseDoc(docarray.BaseDoc):
    """A docarray document with bounds (see bounds.py) and three changes on the wire.

    docarray sends whole numbers in 32 bits and floats in 64. So larger whole numbers travel as floats, exact up to
    2**53, and become whole numbers again on arrival. docarray also wraps each number of a list by itself: a query with
    three vectors of 512 takes 14 ms to write and 7 ms to read. So long lists of floats travel as one run of bytes.
    Fields that have their default value are not sent.
    """

    question: ClassVar[frozenset[str]] = frozenset()  # the fields that a caller fills in; executors fill in the others

    packed: bytes = b""  # on the wire: the lists of floats that `packed_lengths` names, as float64, one after the other
    packed_lengths: dict[str, int] = {}

    def check_bounds(self) -> None:
        """Check each field against its bounds, and the fields against each other.

        Raises: InvalidTimeRange, InvalidRequest: the message names the field, its value and the range.
        """
        for name, bounds in _bounds(type(self)):
            check_value(name, getattr(self, name), bounds)
        self.check_together()

    def check_together(self) -> None:
        """Check fields that depend on each other. Documents override this."""

    def keep_question(self) -> None:
        """Give each field that no caller fills in its default, here and in the documents inside this one."""
        for name, field in type(self).model_fields.items():
            if name not in self.question and name != "id":
                setattr(self, name, copy(field.default))
            elif isinstance(value := getattr(self, name), DocList):
                for document in value:
                    document.keep_question()

    def to_protobuf(self) -> Any:
        message = self.model_copy()
        for name, value in list(self):
            if _is_default(value, self.model_fields[name].default):
                del message.__dict__[name]
            elif _is_wide(value):
                message.__dict__[name] = _widen(value)
        lists = {name: value for name, value in sorted(message.__dict__.items()) if _is_long_list_of_floats(value)}
        if lists:
            for name in lists:
                del message.__dict__[name]
            message.packed = array("d", chain.from_iterable(lists.values())).tobytes()
            message.packed_lengths = {name: len(value) for name, value in lists.items()}
        return docarray.BaseDoc.to_protobuf(message)

    @classmethod
    def from_protobuf(cls, message: Any) -> Self:
        document: Self = super().from_protobuf(message)
        if document.packed or document.packed_lengths:
            document._unpack()
        return document

    def _unpack(self) -> None:
        lengths = self.packed_lengths
        known = lengths.keys() & self.model_fields.keys()  # another version's fields are ignored, as unpacked ones are
        are_lists = all(isinstance(getattr(self, name), list) for name in known)
        count = sum(lengths.values())
        fits = min(lengths.values(), default=0) >= 0 and 8 * count == len(self.packed) and count <= MAX_ENTRIES
        if not are_lists or not fits:
            raise InvalidRequest(f"The packed numbers of a {type(self).__name__} are damaged. Send the request again.")
        numbers = memoryview(self.packed).cast("d")
        for name, length in sorted(lengths.items()):  # packed in this order; a message keeps none
            if name in known:
                setattr(self, name, numbers[:length].tolist())
            numbers = numbers[length:]
        self.packed, self.packed_lengths = b"", {}


def fields(names: str) -> frozenset[str]:
    """The names of fields, from a text with spaces between them."""
    return frozenset(names.split())


@cache
def _bounds(kind: type[BaseDoc]) -> tuple[tuple[str, Range], ...]:
    return tuple(
        (name, next((entry for entry in field.metadata if isinstance(entry, Range)), DEFAULT_RANGE))
        for name, field in kind.model_fields.items()
    )


def _is_default(value: object, default: object) -> bool:
    if type(value) is not type(default):
        return False
    return not value and not default if isinstance(value, Sized) else value == default


def _is_long_list_of_floats(value: object) -> bool:
    return isinstance(value, list) and len(value) >= _MIN_PACKED and all(type(number) is float for number in value)


def _is_wide(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_is_wide, value))
    return isinstance(value, int) and not -(2**31) <= value < 2**31


def _widen(value: Any) -> Any:
    return [float(item) if _is_wide(item) else item for item in value] if isinstance(value, list) else float(value)


def shared_fields(source: object, kind: type) -> dict[str, Any]:
    """The values of `source` for the fields that a document class or dataclass `kind` has, too."""
    names = _field_names(type(source)) & _field_names(kind)
    return {name: getattr(source, name) for name in names}


def copy_fields(source: object, target: object) -> None:
    """Set each field of `target`, a document, that `source` has, too."""
    for name, value in shared_fields(source, type(target)).items():
        setattr(target, name, value)


def _field_names(kind: Any) -> set[str]:
    if hasattr(kind, "model_fields"):  # a document
        return set(kind.model_fields)
    return {field.name for field in dataclasses.fields(kind)}


__all__ = ["BaseDoc", "DocList", "copy_fields", "fields", "shared_fields"]
